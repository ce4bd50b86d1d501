#!/usr/bin/env python3
"""Tries Cove in every place where people would run it, and writes down what holds there.

usage: everywhere.py BUILD_DIRECTORY [--only PLACE]... [--reuse] [--document FILE] [--list]

In each place the survey is run (survey.cc: which mechanism was seen to hold each limit), then the integration tests. The
table in --document, between the lines that name this program, is written anew from all places; with --only it is printed
instead. With --reuse a place in which the very same programs were fine already is not visited again. Fails where a cell fails, or a test, or where a test is skipped without naming a fact.

Needs root, and the packages of the groups `test` and `everywhere` (packaging/packages.txt). Its containers, its Docker daemon and
its virtual machines are its own and end with it.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
import run_gtest  # noqa: E402

FILES = ("cove", "cove-launcher", "probe", "attacker", "survey", "integration_tests")
BEGIN = "<!-- made by tests/everywhere/everywhere.py: from here"
END = "<!-- made by tests/everywhere/everywhere.py: to here -->"
TESTS_TIME_LIMIT = 1500  # seconds; emulated machines are slow


def say(text):
    print(text, flush=True)


class Stage:
    """The programs in a directory that everybody may read, under the same path in every place."""

    def __init__(self, build):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="cove-everywhere-"))
        self.path.chmod(0o755)
        self.programs = self.path / "bin"
        self.programs.mkdir()
        for name in FILES:
            shutil.copy2(build / name, self.programs / name)
        self.home = self.path / "home"
        self.home.mkdir()

    def program(self, name):
        return str(self.programs / name)

    def environment(self):
        return {"COVE_COMMAND": self.program("cove"), "COVE_PROBE": self.program("probe"),
                "COVE_ATTACKER": self.program("attacker")}

    def with_environment(self, command):
        return ["env", *(f"{name}={value}" for name, value in self.environment().items()), *command]

    def container_root(self):
        """A tar file: BusyBox, and the programs."""
        root = self.path / "root"
        for directory in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "var/lib", "run"):
            (root / directory).mkdir(parents=True, exist_ok=True)
        (root / "tmp").chmod(0o1777)
        shutil.copy2(shutil.which("busybox"), root / "bin" / "busybox")
        for name in ("sh", "cat", "env", "rm"):
            if not (root / "bin" / name).exists():
                (root / "bin" / name).symlink_to("busybox")
        (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
        (root / "etc" / "group").write_text("root:x:0:\nuser:x:1000:\n")
        inside = root / str(self.programs).lstrip("/")
        if not inside.exists():
            shutil.copytree(self.programs, inside)
        archive = self.path / "root.tar"
        subprocess.run(["tar", "--numeric-owner", "--owner=0", "--group=0", "-C", root, "-cf", archive, "."], check=True)
        return archive

    def digest(self):
        """Of the programs: what was found with others says nothing of these."""
        digest = hashlib.sha256()
        for name in FILES:
            digest.update((self.programs / name).read_bytes())
        return digest.hexdigest()[:16]

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Place:
    """Where commands are run. `tier` is its name in tests/allowed_skips.txt."""

    tier = "host"
    needs = ()  # programs

    def __init__(self, key, title, stage):
        self.key, self.title, self.stage = key, title, stage

    def prefix(self):
        """What stands before a command that shall run there."""
        return []

    def missing(self):
        return [program for program in self.needs if not shutil.which(program)]

    @contextlib.contextmanager
    def ready(self):
        yield

    def run(self, command, time_limit=TESTS_TIME_LIMIT):
        return subprocess.run([*self.prefix(), *self.stage.with_environment(command)], stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=time_limit, check=False)


class User(Place):
    needs = ("unshare", "setpriv")

    def __init__(self, key, title, stage, subordinate_ids):
        super().__init__(key, title, stage)
        self.options = ["--subordinate-ids"] if subordinate_ids else []
        if subordinate_ids:
            self.needs = (*self.needs, "newuidmap")

    def prefix(self):
        return [str(HERE / "as_user.sh"), *self.options, str(self.stage.home / self.key)]


class Nested(User):
    """In a user namespace of a plain user's, as its root: the place of a rootless container without one's filter."""

    def prefix(self):
        # A shell is process 1, as an init would be, and not what is tested.
        return [*super().prefix(), "unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork",
                "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh"]


class Docker(Place):
    """A container of Docker's as it is by default: not privileged. `options` are what `cove doctor` asks for."""

    tier = "container"
    needs = ("dockerd", "docker", "containerd", "busybox")

    def __init__(self, key, title, stage, options=()):
        super().__init__(key, title, stage)
        self.options = list(options)
        self.directory = stage.path / key
        self.socket = f"unix://{self.directory}/socket"

    def docker(self, *words):
        return ["docker", "-H", self.socket, *words]

    def prefix(self):
        return self.docker("run", "--rm", "--init", "--network", "none", *self.options, "cove-everywhere")

    @contextlib.contextmanager
    def ready(self):
        self.directory.mkdir(exist_ok=True)
        daemon = ["dockerd", "--iptables=false", "--bridge=none", "-H", self.socket, "--data-root", self.directory / "data",
                  "--exec-root", self.directory / "exec", "--pidfile", self.directory / "pid"]
        with open(self.directory / "log", "w", encoding="utf-8") as log, \
             subprocess.Popen(daemon, stdout=log, stderr=log) as process:
            try:
                deadline = time.monotonic() + 30
                while subprocess.run(self.docker("info"), capture_output=True, check=False).returncode != 0:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise RuntimeError("dockerd did not start:\n" + (self.directory / "log").read_text()[-2000:])
                    time.sleep(0.2)
                subprocess.run(self.docker("import", str(self.stage.container_root()), "cove-everywhere"),
                               stdout=subprocess.DEVNULL, check=True)
                yield
            finally:
                process.terminate()
                process.wait(30)


class Podman(User):
    """A rootless container of Podman's."""

    tier = "container"
    needs = ("podman", "runc", "newuidmap", "busybox")

    def __init__(self, key, title, stage, options=()):
        super().__init__(key, title, stage, subordinate_ids=True)
        self.needs = Podman.needs
        self.container_options = list(options)

    def podman(self, *words):
        # crun refuses hosts where some controllers are v1's.
        runtime = [] if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists() else ["--runtime", "runc"]
        return [*super().prefix(), "podman", "--cgroup-manager", "cgroupfs", *runtime, *words]

    def prefix(self):
        # Not --init: catatonit hands down a mask that blocks SIGTSTP, which a test sends.
        return self.podman("run", "--rm", "--network", "none", *self.container_options, "cove-everywhere")

    @contextlib.contextmanager
    def ready(self):
        archive = self.stage.container_root()
        archive.chmod(0o644)
        subprocess.run(self.podman("import", str(archive), "cove-everywhere"), check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(self.podman("system", "reset", "--force"), check=False, capture_output=True)


class VirtualMachine(Place):
    """Debian's kernel and pure cgroup v2 (tests/vm/run.sh)."""

    tier = "vm"
    needs = ("qemu-system-x86_64", "busybox", "cpio")

    def __init__(self, key, title, stage, tier, options=()):
        super().__init__(key, title, stage)
        self.tier = tier
        self.options = list(options)

    def prefix(self):
        files = [word for name in FILES for word in ("--with", self.stage.program(name))]
        pasta = shutil.which("pasta")
        if pasta:
            files += ["--with", pasta]
        return [str(SOURCE / "tests" / "vm" / "run.sh"), *self.options, "--time-limit", str(TESTS_TIME_LIMIT - 30), *files, "--"]


def all_places(stage):
    profile = f"seccomp={SOURCE}/packaging/container/container-seccomp.json"
    return [
        Place("root", "root", stage),
        User("user-subuids", "user, subordinate ids", stage, subordinate_ids=True),
        User("user", "user, one id", stage, subordinate_ids=False),
        Nested("nested", "nested user namespace", stage, subordinate_ids=True),
        Docker("docker", "Docker container", stage),
        Docker("docker-cured", "Docker container, two options", stage,
               ["--security-opt", profile, "--security-opt", "systempaths=unconfined"]),
        Podman("podman", "rootless Podman container", stage),
        Podman("podman-cured", "rootless Podman container, two options", stage,
               ["--security-opt", profile, "--security-opt", "unmask=ALL"]),
        VirtualMachine("vm", "VM, cgroup v2, root", stage, "vm"),
        VirtualMachine("vm-systemd-root", "VM, systemd, root", stage, "vm-systemd-root", ["--systemd", "root"]),
        VirtualMachine("vm-systemd-user", "VM, systemd, user session", stage, "vm-systemd-user", ["--systemd", "user"]),
    ]


class Row:
    def __init__(self, place):
        self.place = place
        self.survey = {}
        self.tests = ""
        self.complaints = []

    def complain(self, text):
        self.complaints.append(f"{self.place.key}: {text}")


def survey(place, row):
    done = place.run([place.stage.program("survey")], 600)
    try:
        row.survey = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    except (StopIteration, json.JSONDecodeError):
        row.complain(f"the survey ended with {done.returncode} and left no report:\n{done.stdout[-2000:]}")
        return
    for name, found in row.survey["cells"].items():
        if found["cell"] == "FAILS":
            row.complain(f"{name} is said to hold, and does not: {found['why']}")
    if done.returncode != 0 and not row.complaints:
        row.complain(f"the survey ended with {done.returncode}")


def holds_nothing(row):
    return bool(row.survey) and all(found["cell"] == "refused" for found in row.survey["cells"].values())


def integration(place, row):
    if holds_nothing(row):
        row.tests = "none: every sandbox is refused"
        return
    done = place.run(["sh", "-c", run_gtest.REPORTING_SCRIPT, "sh", place.stage.program("integration_tests"), "--gtest_brief=1"])
    output, _, xml = done.stdout.partition(run_gtest.REPORT_FOLLOWS)
    if not xml.strip():
        row.complain(f"the tests ended with {done.returncode} and left no report:\n{output[-4000:]}")
        return
    report = run_gtest.Report(xml.strip())
    for complaint in run_gtest.judge(report, place.tier, None):
        row.complain(complaint)
    row.tests = f"{report.ran} passed, {len(report.skips)} skipped"
    if done.returncode != 0:
        failed = [line for line in output.splitlines() if line.startswith("[  FAILED  ]")]
        row.tests = "FAIL"
        row.complain("tests fail:\n" + output[-20000:] + "\n".join(failed))


class Saved:
    """Rows without a complaint, in the build directory."""

    def __init__(self, build, stage):
        self.directory = build / "everywhere" / stage.digest()

    def load(self, place):
        path = self.directory / f"{place.key}.json"
        if not path.exists():
            return None
        row = Row(place)
        row.survey, row.tests = json.loads(path.read_text(encoding="utf-8"))
        say(f"== {place.title}: as before, {row.tests}")
        return row

    def save(self, row):
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{row.place.key}.json"
        path.write_text(json.dumps([row.survey, row.tests]), encoding="utf-8")


def visit(place):
    row = Row(place)
    missing = place.missing()
    if missing:
        row.complain(f"{', '.join(missing)} missing (packaging/install-packages.sh test everywhere)")
        return row
    say(f"== {place.title}")
    try:
        with place.ready():
            survey(place, row)
            for name, found in row.survey.get("cells", {}).items():
                say(f"   {name:14} {found['cell']}")
            integration(place, row)
            say(f"   {'tests':14} {row.tests}")
    except (RuntimeError, subprocess.SubprocessError) as error:
        row.complain(str(error))
    for complaint in row.complaints:
        say(f"everywhere: {complaint}")
    return row


def first_sentence(text):
    """Without what only this machine's groups are called."""
    return re.sub(r"(/sys/fs/cgroup/\w+)/\S+", r"\1/...", text.splitlines()[0]).replace("|", "\\|")


def table(rows):
    """Markdown: the table, and below it why a cell is degraded or refused."""
    subjects = list(next(row.survey["cells"] for row in rows if row.survey))
    reasons = []

    def shown(found):
        why = found.get("why")
        if not why:
            return found["cell"]
        if why not in reasons:
            reasons.append(why)
        return f"{found['cell']} [{reasons.index(why) + 1}]"

    lines = ["| place | " + " | ".join([*subjects, "integration tests"]) + " |",
             "| --- |" + " --- |" * (len(subjects) + 1)]
    for row in rows:
        cells = [shown(row.survey["cells"][subject]) if row.survey else "?" for subject in subjects]
        lines.append("| " + " | ".join([row.place.title, *cells, row.tests or "?"]) + " |")
    lines += [""] + [f"{number}. {first_sentence(reason)}" for number, reason in enumerate(reasons, 1)]
    return "\n".join(lines)


def write_document(path, text):
    document = path.read_text(encoding="utf-8")
    before, rest = document.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    head = f"{BEGIN}, Linux {platform.release()}, {time.strftime('%Y-%m-%d')} -->"
    path.write_text(f"{before}{head}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--document", type=pathlib.Path)
    parser.add_argument("--reuse", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("it makes users, containers and virtual machines of its own: run it as root")

    stage = Stage(options.build)
    try:
        places = all_places(stage)
        unknown = set(options.only) - {place.key for place in places}
        if unknown or options.list:
            say("places: " + ", ".join(place.key for place in places))
            return 2 if unknown else 0
        saved = Saved(options.build, stage)
        rows = []
        for place in places:
            if options.only and place.key not in options.only:
                continue
            rows.append((options.reuse and saved.load(place)) or visit(place))
            if not rows[-1].complaints:
                saved.save(rows[-1])
    finally:
        stage.remove()

    if any(row.survey for row in rows):
        text = table(rows)
        if options.document and not options.only:
            write_document(options.document, text)
        else:
            say(text)
    failed = [row for row in rows if row.complaints]
    for row in failed:
        for complaint in row.complaints:
            say(f"everywhere: {complaint[:400]}")
    say(f"everywhere: {len(rows) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
