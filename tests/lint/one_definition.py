#!/usr/bin/env python3
"""Checks that no two types outside of anonymous namespaces have the same name.

usage: one_definition.py ROOT

Two of one name need not meet in a file to do harm: the linker keeps one of the two std::vector<Name>::begin() that
their users made, and nobody says so. Prints one line per name and exits 1 if there was one. A type that is declared in
a header and defined in the .cc file beside it ("struct Engine::Impl {") is no second one.
"""

import collections
import pathlib
import re
import sys

SUFFIXES = {".h", ".cc"}
FOLDERS = ("include", "runtime", "images", "profiles", "cli", "tests/support")
# Comments, raw strings, strings, characters.
SILENT = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
TOKEN = re.compile(
    r"namespace\s*([\w:]*)\s*\{|([{}])|\b(?:struct|class|union|enum(?:\s+class)?)\s+(\w+)\b(?!::)(?=[^;{}()<>]*\{)")


def types_in(text):
    """The qualified names of the types that are defined at the scope of a namespace with a name."""
    scopes = []  # names of namespaces, "" for the anonymous; None for any other brace
    for token in TOKEN.finditer(SILENT.sub(" ", text)):
        if token[0].startswith("namespace"):
            scopes.append(token[1])
        elif token[2] == "{":
            scopes.append(None)
        elif token[2] == "}":
            if scopes:
                scopes.pop()
        elif all(scopes):
            yield "::".join([*scopes, token[3]])


def check(root):
    places = collections.defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                for name in types_in(path.read_text()):
                    places[name].append(str(path.relative_to(root)))
    for name, files in sorted(places.items()):
        if len(files) > 1:
            yield f"{name} is defined in {' and in '.join(files)}: give one of them another name"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    problems = list(check(pathlib.Path(sys.argv[1]).resolve()))
    print("\n".join(problems or ["every type has one definition"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
