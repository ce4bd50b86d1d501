#!/usr/bin/env python3
"""Checks that every #include follows an arrow of layering.txt.

usage: layering.py ROOT [ARROWS]

Reads the C++ files of each folder that layering.txt names. Prints one line per include that no arrow allows
and exits 1 if there was one.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".h", ".cc"}


class Folder:
    def __init__(self, allowed, only):
        self.allowed = allowed  # folders, some ending in "/*"
        self.only = only  # None, or the library headers that are allowed


def read_arrows(text):
    folders = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, arrow, rest = line.partition("->")
        if not arrow:
            raise ValueError(f"line {number}: no arrow")
        words, limited, headers = rest.partition("only")
        only = set(re.findall(r"<([^>]+)>", headers)) if limited else None
        folders[name.strip()] = Folder(words.split(), only)
    return folders


def folder_of(path, folders):
    """The line for path (relative to the root): its own, or that of the longest folder that holds it, or None."""
    holding = [name for name in folders if path == name or path.startswith(name + "/")]
    return max(holding, key=len, default=None)


def is_allowed(target_path, folder, name):
    """Whether a file of folder `name` may include target_path."""
    for allowed in folder.allowed:
        if allowed.endswith("/*"):
            if target_path.startswith(allowed[:-1]):
                return True
        elif target_path.startswith(allowed + "/"):
            return True
    return target_path == name or target_path.startswith(name + "/")


def is_standard(header):
    return re.fullmatch(r"[a-z_]+", header) is not None


def include_target(root, header):
    """The project file, relative to the root, that a header names, or None where it is not the project's."""
    for base in ("", "include/"):
        if (root / base / header).is_file():
            return base + header
    return None


def check_file(root, path, folders):
    relative = path.relative_to(root).as_posix()
    name = folder_of(relative, folders)
    folder = folders[name]
    # runtime/new_folder/x.cc falls under "runtime" unless it has a line of its own.
    inner = relative[len(name) + 1 :]
    listed_inside = any(other.startswith(name + "/") and "." not in other for other in folders)
    if "/" in inner and listed_inside:
        yield f"{relative}: folder {name}/{inner.split('/')[0]} has no line in layering.txt"
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        where = f"{relative}:{number}"
        target = include_target(root, header)
        if target is not None:
            if not is_allowed(target, folder, name):
                yield f"{where}: {name} may not include {header}"
        elif quote == '"':
            generated = folder_of(header, folders)  # a header that the build makes
            if generated is None:
                yield f'{where}: "{header}" is no path from the project\'s root'
            elif not is_allowed(header, folder, name):
                yield f"{where}: {name} may not include {header}"
        elif folder.only is not None and not is_standard(header) and header not in folder.only:
            yield f"{where}: {name} may not include <{header}>"


def check(root, arrows_text):
    folders = read_arrows(arrows_text)
    tops = sorted({name for name in folders if not any(name.startswith(other + "/") for other in folders)})
    for top in tops:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES:
                yield from check_file(root, path, folders)


def main(arguments):
    root = pathlib.Path(arguments[0]).resolve()
    arrows = pathlib.Path(arguments[1]) if len(arguments) > 1 else pathlib.Path(__file__).with_name("layering.txt")
    problems = list(check(root, arrows.read_text()))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
