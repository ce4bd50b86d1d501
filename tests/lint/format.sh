#!/usr/bin/env bash
# Checks that clang-format would change no C++ file of the project: format.sh ROOT [--fix]
set -euo pipefail
cd "$1"
mode=(--dry-run -Werror)
[ "${2:-}" != --fix ] || mode=(-i)
folders=()
for folder in include runtime images profiles cli server tests bench; do
  [ ! -d "$folder" ] || folders+=("$folder")
done
find "${folders[@]}" \( -name '*.h' -o -name '*.cc' \) -print0 |
  xargs -0 -r clang-format --style=file "${mode[@]}"
