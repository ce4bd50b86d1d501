#!/usr/bin/env bash
# Runs a command in a small virtual machine: Debian's own kernel, pure cgroup v2, nothing mounted that a
# sandbox might lean on by accident. For what the kernel of this machine cannot show.
#
#   tests/vm/run.sh [--systemd root|user] [--time-limit SECONDS] [--memory MIB] [--with FILE[:DEST]]... -- COMMAND [ARG...]
#
# --with puts a file into the machine, at its own absolute path or at DEST, with the shared libraries it needs. The
# command finds BusyBox in /bin, and runs as root with stdin from /dev/null. What it writes comes out here on stdout
# (stderr is mixed in), and its exit status is ours; 124: the time limit, 125: the machine itself failed.
#
# With --systemd the machine is a small Debian that systemd has booted, with Debian's later kernel (6.12), on a disk (ext4)
# whose changes are lost. The command runs as root in a service of the system's, or as "user" (uid 1000, with subordinate ids) in a session of logind's, with
# a user manager, as after a login by ssh.
#
# QEMU by emulation (COVE_VM_ACCEL=kvm for KVM: not the default, since it may be there and hang); no network. First
# serial port: the command's output; second: the kernel's messages and init's; third: the exit status.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
kCache=$(realpath --canonicalize-missing "${COVE_VM_CACHE:-$here/../../build/vm}")
readonly kCache

die() { printf 'vm: %s\n' "$*" >&2; exit 125; }

# shellcheck source=tests/vm/initramfs.sh
source "$here/initramfs.sh"
# shellcheck source=tests/vm/systemd/kernel.sh
source "$here/systemd/kernel.sh"
# shellcheck source=tests/vm/systemd/disk.sh
source "$here/systemd/disk.sh"

need_programs() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is missing (packaging/install-packages.sh test)"
  done
}

machine=
clean_up() {
  # timeout(1) passes the signal on to QEMU.
  [ -z "$machine" ] || { kill "$machine" && wait "$machine"; } 2>/dev/null || true
  rm -rf "$work"
}

main() {
  local time_limit=300 memory=2048 with=() systemd='' file
  while [ $# -gt 0 ]; do
    case $1 in
      --systemd) systemd=$2; shift 2 ;;
      --time-limit) time_limit=$2; shift 2 ;;
      --memory) memory=$2; shift 2 ;;
      --with) with+=("$2"); shift 2 ;;
      --) shift; break ;;
      *) die "unknown option $1" ;;
    esac
  done
  [ $# -gt 0 ] || die "no command"
  need_programs qemu-system-x86_64 busybox cpio /sbin/modprobe
  case $systemd in
    '') ;;
    root | user) need_programs mmdebstrap /sbin/mke2fs /sbin/depmod xz ;;
    *) die "--systemd is for root or user" ;;
  esac
  mkdir -p "$kCache"
  work=$(mktemp --directory "$kCache/run.XXXXXX")
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  local kernel='' release init=$here/init.sh devices=() arguments='' tree=$work/tree
  local files=$tree libraries=$tree
  if [ -n "$systemd" ]; then
    local disk
    disk=$(systemd_disk "$work")
    kernel=$(later_kernel "$work")
    init=$here/systemd/boot.sh
    # Writes go to a file without a name, in TMPDIR.
    devices=(-drive "file=$disk,format=raw,if=virtio,snapshot=on")
    arguments=systemd.unit=machine.service
    files=$tree/files libraries=$tree/libraries
  fi
  release=$(newest_kernel "$kernel")
  [ -n "$release" ] || die "no $kernel/boot/vmlinuz-*-cloud-amd64 (packaging/install-packages.sh test)"
  local base
  base=$(base_part "$kernel" "$release" "$init" "$work/base")
  mkdir -p "$files"
  echo "${@@Q}" >"$files/command"
  echo "$systemd" >"$files/run-as"
  for file in "${with[@]}"; do
    local source=${file%%:*} target=${file#*:}
    [ -f "$source" ] || die "no file $source"
    [ "$target" != "$file" ] || target=$(realpath --no-symlinks "$source")
    add_file "$files" "$source" "$target" "$libraries"
  done
  { cat "$base"; pack "$tree"; } >"$work/initramfs"
  rm -rf "$tree"

  local status=0
  # The kernel reboots on a panic (panic=-1), which -no-reboot turns into an exit. In the background, so
  # that a signal ends this script, and the machine with it, at once.
  TMPDIR=$work timeout --foreground --kill-after=5 "$time_limit" qemu-system-x86_64 \
    -accel "${COVE_VM_ACCEL:-tcg,thread=multi}" -cpu max -smp 2 -m "$memory" -nodefaults -no-user-config -no-reboot \
    -display none -nic none -serial stdio -serial "file:$work/log" -serial "file:$work/status" "${devices[@]}" \
    -kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initramfs" \
    -append "console=ttyS1 quiet panic=-1 rdinit=/init $arguments" </dev/null 2>"$work/qemu" &
  machine=$!
  wait "$machine" || status=$?
  machine=
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then
    echo "vm: stopped after $time_limit seconds" >&2
    exit 124
  fi
  if ! [ -s "$work/status" ]; then
    tail -n 80 "$work/qemu" "$work/log" >&2
    die "the machine ended (qemu: $status) without the command's exit status; its last messages are above"
  fi
  exit "$(tr -d '\r\n' <"$work/status")"
}

main "$@"
