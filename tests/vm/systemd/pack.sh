#!/usr/bin/env bash
# pack.sh ROOT FILE: makes a file with an ext4 of what lies in ROOT, without what is mounted there. In a mount namespace of
# its own. A hook of mmdebstrap's.
set -euo pipefail

readonly root=$1 file=$2
readonly kSize=2G  # sparse

mount --bind "$root" "$root"  # not recursive
/sbin/mke2fs -q -t ext4 -d "$root" "$file" "$kSize"
