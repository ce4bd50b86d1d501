#!/usr/bin/env bash
# Makes the demo image, an archive that `cove image load` reads:
#
#   demo_image/build.sh OUT.tar
#
# From the Dockerfile where buildah, podman or docker is installed and can reach a registry; else from
# Debian's packages (mmdebstrap) and umoci, with the apt sources of this machine. Nothing is made
# when OUT.tar is there already and was made from the same inputs (OUT.tar.inputs holds their hash).
# Works in a directory of its own beside OUT.tar, which is removed however the script ends.
set -euo pipefail

readonly kName=python-demo
readonly kBaseImage=debian:bookworm-slim  # as in the Dockerfile
readonly kSuite=bookworm
readonly kRegistrySeconds=20  # a registry that takes longer for the base image counts as unreachable

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
started=$SECONDS

say() { printf '[demo image %3ds] %s\n' $((SECONDS - started)) "$*"; }
die() { printf 'demo image: %s\n' "$*" >&2; exit 1; }

package_list() { sed 's/#.*//' "$here/packages.txt" | xargs; }

inputs_hash() {
  { cat "$here/build.sh" "$here/Dockerfile" "$here/packages.txt"; uname -m; } | sha256sum | cut -d' ' -f1
}

# The first image builder that is installed and has the base image or can pull it; empty if none.
usable_builder() {
  local tool
  for tool in buildah podman docker; do
    command -v "$tool" >/dev/null || continue
    if timeout "$kRegistrySeconds" "$tool" pull "$kBaseImage" >/dev/null 2>&1; then
      echo "$tool"
      return
    fi
    say "$tool is installed, but gives no $kBaseImage within $kRegistrySeconds seconds" >&2
  done
}

build_from_dockerfile() {
  local tool=$1 archive=$2
  say "building the Dockerfile with $tool"
  case $tool in
    buildah)
      buildah build -t "$kName" "$here" && buildah push "$kName" "oci-archive:$archive:$kName" ;;
    podman)
      podman build -t "$kName" "$here" && podman save --format oci-archive -o "$archive" "$kName" ;;
    docker)
      docker build -t "$kName" "$here" && docker save -o "$archive" "$kName" ;;
  esac
}

# "deb URI SUITE COMPONENT" for each Debian source that this machine's apt knows for the suite; other vendors' stay out.
debian_sources() {
  # shellcheck disable=SC2016  # apt expands $(...), not the shell
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | awk -v suite="$kSuite" '
      ($3 == suite || index($3, suite "-") == 1) && !seen[$0]++'
}

build_from_packages() {
  local work=$1 archive=$2
  command -v mmdebstrap >/dev/null || die "mmdebstrap is not installed (apt-get install mmdebstrap umoci)"
  command -v umoci >/dev/null || die "umoci is not installed (apt-get install mmdebstrap umoci)"
  debian_sources >"$work/sources.list"
  [ -s "$work/sources.list" ] || die "apt knows no Debian $kSuite packages here; run: apt-get update"

  # A proxy that this machine's apt is told of is needed by the one in the new root as well.
  local apt_options=() proxy
  proxy=$(apt-config shell value Acquire::http::Proxy | sed -n "s/^value='\(.*\)'$/\1/p")
  [ -z "$proxy" ] || apt_options+=("--aptopt=Acquire::http::Proxy \"$proxy\"")

  say "installing $(package_list) into an empty root (mmdebstrap; one to three minutes)"
  # No SOURCE_DATE_EPOCH: under it Python compiles its modules to the kind that is checked by reading
  # the source at every import. $1 in the hooks is the new root, given by mmdebstrap.
  # shellcheck disable=SC2016
  TMPDIR=$work mmdebstrap --variant=essential --skip=output/dev \
    --include="$(package_list | tr ' ' ,),passwd" \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "${apt_options[@]}" \
    --customize-hook='chroot "$1" useradd --uid 1000 --create-home --shell /bin/bash sandbox' \
    --customize-hook='rm -rf "$1"/usr/lib/python3/dist-packages/pandas/tests' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' \
    "$kSuite" "$work/layer.tar" "$work/sources.list" >"$work/log" 2>&1 ||
    { tail -n 40 "$work/log" >&2; die "mmdebstrap failed; its last lines are above"; }

  say "packing $(du -h "$work/layer.tar" | cut -f1) as an OCI image (umoci)"
  umoci init --layout "$work/oci"
  umoci new --image "$work/oci:$kName"
  umoci raw add-layer --image "$work/oci:$kName" "$work/layer.tar"
  umoci config --image "$work/oci:$kName" --config.cmd python3 --no-history \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --config.env LANG=C.UTF-8
  umoci gc --layout "$work/oci"
  tar --directory="$work/oci" --create --file="$archive" --sort=name --owner=0 --group=0 .
}

main() {
  [ $# -eq 1 ] || die "usage: build.sh OUT.tar"
  local out=$1 hash
  hash=$(inputs_hash)
  if [ -f "$out" ] && [ "$(cat "$out.inputs" 2>/dev/null)" = "$hash" ]; then
    say "$out is up to date"
    return
  fi

  mkdir -p "$(dirname "$out")"
  work=$(mktemp --directory "$(cd "$(dirname "$out")" && pwd)/.making.XXXXXX")
  # --one-file-system: should a mount of the new root have survived, it is not emptied.
  trap 'rm -rf --one-file-system "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  say "looking for an image builder"
  local builder
  builder=$(usable_builder)
  if [ -z "$builder" ] || ! build_from_dockerfile "$builder" "$work/image.tar"; then
    say "making the image from Debian packages instead"
    rm -f "$work/image.tar"
    build_from_packages "$work" "$work/image.tar"
  fi

  rm -f "$out.inputs"
  mv "$work/image.tar" "$out"
  echo "$hash" >"$work/inputs"
  mv "$work/inputs" "$out.inputs"
  say "$out: $(du -h "$out" | cut -f1)"
}

main "$@"
