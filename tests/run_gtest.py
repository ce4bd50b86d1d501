#!/usr/bin/env python3
"""Runs a GoogleTest program and judges its skips.

usage: run_gtest.py [--vm | --vm-systemd root|user | --as-user] [--with FILE]... [--time-limit SECONDS] BINARY [ARGUMENT...]

A skip has to name the host fact that is missing, GTEST_SKIP() << "needs cgroup-v2 memory". Where the
environment has CI=true, tests/allowed_skips.txt has to list it as well. A run that
reaches no test fails. With --vm the program runs in the virtual machine of tests/vm/run.sh, to which --with adds files;
with --vm-systemd in the one that systemd has booted.
With --as-user, and started by root, it runs as a plain user, with a directory of its own for all that it makes.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
REPORT_FOLLOWS = "---- report of the tests ----"
# For sh -c, in a place whose files cannot be had afterwards: runs "$@", and puts its report behind its output.
REPORTING_SCRIPT = (
    '"$@" --gtest_output=xml:/tmp/cove-report.xml; status=$?; '
    f'echo "{REPORT_FOLLOWS}"; cat /tmp/cove-report.xml; rm -f /tmp/cove-report.xml; exit $status'
)
USER = 60123  # of --as-user: an id that is nobody's, and one group besides its own
GROUP_OF_USER = 60124


class Report:
    def __init__(self, xml_text):
        self.ran = 0
        self.skips = []  # (Suite.Test, message)
        for case in ElementTree.fromstring(xml_text).iter("testcase"):
            if case.get("status") != "run":
                continue  # disabled, or filtered out
            skipped = case.find("skipped")
            if skipped is None:
                self.ran += 1
            else:
                self.skips.append((f"{case.get('classname')}.{case.get('name')}", skip_message(skipped.get("message", ""))))


def skip_message(text):
    """The text given to GTEST_SKIP(), without the `file:line` that GoogleTest puts before it."""
    return re.sub(r"\A[^\n]*:\d+\n", "", text).strip().replace("\n", " ") 


def read_allowed(text):
    lines = (line.strip() for line in text.splitlines())
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def judge(report, tier, allowed):
    """The complaints about a report. allowed is None where every skip that names its reason is fine."""
    complaints = []
    if report.ran == 0 and not report.skips:
        complaints.append("no test was run")
    for name, message in report.skips:
        if not message.startswith("needs "):
            complaints.append(f'{name}: a skip must say what the host lacks, "needs ...", not "{message}"')
        elif allowed is not None and not any(each.fullmatch(f"{tier} {name}: {message}") for each in allowed):
            complaints.append(f"{name}: this skip is not in tests/allowed_skips.txt: {tier} {name}: {message}")
    return complaints


def run_here(binary, arguments, time_limit):
    """(exit status, XML report)"""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "report.xml"
        status = subprocess.run([binary, f"--gtest_output=xml:{path}", *arguments], timeout=time_limit, check=False).returncode
        return status, path.read_text() if path.exists() else ""


def run_as_user(binary, arguments, time_limit):
    """The same as run_here, without root's rights."""
    if os.geteuid() != 0:
        return run_here(binary, arguments, time_limit)
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, USER, USER)
        path = pathlib.Path(directory) / "report.xml"
        environment = dict(os.environ, HOME=directory, TMPDIR=directory, XDG_RUNTIME_DIR=directory)
        command = [os.path.abspath(binary), f"--gtest_output=xml:{path}", *arguments]
        status = subprocess.run(command, timeout=time_limit, check=False, cwd=directory, env=environment,
                                user=USER, group=USER, extra_groups=[GROUP_OF_USER]).returncode
        return status, path.read_text() if path.exists() else ""


def run_in_vm(binary, arguments, files, time_limit, systemd):
    command = [str(HERE / "vm" / "run.sh"), "--time-limit", str(time_limit)]
    if systemd:
        command += ["--systemd", systemd]
    for file in (binary, *files):
        command += ["--with", file]
    command += ["--", "sh", "-c", REPORTING_SCRIPT, "sh", os.path.abspath(binary), *arguments]
    report, in_report = [], False
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            if line.rstrip("\r\n") == REPORT_FOLLOWS:
                in_report = True
            elif in_report:
                report.append(line)
            else:
                print(line, end="", flush=True)
    return process.returncode, "".join(report)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--vm", dest="tier", action="store_const", const="vm", default="host")
    place.add_argument("--vm-systemd", dest="systemd", choices=["root", "user"])
    place.add_argument("--as-user", dest="tier", action="store_const", const="user")
    parser.add_argument("--with", dest="files", action="append", default=[])
    parser.add_argument("--time-limit", type=int, default=600)
    parser.add_argument("binary")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.systemd:
        options.tier = f"vm-systemd-{options.systemd}"

    try:
        if options.tier.startswith("vm"):
            status, xml_text = run_in_vm(options.binary, options.arguments, options.files, options.time_limit,
                                         options.systemd)
        elif options.tier == "user":
            status, xml_text = run_as_user(options.binary, options.arguments, options.time_limit)
        else:
            status, xml_text = run_here(options.binary, options.arguments, options.time_limit)
    except subprocess.TimeoutExpired:
        print(f"run_gtest: stopped after {options.time_limit} seconds")
        return 124
    if not xml_text.strip():
        print(f"run_gtest: {options.binary} ended with {status} and left no report")
        return status or 1

    report = Report(xml_text)
    in_ci = os.environ.get("CI", "").lower() in ("1", "true")
    allowed = read_allowed((HERE / "allowed_skips.txt").read_text()) if in_ci else None
    complaints = judge(report, options.tier, allowed)
    for complaint in complaints:
        print(f"run_gtest: {complaint}")
    print(f"run_gtest: {report.ran} ran, {len(report.skips)} skipped, exit status {status}")
    return status or (1 if complaints else 0)


if __name__ == "__main__":
    sys.exit(main())
