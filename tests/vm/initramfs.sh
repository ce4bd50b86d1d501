# shellcheck shell=bash disable=SC2154  # $here and $kCache are run.sh's
# What run.sh boots: a kernel of Debian's and the parts of an initramfs. To be sourced, with kCache and die() there.

# The last ones are for attacks to be seen to succeed, where nothing stops them.
readonly kModules=(virtio_pci virtio_blk overlay ext4 loop tun af_alg vsock xfrm_user nfnetlink)

# Of those below ROOT, which has boot/vmlinuz-RELEASE and lib/modules/RELEASE. Prints its release.
newest_kernel() {  # newest_kernel ROOT
  local image release
  for image in $(ls -v -r "$1"/boot/vmlinuz-*-cloud-amd64 2>/dev/null); do
    release=${image##*/vmlinuz-}
    if [ -r "$image" ] && [ -d "$1/lib/modules/$release" ]; then
      echo "$release"
      return
    fi
  done
}

pack() {  # pack DIRECTORY: everything below it as an initramfs part, owned by root
  (cd "$1" && find . -mindepth 1 -print0 | sort -z | cpio --quiet --null --create --format=newc --owner=0:0)
}

# BusyBox, the init given and the kernel's modules: the same for all runs, so made once. Prints its path.
base_part() {  # base_part ROOT RELEASE INIT TREE
  local root=$1 release=$2 init=$3 tree=$4 kind module key part
  kind=$(basename "$init" .sh)
  key=$({ echo "$release"; cat "$here/initramfs.sh" "$init" "$(command -v busybox)"; } | sha256sum | cut -c1-16)
  part=$kCache/$kind-$key.cpio
  if [ ! -f "$part" ]; then
    mkdir -p "$kCache" "$tree"/{bin,modules}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    cp "$init" "$tree/init"
    chmod 755 "$tree/init"
    for module in "${kModules[@]}"; do
      /sbin/modprobe --dirname "$root/" --show-depends --set-version "$release" "$module" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' | while read -r module; do
      case $module in
        *.xz) xz --decompress --stdout "$module" >"$tree/modules/$(basename "$module" .xz)" ;;
        *) cp "$module" "$tree/modules/" ;;
      esac
      basename "$module" .xz >>"$tree/modules/order"
    done
    pack "$tree" >"$tree.cpio"
    rm -f "$kCache/$kind"-*.cpio
    mv "$tree.cpio" "$part"
  fi
  echo "$part"
}

add_file() {  # add_file TREE FILE DEST LIBRARIES: below TREE at DEST, and what it is linked with below LIBRARIES
  mkdir -p "$1$(dirname "$3")"
  cp -L "$2" "$1$3"
  local library
  # ldd fails for what is not a dynamic executable: then there is nothing to add.
  { ldd "$2" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
    while read -r library; do
      mkdir -p "$4$(dirname "$library")"
      cp -L "$library" "$4$library"
    done
}
