#!/usr/bin/env python3
"""Every test that the documentation names is there.

usage: named_tests.py ROOT

A test is named as `Suite.Name` in docs/**/*.md, with the backticks and the capital letter; Name may hold "*".
"""

import fnmatch
import pathlib
import re
import sys

DEFINED = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.MULTILINE)
NAMED = re.compile(r"`([A-Z]\w+)\.([\w*]+)`")


def defined_tests(texts):
    """{suite: {names}}, without the disabled ones."""
    tests = {}
    for text in texts:
        for suite, name in DEFINED.findall(text):
            if not name.startswith("DISABLED_"):
                tests.setdefault(suite, set()).add(name)
    return tests


def check_text(document, text, tests):
    """The complaints about one document."""
    complaints = []
    for number, line in enumerate(text.splitlines(), 1):
        for suite, pattern in NAMED.findall(line):
            if not fnmatch.filter(tests.get(suite, ()), pattern):
                complaints.append(f"{document}:{number}: there is no test {suite}.{pattern}")
    return complaints


def main(arguments):
    root = pathlib.Path(arguments[0])
    tests = defined_tests(path.read_text() for path in (root / "tests").rglob("*.cc"))
    complaints = []
    for path in sorted((root / "docs").rglob("*.md")):
        complaints += check_text(path.relative_to(root).as_posix(), path.read_text(), tests)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
