#!/usr/bin/env bash
# What cppcheck sees, beside GCC's warnings and clang-tidy: cppcheck.sh ROOT
#
# Fails on any finding that cppcheck_suppressions.txt does not list with its reason.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v cppcheck >/dev/null || { echo "cppcheck is not installed (packaging/packages.txt, group test)" >&2; exit 1; }
cd "$1"
folders=()
for folder in bench cli images profiles runtime; do
  [ ! -d "$folder" ] || folders+=("$folder")
done
# One configuration, as on the processor that is supported: cppcheck would try others, with #error among them.
exec cppcheck --quiet --std=c++20 --enable=warning,performance,portability --error-exitcode=1 \
  --suppress=missingIncludeSystem --suppressions-list="$here/cppcheck_suppressions.txt" \
  --template='{file}:{line}: {message} [{id}]' -I include -I . -D_GNU_SOURCE -D__linux__ -D__x86_64__ "${folders[@]}"
