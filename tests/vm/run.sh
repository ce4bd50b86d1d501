#!/usr/bin/env bash
# Runs a command in a small virtual machine: Debian's own kernel, pure cgroup v2, nothing mounted that a
# sandbox might lean on by accident. For what the kernel of this machine cannot show.
#
#   tests/vm/run.sh [--time-limit SECONDS] [--memory MIB] [--with FILE[:DEST]]... -- COMMAND [ARG...]
#
# --with puts a file into the machine, at its own absolute path or at DEST, with the shared libraries it needs. The
# command finds BusyBox in /bin, and runs as root with stdin from /dev/null. What it writes comes out here on stdout
# (stderr is mixed in), and its exit status is ours; 124: the time limit, 125: the machine itself failed.
#
# QEMU by emulation (COVE_VM_ACCEL=kvm for KVM: not the default, since it may be there and hang); no disk, no network. First serial port: the command's output;
# second: the kernel's messages and init's; third: the exit status.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# The last ones are for attacks to be seen to succeed, where nothing stops them.
readonly kModules=(overlay ext4 loop tun af_alg vsock xfrm_user nfnetlink)
readonly kCache=${COVE_VM_CACHE:-$here/../../build/vm}

die() { printf 'vm: %s\n' "$*" >&2; exit 125; }

newest_kernel() {
  local image release
  for image in $(ls -v -r /boot/vmlinuz-*-cloud-amd64 2>/dev/null); do
    release=${image#/boot/vmlinuz-}
    if [ -r "$image" ] && [ -d "/lib/modules/$release" ]; then
      echo "$release"
      return
    fi
  done
}

pack() {  # pack DIRECTORY: everything below it as an initramfs part, owned by root
  (cd "$1" && find . -mindepth 1 -print0 | sort -z | cpio --quiet --null --create --format=newc --owner=0:0)
}

# BusyBox, init and the kernel's modules: the same for all runs, so made once. Prints its path.
base_part() {
  local release=$1 tree=$2 module key part
  key=$({ echo "$release"; cat "$here/run.sh" "$here/init.sh" "$(command -v busybox)"; } | sha256sum | cut -c1-16)
  part=$kCache/base-$key.cpio
  if [ ! -f "$part" ]; then
    mkdir -p "$kCache" "$tree"/{bin,modules}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    cp "$here/init.sh" "$tree/init"
    chmod 755 "$tree/init"
    for module in "${kModules[@]}"; do
      /sbin/modprobe --show-depends --set-version "$release" "$module" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' | while read -r module; do
      cp "$module" "$tree/modules/"
      basename "$module" >>"$tree/modules/order"
    done
    pack "$tree" >"$tree.cpio"
    rm -f "$kCache"/base-*.cpio
    mv "$tree.cpio" "$part"
  fi
  echo "$part"
}

add_file() {  # add_file TREE FILE DEST
  mkdir -p "$1$(dirname "$3")"
  cp -L "$2" "$1$3"
  local library
  # ldd fails for what is not a dynamic executable: then there is nothing to add.
  { ldd "$2" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
    while read -r library; do
      mkdir -p "$1$(dirname "$library")"
      cp -L "$library" "$1$library"
    done
}

machine=
clean_up() {
  # timeout(1) passes the signal on to QEMU.
  [ -z "$machine" ] || { kill "$machine" && wait "$machine"; } 2>/dev/null || true
  rm -rf "$work"
}

main() {
  local time_limit=300 memory=2048 with=() file
  while [ $# -gt 0 ]; do
    case $1 in
      --time-limit) time_limit=$2; shift 2 ;;
      --memory) memory=$2; shift 2 ;;
      --with) with+=("$2"); shift 2 ;;
      --) shift; break ;;
      *) die "unknown option $1" ;;
    esac
  done
  [ $# -gt 0 ] || die "no command"
  for file in qemu-system-x86_64 busybox cpio /sbin/modprobe; do
    command -v "$file" >/dev/null || die "$file is missing (packaging/install-packages.sh test)"
  done
  local release
  release=$(newest_kernel)
  [ -n "$release" ] || die "no /boot/vmlinuz-*-cloud-amd64 (packaging/install-packages.sh test)"

  mkdir -p "$kCache"
  work=$(mktemp --directory "$kCache/run.XXXXXX")
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  local base tree=$work/tree
  base=$(base_part "$release" "$work/base")
  mkdir -p "$tree"
  echo "${@@Q}" >"$tree/command"
  for file in "${with[@]}"; do
    local source=${file%%:*} target=${file#*:}
    [ -f "$source" ] || die "no file $source"
    [ "$target" != "$file" ] || target=$(realpath --no-symlinks "$source")
    add_file "$tree" "$source" "$target"
  done
  { cat "$base"; pack "$tree"; } >"$work/initramfs"
  rm -rf "$tree"

  local status=0
  # The kernel reboots on a panic (panic=-1), which -no-reboot turns into an exit. In the background, so
  # that a signal ends this script, and the machine with it, at once.
  timeout --foreground --kill-after=5 "$time_limit" qemu-system-x86_64 \
    -accel "${COVE_VM_ACCEL:-tcg,thread=multi}" -cpu max -smp 2 -m "$memory" -nodefaults -no-user-config -no-reboot \
    -display none -nic none -serial stdio -serial "file:$work/log" -serial "file:$work/status" \
    -kernel "/boot/vmlinuz-$release" -initrd "$work/initramfs" \
    -append "console=ttyS1 quiet panic=-1 rdinit=/init" </dev/null 2>"$work/qemu" &
  machine=$!
  wait "$machine" || status=$?
  machine=
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then
    echo "vm: stopped after $time_limit seconds" >&2
    exit 124
  fi
  if ! [ -s "$work/status" ]; then
    tail -n 40 "$work/qemu" "$work/log" >&2
    die "the machine ended (qemu: $status) without the command's exit status; its last messages are above"
  fi
  exit "$(tr -d '\r\n' <"$work/status")"
}

main "$@"
