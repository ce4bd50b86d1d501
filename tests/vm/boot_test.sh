#!/usr/bin/env bash
# The virtual machine is what it says: cgroup v2 alone, a root that can be left, and the command's status and output come back.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

status=0
output=$("$here/run.sh" --time-limit 90 -- sh -c '
  echo "controllers: $(cat /sys/fs/cgroup/cgroup.subtree_control)"
  grep -c " cgroup " /proc/mounts
  grep -c overlay /proc/filesystems
  unshare -m sh -c "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mkdir /mnt/old /mnt/bin &&
    cp /bin/busybox /mnt/bin/ && cd /mnt && pivot_root . old && /bin/busybox echo pivoted"
  exit 33') || status=$?

printf '%s\n' "$output"
[ "$status" = 33 ] || { echo "exit status $status, not 33"; exit 1; }
for controller in cpu io memory pids; do
  [[ "$(head -n 1 <<<"$output")" == *" $controller"* ]] || { echo "no $controller controller"; exit 1; }
done
[ "$(sed 1d <<<"$output")" = "$(printf '0\n1\npivoted')" ] || { echo "not the expected output"; exit 1; }
