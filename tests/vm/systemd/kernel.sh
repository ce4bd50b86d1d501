# shellcheck shell=bash disable=SC2154  # $here and $kCache are run.sh's
# The kernel of the virtual machine with systemd: Debian's later one, since a plain user's sandboxes have a writable root
# from Linux 6.6 on. Not installed, but unpacked. To be sourced by run.sh.

readonly kKernelPackage=linux-image-6.12-cloud-amd64

# Made once. Prints a directory that has boot/vmlinuz-RELEASE and lib/modules/RELEASE.
later_kernel() {  # later_kernel WORK
  local work=$1 directory=$kCache/$kKernelPackage package release
  if [ ! -d "$directory" ]; then
    package=$(apt-cache depends "$kKernelPackage" | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$package" ] || die "apt knows no $kKernelPackage here; run: apt-get update"
    release=${package#linux-image-}
    mkdir -p "$work/package"
    (cd "$work/package" && apt-get download "$package" && dpkg-deb -x ./*.deb "$work/kernel" &&
      /sbin/depmod --basedir "$work/kernel" "$release") >"$work/download" 2>&1 ||
      { cat "$work/download" >&2; die "no $package"; }
    # Another run may have been faster.
    mv --no-target-directory "$work/kernel" "$directory" 2>/dev/null || [ -d "$directory" ] || die "no $directory"
  fi
  echo "$directory"
}
