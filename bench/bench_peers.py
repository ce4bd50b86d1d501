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
    """One way; `commands` run one after the other on the clock, from what `clean` left."""

    def __init__(self, name, commands, clean=lambda: None, ours=False, unavailable="", environment=None, core=None,
                 server=None):
        self.name, self.commands, self.clean, self.ours = name, commands, clean, ours
        self.unavailable, self.core, self.server = unavailable, core, server
        self.environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"} | (environment or {})
        self.samples = []

    def before_exec(self):
        if self.core is not None:
            os.sched_setaffinity(0, {self.core})

    def meter(self):
        """What a server does for the row counts, too: (CPU seconds since now, largest process in KiB)."""
        if self.server is None:
            return lambda: (0.0, 0)
        before = cpu_of(self.server)
        return lambda: (cpu_of(self.server) - before, peak_of(self.server))


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


class Servers:
    """A registry and a docker daemon of our own, with nothing in them; ended with this."""

    def __init__(self, work, log):
        self.work, self.log, self.running = work, log, []
        self.registry = self.docker = None

    def __enter__(self):
        self.start_registry()
        self.start_docker()
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.terminate()
            process.wait()

    def start(self, argv, ready):
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.running.append(process)
        for _ in range(300):
            if process.poll() is not None:
                self.running.remove(process)
                return None
            if ready():
                return process
            time.sleep(0.1)
        raise BenchError(f"{argv[0]} is not ready after 30 seconds")

    def start_registry(self):
        if not shutil.which("docker-registry"):
            return
        port = free_port()
        settings = self.work / "registry.json"  # YAML, too
        settings.write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"}, "http": {"addr": f"127.0.0.1:{port}"},
            "storage": {"filesystem": {"rootdirectory": str(self.work / "registry")}}}))

        def listens():
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", port)) == 0

        if self.start(["docker-registry", "serve", settings], listens):
            self.registry = f"127.0.0.1:{port}"

    def start_docker(self):
        if not shutil.which("dockerd"):
            return
        path = self.work / "docker.sock"
        argv = ["dockerd", "--iptables=false", "--bridge=none", "--data-root", self.work / "docker",
                "--exec-root", self.work / "docker-exec", "--pidfile", self.work / "docker.pid", "--host", f"unix://{path}"]
        process = self.start(argv, lambda: subprocess.run(
            ["docker", "--host", f"unix://{path}", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=False).returncode == 0)
        if process:
            self.docker, self.docker_pid = f"unix://{path}", process.pid


def remove(*paths):
    def clean():
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)
    return clean


def missing(*tools):
    absent = [tool for tool in tools if not shutil.which(tool)]
    return f"no {absent[0]}" if absent else ""


def cove_row(name, build, store, arguments, core=None):
    return Row(name, lambda: [[build / "cove-image", "--store", store, *arguments]], remove(store), ours=True, core=core)


def tar_row(image, work):
    target = work / "tar"

    def commands():
        target.mkdir()
        return [["tar", "-C", target, "-xf", path] for path in image.tars] + [["sync", "-f", target]]

    return Row("tar -xf, syncfs", commands, remove(target))


def podman_row(name, work, arguments):
    root, run = work / "podman", work / "podman-run"
    own = ["podman", "--root", root, "--runroot", run, "--storage-driver", "overlay"]
    refused = missing("podman")
    if not refused and subprocess.run([*own, "images"], capture_output=True, check=False).returncode != 0:
        refused = "cannot run here"

    def clean():
        subprocess.run(["umount", root / "overlay"], stderr=subprocess.DEVNULL, check=False)
        remove(root, run)()

    return Row(name, lambda: [[*own, *arguments]], clean, unavailable=refused)


def docker_row(name, servers, arguments):
    if servers.docker is None:
        return Row(name, None, unavailable=missing("dockerd") or "cannot run here")
    own = ["docker", "--host", servers.docker]

    def clean():
        listed = subprocess.run([*own, "images", "-q"], capture_output=True, text=True, check=True).stdout.split()
        if listed:
            subprocess.run([*own, "rmi", "-f", *set(listed)], stdout=subprocess.DEVNULL, check=True)

    return Row(name, lambda: [[*own, *arguments]], clean, server=servers.docker_pid)


def load_rows(image, work, build, servers):
    reference = f"{image.layout}:{bench_images.NAME}"
    store, bundle = work / "store", work / "bundle"
    rows = [cove_row("cove image load", build, store, ["load", "--quiet", f"oci:{reference}"])]
    if len(image.tars) > 1:
        rows.append(cove_row("cove image load, one core", build, store, ["load", "--quiet", f"oci:{reference}"], core=0))
    rows.append(tar_row(image, work))
    rows.append(Row("umoci unpack", lambda: [["umoci", "unpack", "--image", reference, bundle]], remove(bundle),
                    unavailable=missing("umoci")))
    rows.append(podman_row("podman load", work, ["load", "-qi", image.archive]))
    rows.append(docker_row("docker load", servers, ["load", "-qi", image.archive]))
    return rows


def pull_rows(image, work, build, servers):
    name = f"{servers.registry}/{bench_images.NAME}:1"
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{image.layout}:{bench_images.NAME}",
                    f"docker://{name}"], check=True)
    store, layout, bundle = work / "store", work / "pulled", work / "bundle"
    both = [["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"oci:{layout}:1"],
            ["umoci", "unpack", "--image", f"{layout}:1", bundle]]
    return [cove_row("cove image pull", build, store, ["pull", "--quiet", name]),
            Row("skopeo copy, umoci unpack", lambda: both, remove(layout, bundle), unavailable=missing("umoci")),
            podman_row("podman pull", work, ["pull", "-q", "--tls-verify=false", name]),
            docker_row("docker pull", servers, ["pull", "-q", name])]


def rows(image, work, build, servers):
    """(title, rows) of every table of this image."""
    if missing("skopeo"):
        raise BenchError("no skopeo: it makes what docker and podman load")
    subprocess.run(["skopeo", "copy", "-q", f"oci:{image.layout}:{bench_images.NAME}",
                    f"docker-archive:{image.archive}:{bench_images.NAME}:1"], check=True)
    tables = [("Loading", load_rows(image, work, build, servers))]
    if servers.registry:
        tables.append(("Pulling", pull_rows(image, work, build, servers)))
    return tables
