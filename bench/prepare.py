"""What bench/run measures with: an image, a store and a root filesystem that hold it, and the rows.

All of it lies in one work directory. Every function raises BenchError where a row could not be measured that
should be; a peer that is not installed, or that this host does not let run, is a row without samples that says so.
"""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import tarfile

IMAGE = "cove-bench"
TRUE = ["/bin/true"]
PYTHON = ["/usr/bin/python3", "-c", "print(1)"]
# Every limit by name, so that every mechanism is at work. What this host cannot hold is listed with the result.
LIMIT_OPTIONS = ["--memory", "256m", "--cpus", "1", "--pids-limit", "128", "--disk", "64m", "--timeout", "30",
                 "--output-limit", "1m", "--best-effort"]
LIMITS = {"memory": "256m", "cpus": 1, "pids_limit": 128, "disk": "64m", "output": "1m"}
BURST = 10
MOUNT_POINTS = ("proc", "dev", "tmp", "sys")


class BenchError(Exception):
    pass


def run(argv, **options):
    """The output of a command that must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)
    if done.returncode != 0:
        raise BenchError(f"{shlex.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


# --- The image ---


def small_root_files():
    """/bin/true and the libraries it loads, as paths of the host."""
    files = ["/bin/true"]
    for line in run(["ldd", "/bin/true"]).splitlines():
        files += [word for word in line.split() if word.startswith("/")][:1]
    return files


def make_small_image(work):
    """An OCI archive of /bin/true, its libraries and the directories that peers mount on."""
    def as_root(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    layer, layout, archive = work / "layer.tar", work / "small", work / "small.tar"
    with tarfile.open(layer, "w") as tar:
        for name in (*MOUNT_POINTS, "etc"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path in small_root_files():
            tar.add(os.path.realpath(path), arcname=path.lstrip("/"), filter=as_root)
    run(["umoci", "init", "--layout", layout])
    run(["umoci", "new", "--image", f"{layout}:{IMAGE}"])
    run(["umoci", "raw", "add-layer", "--image", f"{layout}:{IMAGE}", layer])
    run(["umoci", "gc", "--layout", layout])
    run(["tar", "--directory", layout, "--create", "--file", archive, "."])
    return archive


def make_demo_image(source):
    archive = source / "build/demo/python-demo.tar"
    subprocess.run([source / "demo_image/build.sh", archive], check=True, stdin=subprocess.DEVNULL, stdout=2)
    return archive


def unpack(archive, work):
    """The root filesystem of an OCI archive, for the peers."""
    layout = work / "oci"
    layout.mkdir()
    run(["tar", "--directory", layout, "--extract", "--file", archive])
    index = layout / "index.json"
    if not index.is_file():
        raise BenchError(f"{archive} is no OCI archive, and umoci unpacks no other; try --small")
    tag = json.loads(index.read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    run(["umoci", "unpack", "--image", f"{layout}:{tag}", work / "unpacked"])
    shutil.rmtree(layout)
    rootfs = work / "unpacked/rootfs"
    # bwrap mounts on them, and cannot make them in a root that is bound read-only. Images may lack them.
    for name in MOUNT_POINTS:
        (rootfs / name).mkdir(exist_ok=True)
    return rootfs


# --- The rows ---


def row(name, program, role, ours=False, **measured):
    return {"name": name, "program": program, "role": role, "ours": ours} | measured


def make_bundle(runtime, rootfs, argv, bundle):
    """A bundle as `runc spec` writes it, for this root filesystem and command, without a terminal."""
    bundle.mkdir()
    run([runtime, "spec"], cwd=bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"]["args"] = argv
    config["root"]["path"] = str(rootfs)
    (bundle / "config.json").write_text(json.dumps(config))


class Peers:
    """The rows of other tools. Each is tried once for each program, before anything is measured."""

    def __init__(self, work, rootfs, environment):
        self.work, self.rootfs, self.environment = work, rootfs, environment
        self.undo = []  # commands, run by close(), that take back what lies outside of the work directory
        self.engines = {}  # podman, docker: the words that its commands start with, or what its rows have in place of figures

    def close(self):
        for argv in self.undo:
            subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, env=self.environment, check=False)

    def find(self, tool):
        return shutil.which(tool, path=self.environment["PATH"])

    def attempt(self, argv):
        return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=self.environment, check=False, timeout=60)

    def tried(self, name, program, role, argv, stdout, may_refuse=False):
        """`may_refuse`: a host may be one that this peer does not run on. Any other failure is ours, and an error."""
        done = self.attempt(argv)
        if may_refuse and done.returncode != 0:
            return row(name, program, role, unavailable="does not work here", reason=first_line(done.stderr))
        if done.returncode != 0 or done.stdout != stdout:
            raise BenchError(f"{shlex.join(argv)}: exit status {done.returncode}, printed {done.stdout!r}\n{done.stderr}")
        return row(name, program, role, argv=argv, stdout=stdout)

    def bwrap(self, program, command, stdout):
        name, bwrap = "bubblewrap", self.find("bwrap")
        if not bwrap:
            return row(name, program, "bwrap", unavailable="not installed")
        argv = [bwrap, "--unshare-all", "--ro-bind", str(self.rootfs), "/", "--proc", "/proc", "--dev", "/dev",
                "--tmpfs", "/tmp", *command]
        return self.tried(name, program, "bwrap", argv, stdout)

    def oci_runtime(self, tool, program, command, stdout):
        name, runtime = f"{tool} run", self.find(tool)
        if not runtime:
            return row(name, program, tool, unavailable="not installed")
        bundle = self.work / f"{tool}-{os.path.basename(command[0])}"
        make_bundle(runtime, self.rootfs, command, bundle)
        container = f"cove-bench-{os.getpid()}"
        start = [runtime, "--root", str(self.work / f"{tool}-state")]
        argv = [*start, "run", "--bundle", str(bundle), container]
        self.undo.append([*start, "delete", "--force", container])
        # crun wants pure cgroup v2 or v1.
        return self.tried(name, program, tool, argv, stdout, may_refuse=tool == "crun")

    def engine(self, tool, program, command, stdout):
        name = f"{tool} run"
        if tool not in self.engines:
            self.engines[tool] = self.prepare_engine(tool)
        start = self.engines[tool]
        if isinstance(start, dict):
            return row(name, program, tool, **start)
        argv = [*start, "run", "--rm", "--network", "none", IMAGE_OF_PEERS, *command]
        return self.tried(name, program, tool, argv, stdout, may_refuse=True)

    def prepare_engine(self, tool):
        """Imports the root filesystem; see `engines`."""
        program = self.find(tool)
        if not program:
            return {"unavailable": "not installed"}
        start = [program]
        if tool == "podman":  # docker's store is its daemon's
            start += ["--root", str(self.work / "podman"), "--runroot", str(self.work / "podman-run")]
        info = self.attempt([*start, "info"])
        if info.returncode != 0:
            return {"unavailable": "does not work here", "reason": first_line(info.stderr)}
        archive = self.work / "rootfs.tar"
        if not archive.exists():
            run(["tar", "--directory", self.rootfs, "--create", "--file", archive, "--numeric-owner", "."])
        run([*start, "import", archive, IMAGE_OF_PEERS], env=self.environment)
        self.undo.append([*start, "rmi", "--force", IMAGE_OF_PEERS])
        return start

    def rows(self, program, command, stdout):
        return [self.bwrap(program, command, stdout),
                self.oci_runtime("runc", program, command, stdout),
                self.oci_runtime("crun", program, command, stdout),
                self.engine("podman", program, command, stdout),
                self.engine("docker", program, command, stdout)]


IMAGE_OF_PEERS = f"{IMAGE}-{os.getpid()}"


def first_line(text):
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")


def library_spec(command):
    # "preferred" is what --best-effort makes of named limits.
    return {"image": IMAGE, "command": command, "resources": LIMITS, "timeout": "30s",
            "require": dict.fromkeys(("memory", "cpus", "pids", "disk", "output", "timeout"), "preferred")}


def rows_of(program, command, stdout, bare, cove, peers):
    """The rows of one program, in the order of the table."""
    spec = library_spec(command)
    cold = [cove, "run", *LIMIT_OPTIONS, IMAGE, "--", *command]
    return [
        row("bare spawn and wait", program, "bare", argv=command, stdout=stdout, **bare),
        row("Cove, library", program, "library", True, spec=spec, stdout=stdout, keep_output=True),
        row(f"Cove, library, {BURST} in succession, each", program, "burst", True, spec=spec, stdout=stdout, times=BURST),
        row("`cove run`", program, "cove", True, argv=cold, stdout=stdout),
        *peers.rows(program, command, stdout),
    ]


def steps_row(cove):
    """Not in the table: it only gives the steps of a `cove run`, from the same rounds."""
    argv = [cove, "run", "--json", *LIMIT_OPTIONS, IMAGE, "--", *TRUE]
    return row("`cove run --json`", "/bin/true", "steps", True, argv=argv, keep_output=True)


def all_rows(cove, rootfs, peers):
    rows = rows_of("/bin/true", TRUE, "", {}, cove, peers)
    if (rootfs / PYTHON[0].lstrip("/")).exists():
        # The image's own Python, which needs the image's root; the host may have another, or none.
        rows += rows_of("python3 -c 'print(1)'", PYTHON, "1\n", {"root": str(rootfs)}, cove, peers)
    return rows + [steps_row(cove)]
