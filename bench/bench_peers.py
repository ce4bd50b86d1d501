"""The rows of bench/images: how Cove and others take an image in; and the servers that some of them need."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

import bench_images
from prepare import BenchError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TICKS = os.sysconf("SC_CLK_TCK")


class Row:
    """One way; `commands(directory)` run one after the other on the clock, behind `prepare(directory)`."""

    def __init__(self, name, commands, ours=False, unavailable="", core=None):
        self.name, self.commands, self.ours = name, commands, ours
        self.unavailable, self.core = unavailable, core
        self.environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
        self.samples = []

    def before_exec(self):
        if self.core is not None:
            os.sched_setaffinity(0, {self.core})

    def prepare(self, directory):
        pass

    def finish(self):
        pass

    def meter(self):
        """What a server does for the row counts, too: (CPU seconds since now, largest process in KiB)."""
        return lambda: (0.0, 0)


class PodmanRow(Row):
    def __init__(self, name, arguments):
        super().__init__(name, None, unavailable=missing("podman"))
        self.commands = lambda directory: [[*self.own(directory), *arguments]]

    @staticmethod
    def own(directory):
        return ["podman", "--root", directory / "root", "--runroot", directory / "run", "--storage-driver", "overlay"]

    def prepare(self, directory):
        self.overlay = directory / "root/overlay"

    def finish(self):
        subprocess.run(["umount", self.overlay], stderr=subprocess.DEVNULL, check=False)


class DockerRow(Row):
    """With a daemon of its own, which has no images yet."""

    def __init__(self, name, arguments, log):
        super().__init__(name, None, unavailable=missing("dockerd"))
        self.log, self.daemon = log, None
        self.commands = lambda directory: [["docker", "--host", self.address, *arguments]]

    def prepare(self, directory):
        self.address = f"unix://{directory}/docker.sock"
        self.daemon = start(["dockerd", "--iptables=false", "--bridge=none", "--data-root", directory / "data",
                             "--exec-root", directory / "exec", "--pidfile", directory / "pid", "--host", self.address],
                            lambda: subprocess.run(["docker", "--host", self.address, "version"], check=False,
                                                   capture_output=True).returncode == 0, self.log)

    def meter(self):
        before = cpu_of(self.daemon.pid)
        return lambda: (cpu_of(self.daemon.pid) - before, peak_of(self.daemon.pid))

    def finish(self):
        self.daemon.terminate()
        self.daemon.wait()


def descendants(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += descendants(int(child))
    return found


def cpu_of(pid):
    total = 0
    for process in descendants(pid):
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15]))  # its own and that of children it has waited for
    return total / TICKS


def peak_of(pid):
    peaks = [0]
    for process in descendants(pid):
        for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks.append(int(line.split()[1]))
    return max(peaks)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(argv, ready, log):
    """A server, once it is ready."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    for _ in range(300):
        if process.poll() is not None:
            raise BenchError(f"{argv[0]} ended with {process.returncode}")
        if ready():
            return process
        time.sleep(0.1)
    process.terminate()
    process.wait()
    raise BenchError(f"{argv[0]} is not ready after 30 seconds")


class Registry:
    """A docker-registry of our own, with nothing in it; ended with this. `address` is None where there is none."""

    def __init__(self, work, log):
        self.work, self.log = work, log
        self.address = self.process = None

    def __enter__(self):
        if missing("docker-registry"):
            return self
        port = free_port()
        settings = self.work / "registry.json"  # YAML, too
        settings.write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"}, "http": {"addr": f"127.0.0.1:{port}"},
            "storage": {"filesystem": {"rootdirectory": str(self.work / "registry")}}}))

        def listens():
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", port)) == 0

        self.process = start(["docker-registry", "serve", settings], listens, self.log)
        self.address = f"127.0.0.1:{port}"
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()


def missing(*tools):
    absent = [tool for tool in tools if not shutil.which(tool)]
    return f"no {absent[0]}" if absent else ""


def cove_row(name, build, arguments, core=None):
    return Row(name, lambda directory: [[build / "cove-image", "--store", directory / "store", *arguments]], ours=True,
               core=core)


def tar_commands(image):
    def commands(directory):
        target = directory / "root"
        target.mkdir()
        return [["tar", "-C", target, "-xf", path] for path in image.tars] + [["sync", "-f", target]]
    return commands


def load_rows(image, build, log):
    reference = f"{image.layout}:{bench_images.NAME}"
    load = ["load", "--quiet", f"oci:{reference}"]
    rows = [cove_row("cove image load", build, load)]
    if len(image.tars) > 1:
        rows.append(cove_row("cove image load, one core", build, load, core=0))
    rows.append(Row("tar -xf, syncfs", tar_commands(image)))
    rows.append(Row("umoci unpack", lambda directory: [["umoci", "unpack", "--image", reference, directory / "bundle"]],
                    unavailable=missing("umoci")))
    rows.append(PodmanRow("podman load", ["load", "-qi", image.archive]))
    rows.append(DockerRow("docker load", ["load", "-qi", image.archive], log))
    return rows


def pull_rows(image, build, registry, log):
    name = f"{registry}/{bench_images.NAME}:1"
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{image.layout}:{bench_images.NAME}",
                    f"docker://{name}"], check=True)

    def both(directory):
        layout = f"{directory}/layout:1"
        return [["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"oci:{layout}"],
                ["umoci", "unpack", "--image", layout, directory / "bundle"]]

    return [cove_row("cove image pull", build, ["pull", "--quiet", name]),
            Row("skopeo copy, umoci unpack", both, unavailable=missing("umoci")),
            PodmanRow("podman pull", ["pull", "-q", "--tls-verify=false", name]),
            DockerRow("docker pull", ["pull", "-q", name], log)]


def tables(image, build, registry, log):
    """(title, rows) of every table of this image."""
    if missing("skopeo"):
        raise BenchError("no skopeo: it makes what docker and podman load")
    subprocess.run(["skopeo", "copy", "-q", f"oci:{image.layout}:{bench_images.NAME}",
                    f"docker-archive:{image.archive}:{bench_images.NAME}:1"], check=True)
    yield "Loading", load_rows(image, build, log)
    if registry:
        yield "Pulling", pull_rows(image, build, registry, log)
