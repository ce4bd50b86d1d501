#!/usr/bin/env python3
"""Notes long files and functions; fails on very long files that do not say why.

usage: sizes.py ROOT

Over 400 lines a file gets a note. Over 700 it must hold a line `// long because: REASON`. A function of over 60
lines gets a note.
"""

import pathlib
import re
import sys

FOLDERS = ("include", "runtime", "images", "profiles", "cli", "server", "tests", "bench")
SUFFIXES = {".h", ".cc"}
NOTE_LINES = 400
REASON_LINES = 700
FUNCTION_LINES = 60
REASON = re.compile(r"^\s*// long because: \S", re.MULTILINE)
NOT_A_FUNCTION = re.compile(r"^(namespace|class|struct|enum|union|extern|constexpr|const|inline constexpr|static const)\b")


def functions(lines):
    """(first line number, length) of each function that starts in column 0; namespaces are not indented."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "}" and start is not None:
            yield start, number - start + 1
            start = None
        elif re.match(r"[A-Za-z_~]", line) and not NOT_A_FUNCTION.match(line):
            start = number if "(" in line else start
        elif re.match(r"(namespace|class|struct|enum|union|extern|};)", line):
            start = None


def check_text(name, text):
    """(failures, notes) for one file."""
    lines = text.splitlines()
    failures, notes = [], []
    if len(lines) > REASON_LINES and not REASON.search(text):
        failures.append(f"{name}: {len(lines)} lines; split it, or say `// long because: ...`")
    elif len(lines) > NOTE_LINES:
        notes.append(f"note: {name}: {len(lines)} lines")
    for start, length in functions(lines):
        if length > FUNCTION_LINES:
            notes.append(f"note: {name}:{start}: a function of {length} lines")
    return failures, notes


def main(arguments):
    root = pathlib.Path(arguments[0])
    failed = False
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                failures, notes = check_text(path.relative_to(root).as_posix(), path.read_text())
                failed = failed or bool(failures)
                for line in failures + notes:
                    print(line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
