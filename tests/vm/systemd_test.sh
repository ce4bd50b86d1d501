#!/usr/bin/env bash
# The virtual machine with systemd is what it says: a service of root's and a login session of a user's, and the command's
# status, output and files come through.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

expect() {  # expect WHO OUTPUT
  local status=0 output
  # shellcheck disable=SC2016
  output=$("$here/run.sh" --systemd "$1" --time-limit 90 --with "$here/run.sh:/opt/given" -- sh -c '
    cat /proc/1/comm
    id -un
    sed "s/[0-9][0-9]*/N/g" /proc/self/cgroup
    test -S "${XDG_RUNTIME_DIR:-}/bus" && echo "${DBUS_SESSION_BUS_ADDRESS:-}"
    systemctl is-active "user@$(id -u).service"
    getsubids "$(id -un)" 2>&1 | cut -d: -f2-
    stat -f -c %T / /tmp /sys/fs/cgroup
    head -n 1 /opt/given >&2
    exit 33') || status=$?
  printf '%s\n' "$output"
  [ "$status" = 33 ] || { echo "exit status $status, not 33"; exit 1; }
  [ "$output" = "$2" ] || { echo "not the expected output, but for $1:"; printf '%s\n' "$2"; exit 1; }
}

expect root 'systemd
root
N::/system.slice/run-uN.service
inactive
Error fetching ranges
ext2/ext3
ext2/ext3
cgroup2fs
#!/usr/bin/env bash'
expect user 'systemd
user
N::/user.slice/user-N.slice/session-N.scope
unix:path=/run/user/1000/bus
active
 user 100000 65536
ext2/ext3
ext2/ext3
cgroup2fs
#!/usr/bin/env bash'
