#!/usr/bin/env python3
"""The executables and objects that are installed carry what packaging/hardening.cmake asks for.

usage: hardening.py --executables FILE... --objects FILE...

Executables are read as the kernel will map them (readelf): position independent, relocations read-only before main, a
stack and data that cannot be executed, code that cannot be written and lies in pages of its own, no search path for
libraries. Objects, and archives of them, are read for what the compiler was told, because in a static executable the
C library's own code would answer for ours: a stack protector, checked string functions and containers, probes of
large stack frames, marked targets of indirect branches.
"""

import argparse
import dataclasses
import os
import re
import subprocess
import sys

PAGE = 0x1000
SEGMENT = re.compile(r"^  ([A-Z_0-9]+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([R ][W ][E ]) ", re.MULTILINE)
MAPPED = re.compile(r"^   (\d\d) +(\S.*)$", re.MULTILINE)
DYNAMIC = re.compile(r"^ 0x\w+ \((\w+)\) +(.*)$", re.MULTILINE)
MEMBER = re.compile(r"^File: (.+)$", re.MULTILINE)
BRANCH_MARKS = {"x86_64": "IBT, SHSTK", "aarch64": "BTI, PAC"}
LARGE_FRAME = re.compile(r"\bsub +\$0x([0-9a-f]+),%rsp")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
CHECKED_FUNCTION = re.compile(r"\bU __\w+_chk$", re.MULTILINE)


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


@dataclasses.dataclass
class Executable:
    elf_type: str
    segments: list  # (type, "RWE"), in the order of the program headers
    sections: dict  # index of a segment -> the names of its sections
    dynamic: dict  # tag -> value


def read_executable(path):
    text = output_of("readelf", "-hldW", path)
    return Executable(
        elf_type=re.search(r"^  Type: +(\w+)", text, re.MULTILINE).group(1),
        segments=SEGMENT.findall(text),
        sections={int(index): names.split() for index, names in MAPPED.findall(text)},
        dynamic=dict(DYNAMIC.findall(text)),
    )


def flags_of(executable):
    return (executable.dynamic.get("FLAGS", "") + " " + executable.dynamic.get("FLAGS_1", "")).split()


def check_executable(executable):
    """What it lacks, as a list of sentences."""
    kinds = dict(executable.segments)
    flags = flags_of(executable)
    missing = []
    if executable.elf_type != "DYN" or "PIE" not in flags:
        missing.append("not position independent (-pie or -static-pie)")
    if "GNU_RELRO" not in kinds:
        missing.append("relocations stay writable (-z relro)")
    if executable.dynamic and "BIND_NOW" not in flags and "NOW" not in flags:
        missing.append("functions are bound lazily, so that their table stays writable (-z now)")
    if "E" in kinds.get("GNU_STACK", "E"):
        missing.append("its stack can be executed (-z noexecstack)")
    for index, (kind, rights) in enumerate(executable.segments):
        if kind == "LOAD" and "W" in rights and "E" in rights:
            missing.append(f"segment {index} can be written and executed")
        if kind == "LOAD" and "E" in rights and ".rodata" in executable.sections.get(index, []):
            missing.append("constants can be executed (-z separate-code)")
    for tag in ("RPATH", "RUNPATH"):
        if tag in executable.dynamic:
            missing.append(f"{tag} {executable.dynamic[tag]}")
    if "TEXTREL" in executable.dynamic or "TEXTREL" in flags:
        missing.append("code is relocated, and so written, at its start (compile with -fPIC or -fPIE)")
    return missing


def unmarked_members(notes, mark):
    """The objects in the output of `readelf -n` without the note for indirect branches."""
    pieces = MEMBER.split(notes)
    return [name for name, text in zip(pieces[1::2], pieces[2::2]) if mark not in text]


def unprobed_functions(disassembly):
    """Functions that step over a guard page: they take more than a page of stack at once."""
    function, found = "?", []
    for line in disassembly.splitlines():
        if named := FUNCTION.match(line):
            function = named.group(1)
        elif (taken := LARGE_FRAME.search(line)) and PAGE < int(taken.group(1), 16) < 1 << 31:
            found.append(function)
    return found


def check_objects(paths, machine=os.uname().machine):
    """What the objects, taken together, lack."""
    missing = []
    symbols = output_of("nm", "--undefined-only", *paths)
    if not re.search(r"\bU __stack_chk_fail$", symbols, re.MULTILINE):
        missing.append("no stack protector (-fstack-protector-strong)")
    if not CHECKED_FUNCTION.search(symbols):
        missing.append("no checked functions of the C library (_FORTIFY_SOURCE)")
    if "__glibcxx_assert_fail" not in symbols:
        missing.append("no checked containers (_GLIBCXX_ASSERTIONS)")
    if mark := BRANCH_MARKS.get(machine):
        for path in paths:
            notes = output_of("readelf", "-nW", path)
            notes = notes if MEMBER.search(notes) else f"File: {path}\n{notes}"
            missing += [f"{name}: targets of indirect branches are not marked" for name in unmarked_members(notes, mark)]
    if machine == "x86_64":
        for function in unprobed_functions(output_of("objdump", "-d", "--no-show-raw-insn", *paths)):
            missing.append(f"{function}: a large stack frame without probes (-fstack-clash-protection)")
    return missing


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executables", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--objects", nargs="+", required=True, metavar="FILE")
    chosen = parser.parse_args(arguments)
    complaints = [f"{path}: {what}" for path in chosen.executables for what in check_executable(read_executable(path))]
    complaints += check_objects(chosen.objects)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
