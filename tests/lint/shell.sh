#!/usr/bin/env bash
# Checks that every shell script of the project parses: shell.sh ROOT
set -euo pipefail
cd "$1"
failed=0
while read -r -d '' file; do
  case $(head -n 1 "$file") in
    '#!'*bash | '# shellcheck shell=bash'*) bash -n "$file" || failed=1 ;;
    '#!'*sh) sh -n "$file" || failed=1 ;;
  esac
done < <(find .ci bench cli demo_image images packaging profiles runtime server tests -type f \
  \( -name '*.sh' -o ! -name '*.*' \) -print0 2>/dev/null)
exit "$failed"
