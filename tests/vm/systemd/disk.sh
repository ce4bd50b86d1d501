# shellcheck shell=bash disable=SC2154  # $here and $kCache are run.sh's
# The disk of the virtual machine with systemd: a small Debian of essential packages, systemd, logind and a user manager.
# To be sourced by run.sh.

readonly kSuite=bookworm
readonly kPackages=systemd-sysv,dbus-user-session,libpam-systemd,passwd,uidmap

# "deb URI SUITE COMPONENT" for each Debian source that this machine's apt knows for the suite; other vendors' stay out.
debian_sources() {
  # shellcheck disable=SC2016  # apt expands $(...), not the shell
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | awk -v suite="$kSuite" '
      ($3 == suite || index($3, suite "-") == 1) && !seen[$0]++'
}

# Made once, in half a minute. Prints its path; runs must not write to it.
systemd_disk() {  # systemd_disk WORK
  local work=$1 key disk apt_options=() proxy
  key=$(cat "$here"/systemd/{disk,furnish,pack,machine}.sh "$here/systemd/machine.service" | sha256sum | cut -c1-16)
  disk=$kCache/systemd-$key.ext4
  if [ ! -f "$disk" ]; then
    debian_sources >"$work/sources.list"
    [ -s "$work/sources.list" ] || die "apt knows no Debian $kSuite packages here; run: apt-get update"
    # A proxy that this machine's apt is told of is needed by the one in the new root as well.
    proxy=$(apt-config shell value Acquire::http::Proxy | sed -n "s/^value='\(.*\)'$/\1/p")
    [ -z "$proxy" ] || apt_options+=("--aptopt=Acquire::http::Proxy \"$proxy\"")
    # $1 in the hooks is the new root, given by mmdebstrap.
    # shellcheck disable=SC2016
    TMPDIR=$work mmdebstrap --variant=essential --format=null --include="$kPackages" \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      "${apt_options[@]}" \
      --customize-hook="$here/systemd/furnish.sh \"\$1\"" \
      --customize-hook="unshare --mount $here/systemd/pack.sh \"\$1\" '$work/disk'" \
      "$kSuite" /dev/null "$work/sources.list" >"$work/mmdebstrap" 2>&1 ||
      { tail -n 40 "$work/mmdebstrap" >&2; die "mmdebstrap failed; its last lines are above"; }
    rm -f "$kCache"/systemd-*.ext4
    mv "$work/disk" "$disk"
  fi
  echo "$disk"
}
