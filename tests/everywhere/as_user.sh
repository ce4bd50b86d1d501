#!/usr/bin/env bash
# Runs a command as a plain user who has nothing of root's, on a machine that need not know that user.
#
#   as_user.sh [--subordinate-ids] HOME COMMAND [ARG...]
#
# Started by root. In a mount namespace of its own /etc/passwd, /etc/group, /etc/subuid and /etc/subgid are copies that name
# the user, with or without a range of subordinate ids. HOME is given to the user, and is all that it may write to beside /tmp.
set -euo pipefail

readonly kUser=cove-everywhere
readonly kId=60123         # and a group besides its own, to be dropped or told
readonly kOtherGroup=60124
readonly kRange=700000000:65536  # above what hosts give away

if [ "${1:-}" = --inside ]; then
  subordinate=$2 home=$3
  shift 3
  lies=$home/etc
  for name in passwd group subuid subgid; do
    [ -e "/etc/$name" ] || continue  # then nothing is found there, as it should be
    cp "/etc/$name" "$lies/$name"
    sed -i "/^$kUser:/d" "$lies/$name"
  done
  echo "$kUser:x:$kId:$kId::$home:/bin/sh" >>"$lies/passwd"
  echo "$kUser:x:$kId:" >>"$lies/group"
  if [ "$subordinate" = yes ]; then
    [ -e /etc/subuid ] && [ -e /etc/subgid ] || { echo "as_user: no /etc/subuid; install uidmap" >&2; exit 125; }
    echo "$kUser:$kRange" | tee -a "$lies/subuid" >>"$lies/subgid"
  fi
  for name in "$lies"/*; do
    mount --bind "$name" "/etc/$(basename "$name")"
  done
  export HOME=$home XDG_RUNTIME_DIR=$home/run TMPDIR=/tmp
  unset XDG_DATA_HOME XDG_CONFIG_HOME DBUS_SESSION_BUS_ADDRESS
  cd "$home"
  exec setpriv --reuid "$kId" --regid "$kId" --groups "$kId,$kOtherGroup" -- "$@"
fi

subordinate=no
if [ "${1:-}" = --subordinate-ids ]; then
  subordinate=yes
  shift
fi
[ $# -ge 2 ] || { echo "usage: as_user.sh [--subordinate-ids] HOME COMMAND [ARG...]" >&2; exit 125; }
home=$1
shift
mkdir -p "$home/etc" "$home/run"
chmod 700 "$home/run"
chown "$kId:$kId" "$home" "$home/run"
exec unshare --mount --propagation private "${BASH_SOURCE[0]}" --inside "$subordinate" "$home" "$@"
