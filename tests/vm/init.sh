#!/bin/busybox sh
# The virtual machine's init, started by the kernel as process 1; see run.sh.
#
# The kernel's initial root cannot be left with pivot_root, which a sandbox's mount namespace, a copy of ours, would have
# to do. So all that is there moves to an ordinary tmpfs first, and this script goes on from there.
set -eu
export PATH=/bin:/sbin:/usr/bin:/usr/sbin

if [ "${1:-}" != second-stage ]; then
  /bin/busybox --install -s /bin
  mkdir -p /proc /sys /dev /new
  mount -t devtmpfs devtmpfs /dev
  while read -r module; do
    insmod "/modules/$module"
  done </modules/order
  mount -t tmpfs -o mode=755 tmpfs /new
  mkdir -p /new/tmp /new/run  # mounted before the copy, which may put files there
  mount -t tmpfs -o mode=1777 tmpfs /new/tmp
  mount -t tmpfs -o mode=755 tmpfs /new/run
  for entry in /*; do
    case $entry in
      /proc | /sys | /dev | /new | /modules) ;;
      *) cp -a "$entry" /new/ ;;  # switch_root removes what is here
    esac
  done
  mkdir -p /new/proc /new/sys /new/dev /new/root /new/mnt /new/etc /new/usr /new/var
  mount --move /dev /new/dev
  exec /new/bin/switch_root /new /init second-stage
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
# Everything here is tmpfs, which this kernel cannot idmap (6.3 can). What tests make lies in /tmp: give it a disk.
truncate -s 512M /disk
mke2fs -F /disk >/dev/null
mkdir /new-tmp
mount -t ext4 -o loop /disk /new-tmp
cp -a /tmp/. /new-tmp/  # files that run.sh was given may lie there
mount --move /new-tmp /tmp
chmod 1777 /tmp
mkdir -p /var/tmp /tmp/.var-tmp
chmod 1777 /tmp/.var-tmp
mount --bind /tmp/.var-tmp /var/tmp
mount --make-rshared /  # as systemd leaves it
chmod 666 /dev/net/tun  # as udev does
touch /etc/resolv.conf
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
# A group with a quota, for good: the kernel patches its scheduler's code with the first that comes and the last that goes,
# and an emulated processor now and then still meets the breakpoint that was there meanwhile ("Oops: int3").
mkdir /sys/fs/cgroup/quota
echo "200000 100000" >/sys/fs/cgroup/quota/cpu.max
ip link set lo up
hostname vm
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >/etc/passwd
printf 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n' >/etc/group

# The output goes through a pipe, as it would under ctest, and leaves unchanged by the terminal.
stty -F /dev/ttyS0 raw -echo
stty -F /dev/ttyS2 raw -echo
mkfifo /run/output
cat /run/output >/dev/ttyS0 &
writer=$!
status=0
(cd /root && HOME=/root exec sh /command) </dev/null >/run/output 2>&1 || status=$?

# A process that the command left behind may hold the pipe open; the answer does not wait for it.
tries=0
while kill -0 "$writer" 2>/dev/null && [ "$tries" -lt 20 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
echo "$status" >/dev/ttyS2
sleep 0.1  # for the serial ports to drain
poweroff -f
