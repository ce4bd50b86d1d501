#!/usr/bin/env bash
# Installs a build, and builds and runs a program outside of it with find_package(Cove), the same linked statically, and
# the same and the program of docs/embedding.md with pkg-config:
#
#   tests/consumer/run.sh BUILD PREFIX CXX     PREFIX as BUILD was configured with
#
# Each program runs with the installation at PREFIX, where the library looks by itself (in a mount namespace; root
# only), and with the installation elsewhere, where it has to be told.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here build=$1 prefix=$2 cxx=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly installed=$work/stage$prefix

die() { printf 'consumer: %s\n' "$*" >&2; exit 1; }

# Nothing but what is installed may be found.
unset COVE_LIBEXEC CMAKE_PREFIX_PATH

install_cove() {
  DESTDIR=$work/stage cmake --install "$build" >"$work/install.log" || die "$(cat "$work/install.log")"
}

build_with_cmake() {
  cmake -S "$here" -B "$work/cmake" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_PREFIX_PATH="$installed" >"$work/cmake.log" 2>&1 || die "$(cat "$work/cmake.log")"
  cmake --build "$work/cmake" -j 2 >"$work/cmake.log" 2>&1 || die "$(cat "$work/cmake.log")"
}

build_with_pkg_config() {
  local flags kind
  PKG_CONFIG_PATH=$(dirname "$(find "$installed" -name cove.pc)")
  export PKG_CONFIG_PATH
  for kind in '' --static; do
    flags=$(pkg-config --cflags --libs $kind cove)
    # shellcheck disable=SC2086  # several words
    "$cxx" -std=c++20 "$here/main.cc" $flags ${kind:+-static} -o "$work/pkg_config$kind"
  done
}

# What docs/embedding.md shows is compiled and does what it says.
run_documented() {
  sed -n '/^```cpp$/,/^```$/{/^```/d;p}' "$here/../../docs/embedding.md" >"$work/documented.cc"
  # shellcheck disable=SC2046  # several words
  "$cxx" -std=c++20 "$work/documented.cc" $(pkg-config --cflags --libs cove) -o "$work/documented"
  echo "the program of docs/embedding.md:"
  COVE_LIBEXEC=$(cat "$work/cmake/libexec_dir") "$work/documented" | tee "$work/documented.out"
  [ "$(cat "$work/documented.out")" = "exited: hello, world" ] || die "docs/embedding.md promises another output"
}

# With what was installed bound over the deepest directory of the prefix that there is. Nothing of it outlives the command.
at_prefix() {
  local place=$prefix
  while [ ! -d "$place" ]; do place=$(dirname "$place"); done
  [ "$place" != / ] || die "cannot show an installation at $prefix: there is no such directory on this host"
  unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$work/stage$place" "$place" "$@"
}

run_all() {
  local program libexec
  libexec=$(cat "$work/cmake/libexec_dir")
  [ "$(realpath "$(pkg-config --variable=libexecdir cove)")" = "$(realpath "$libexec")" ] ||
    die "CMake and pkg-config do not agree on where cove-launcher is"
  for program in cmake/consumer cmake/consumer_static pkg_config pkg_config--static; do
    echo "$program, told where Cove is:"
    "$work/$program" "$libexec"
    [ "$(id -u)" = 0 ] || continue
    echo "$program, with Cove at $prefix:"
    at_prefix "$work/$program"
  done
  ! "$work/cmake/consumer" "$work" 2>"$work/refused" || die "a launcher was found where there is none"
  grep -q "find cove-launcher" "$work/refused" || die "another complaint: $(cat "$work/refused")"
}

is_static() { ! readelf -lW "$1" | grep -q INTERP; }

install_cove
build_with_cmake
build_with_pkg_config
is_static "$work/cmake/consumer_static" || die "consumer_static is not static"
is_static "$work/pkg_config--static" || die "pkg_config--static is not static"
run_documented
run_all
