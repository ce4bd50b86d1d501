#!/usr/bin/env bash
# Installs what packaging/packages.txt lists for the groups given, where it is missing:
#
#   packaging/install-packages.sh build run
#
# Silent and instant where everything is there. Needs root only where something is to be installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly list=$here/packages.txt

die() { printf 'install-packages: %s\n' "$*" >&2; exit 1; }

packages_of() {
  awk -v group="$1" '$1 == group { print $2 }' "$list"
}

main() {
  [ $# -gt 0 ] || die "usage: install-packages.sh GROUP... (build, run, recommended, test, everywhere, programs, fuzz)"
  command -v dpkg-query >/dev/null || die "this is not a Debian system; install the likes of $list yourself"

  local group wanted=() missing=() names
  for group in "$@"; do
    names=$(packages_of "$group")
    [ -n "$names" ] || die "no group \"$group\" in $list"
    mapfile -t -O "${#wanted[@]}" wanted <<<"$names"
  done

  # dpkg-query fails where a package is unknown to it, which is what we ask.
  local installed
  installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
    awk '$1 == "installed" { print $2 }' || true)
  mapfile -t missing < <(printf '%s\n' "${wanted[@]}" | sort -u | grep -vxF -f <(printf '%s\n' "$installed") || true)
  [ "${#missing[@]}" -gt 0 ] || return 0

  [ "$(id -u)" = 0 ] || die "missing: ${missing[*]}
install them as root: apt-get install ${missing[*]}"
  echo "Installing ${#missing[@]} Debian packages (a few minutes): ${missing[*]}"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null || {
    tail -n 40 "$log" >&2
    die "apt-get failed; its last lines are above"
  }
}

main "$@"
