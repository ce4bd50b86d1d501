#!/usr/bin/env bash
# furnish.sh ROOT: what the disk of the virtual machine with systemd holds besides packages. A hook of mmdebstrap's.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here root=$1

# What the command does not need is not started: emulation is slow.
readonly kMasked=(
  systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket
  systemd-journal-flush.service systemd-random-seed.service systemd-update-utmp.service systemd-remount-fs.service
  systemd-sysusers.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-sysctl.service
  systemd-modules-load.service systemd-binfmt.service systemd-pstore.service kmod-static-nodes.service
  systemd-ask-password-console.path systemd-ask-password-wall.path proc-sys-fs-binfmt_misc.automount
  dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount
  sys-kernel-tracing.mount
)

echo vm >"$root/etc/hostname"
printf '%032d\n' 1 >"$root/etc/machine-id"
: >"$root/etc/resolv.conf"
chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash user
for unit in "${kMasked[@]}"; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done
cp "$here/machine.service" "$root/etc/systemd/system/"
cp "$here/machine.sh" "$root/machine.sh"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*
