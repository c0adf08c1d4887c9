"""The usual Nix streamer's way: tar every layer with `tarfile` to hash it, then tar it again into the archive on stdout.

bench/twopass.py REFERENCE COMMAND PATH...
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

MAX_LAYERS = 100
"""What is beyond goes in one more."""


class Counting:
    """A file that hashes and counts what is written, and forgets it or passes it on."""

    def __init__(self, sink: io.BufferedIOBase | None = None) -> None:
        self.hash, self.size, self.sink = hashlib.sha256(), 0, sink

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        if self.sink:
            self.sink.write(data)
        return len(data)


def clean(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = 1
    if member.islnk():
        member.type = tarfile.REGTYPE
    return member


def write_layer(paths: list[str], sink: Counting) -> None:
    with tarfile.open(fileobj=sink, mode="w|") as tar:  # type: ignore[call-overload]
        for path in paths:
            for file in [Path(path), *sorted(Path(path).rglob("*"))]:
                tar.add(file, arcname=str(file), recursive=False, filter=clean)


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


reference, command, *paths = sys.argv[1:]
layers = []
for group in [*([path] for path in paths[:MAX_LAYERS]), *filter(None, [paths[MAX_LAYERS:]])]:
    first = Counting()
    write_layer(group, first)
    layers.append((group, first))
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
    names = []
    for group, layer in layers:
        member = tarfile.TarInfo(f"{layer.hash.hexdigest()}/layer.tar")
        member.size = layer.size
        archive.addfile(member)  # its header; the content follows by hand
        write_layer(group, Counting(archive.fileobj))  # type: ignore[arg-type]
        archive.fileobj.write(bytes(-layer.size % 512))  # type: ignore[union-attr]
        archive.offset += layer.size - layer.size % -512
        names.append(member.name)
    diff_ids = [f"sha256:{layer.hash.hexdigest()}" for _, layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": command.split(" ", 2)},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    add(archive, "config.json", json.dumps(config).encode())
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": names}]
    add(archive, "manifest.json", json.dumps(manifest).encode())
