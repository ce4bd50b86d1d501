#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the virtual machine with systemd: puts this run's files on the disk, and hands over to systemd;
# see run.sh. The disk is an ordinary root, which a sandbox's mount namespace, a copy of it, can leave with pivot_root.
set -eu
export PATH=/bin

/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /new
mount -t devtmpfs devtmpfs /dev
while read -r module; do
  insmod "/modules/$module"
done </modules/order
until [ -b /dev/vda ]; do
  sleep 0.1  # a driver finds its devices a moment after it was loaded; the time limit ends this
done
mount -t ext4 /dev/vda /new

# File by file: /lib and /bin are symbolic links there.
put() {  # put TREE
  [ -d "$1" ] || return 0
  (cd "$1" && find . -type f) | while read -r file; do
    # Of libraries, those of the disk come first; a link there may be meant from another root.
    [ "$1" = /files ] || { [ ! -e "/new/$file" ] && [ ! -L "/new/$file" ]; } || continue
    mkdir -p "/new/$(dirname "$file")"
    cp -p "$1/$file" "/new/$file"
  done
}
put /files
put /libraries

mount --move /dev /new/dev
exec switch_root /new /lib/systemd/systemd
