"""The images that bench/images measures with, as OCI layouts, archives, and the plain tars in them."""

import gzip
import hashlib
import io
import json
import pathlib
import random
import subprocess
import tarfile

KINDS = ("python", "twelve", "files")
FILES = 60_000
LAYERS = 12
NAME = "bench"


class Image:
    """`layout`: a directory, tag "bench". `archive`: what docker load reads. `tars`: the layers, uncompressed."""

    def __init__(self, directory, description, tars):
        self.layout, self.archive = directory / "layout", directory / "docker.tar"
        self.description, self.tars = description, tars


def demo_layer(demo, directory):
    """The only layer of the demo image, uncompressed."""
    with tarfile.open(demo) as archive:
        members = {member.name: member for member in archive if member.isfile()}
        layer = max(members.values(), key=lambda member: member.size)
        compressed = archive.extractfile(layer)
        path = directory / "layer.tar"
        with gzip.open(compressed) as plain, open(path, "wb") as out:
            while piece := plain.read(1 << 20):
                out.write(piece)
    return path


def in_parts(source, directory):
    """The same files in LAYERS tars of about the same size."""
    paths = [directory / f"layer-{number}.tar" for number in range(LAYERS)]
    share = source.stat().st_size / LAYERS
    with tarfile.open(source) as whole:
        written, at = 0, 0
        out = tarfile.open(paths[0], "w", format=tarfile.PAX_FORMAT)
        for member in whole:
            if written > share * (at + 1) and at + 1 < LAYERS:
                out.close()
                at += 1
                out = tarfile.open(paths[at], "w", format=tarfile.PAX_FORMAT)
            if member.islnk():  # its target may be in another layer
                target = whole.getmember(member.linkname)
                member.type, member.size = tarfile.REGTYPE, target.size
                out.addfile(member, whole.extractfile(target))
            else:
                out.addfile(member, whole.extractfile(member) if member.isfile() else None)
            written += member.size + 1024
        out.close()
    return paths


def small_files(directory):
    """Text of up to 4 KiB in each of FILES files; the same every time."""
    path = directory / "layer.tar"
    words = random.Random(1)
    text = " ".join(str(words.random()) for _ in range(100_000)).encode()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        for number in range(FILES):
            entry = tarfile.TarInfo(f"srv/{number % 600:03}/{number:05}.txt")
            entry.size, entry.mode, entry.mtime = words.randrange(4096), 0o644, 1_700_000_000
            start = words.randrange(len(text) - 4096)
            out.addfile(entry, io.BytesIO(text[start:start + entry.size]))
    return [path]


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_layout(layout, tars):
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(document):
        text = json.dumps(document).encode()
        digest = hashlib.sha256(text).hexdigest()
        (blobs / digest).write_bytes(text)
        return {"digest": f"sha256:{digest}", "size": len(text)}

    layers = []
    for path in tars:
        compressed = path.with_suffix(".gz")
        with open(path, "rb") as plain, open(compressed, "wb") as out:
            subprocess.run(["gzip", "-6nc"], stdin=plain, stdout=out, check=True)
        digest, size = digest_of(compressed), compressed.stat().st_size
        compressed.rename(blobs / digest)
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}",
                       "size": size})
    config = put({"os": "linux", "architecture": machine(), "config": {"Cmd": ["true"]},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest_of(path)}" for path in tars]}})
    manifest = put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}, "layers": layers})
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest,
         "annotations": {"org.opencontainers.image.ref.name": NAME}}]}))


def machine():
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def make(kind, demo, directory):
    directory.mkdir()
    if kind == "files":
        tars = small_files(directory)
    else:
        layer = demo_layer(demo, directory)
        tars = [layer] if kind == "python" else in_parts(layer, directory)
    image = Image(directory, "", tars)
    write_layout(image.layout, tars)
    plain = sum(path.stat().st_size for path in tars)
    packed = sum(path.stat().st_size for path in pathlib.Path(image.layout / "blobs/sha256").iterdir())
    image.description = (f"{len(tars)} layer{'s' if len(tars) > 1 else ''}, {packed >> 20} MiB of gzip, "
                         f"{plain >> 20} MiB unpacked")
    return image
