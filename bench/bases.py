"""A base that others made, as docker archives of plain and of gzip layers: its description, and a child of it."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from measuring import Case
from verbs import CHECKOUT, PYTHON, derivation

LAYERS = 8
MEBIBYTE = 1 << 20
PLATFORM = {"os": "linux", "architecture": "amd64"}
INDEX = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dockertools_py.formats.members import ArchiveMembers
if len(sys.argv) > 2:
    assert "manifest.json" in ArchiveMembers(Path(sys.argv[2])).names()
"""


def base_cases(paths: list[str], folder: Path) -> Iterator[tuple[list[Case], int]]:
    """Groups of cases: descriptions, indexes, children. The files of `paths` are the base's, outside the store."""
    top = folder / "bases"
    top.mkdir()
    count = min(LAYERS, len(paths))
    layers = [_layer(paths[number::count], top / f"{number}.tar") for number in range(count)]
    diff_ids = [_digest(layer) for layer in layers]
    change = top / "change.tar"
    with tarfile.open(change, "w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("usr/share/change")
        info.size = MEBIBYTE
        tar.addfile(info, io.BytesIO(os.urandom(MEBIBYTE)))

    plain, packed = top / "base.tar", top / "base-gzip.tar"
    _docker_archive(plain, layers, diff_ids)
    for layer in layers:
        subprocess.run(["pigz", "-n", "-1", str(layer)], check=True)
    _docker_archive(packed, [layer.with_suffix(".tar.gz") for layer in layers], diff_ids)

    describe = [_described("base", plain, folder), _described("base in gzip", packed, folder)]
    hashed = [_hashed("hash base", plain), _hashed("hash base in gzip", packed)]
    indexing = [*PYTHON, "-c", INDEX, str(CHECKOUT)]
    yield [describe[0], hashed[0], Case("index base", [*indexing, str(plain)]), Case("start python", indexing)], 1
    yield [describe[1], hashed[1]], 1

    for name, archive, compressor in (("", plain, "none"), (" in gzip", packed, "gz")):
        copy = top / "copy.tar"
        theirs = Case(f"cp base{name}", ["cp", "--reflink=never", str(archive), str(copy)])
        theirs.before = lambda copy=copy: copy.unlink(missing_ok=True)  # type: ignore[misc]
        yield [_child(name, folder, change, compressor), theirs], 3


def _described(name: str, archive: Path, folder: Path) -> Case:
    spec = {"verb": "base", "file": str(archive), "argument": "fromImage", "imageName": None, "imageTag": None}
    return derivation(folder, name, spec | {"all": False, "platform": PLATFORM, "zstd": None})


def _child(name: str, folder: Path, change: Path, compressor: str) -> Case:
    """The archive of a child; its layer and its own description are made before."""
    base = folder / f"base{name}" / "out"
    outs = {
        step: str(folder / f"{step}{name}" / "out") for step in ("layer of child", "image of child", "blobs of child")
    }
    layer, image, blobs = outs.values()
    inherited = {"inheritConfig": "all", "allowPlatform": False}
    made = {"base": True, "bases": [str(base)], "layers": [layer], "config": {}, "created": "1970-01-01T00:00:01Z"}
    packing = {"layers": [layer], "except": [], "compressor": compressor, "level": 2, "zstd": None}
    steps = [
        derivation(folder, f"layer of child{name}", {"verb": "tar_layer", "tarball": str(change), "zstd": None}),
        derivation(folder, f"image of child{name}", {"verb": "image", "platform": PLATFORM, **made, **inherited}),
        derivation(folder, f"blobs of child{name}", {"verb": "blobs", **packing}),
    ]
    named = [{"image": image, "references": ["child:1"]}]
    archive = {"verb": "archive", "images": named, "blobs": [blobs], "format": "archive", "zstd": None}
    case = derivation(folder, f"child{name}", archive)
    for step in steps:
        step.run()
    return case


def _layer(paths: list[str], to: Path) -> Path:
    store = str(Path(paths[0]).parent)
    names = [Path(path).name for path in paths]
    subprocess.run(
        ["tar", "--sort=name", "--transform=s,^,usr/share/,S", "-C", store, "-cf", str(to), *names], check=True
    )
    return to


def _docker_archive(archive: Path, layers: list[Path], diff_ids: list[str]) -> None:
    config = json.dumps({**PLATFORM, "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    listed = {"Config": "config.json", "RepoTags": ["base:1"], "Layers": [layer.name for layer in layers]}
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("manifest.json", json.dumps([listed]).encode()), ("config.json", config)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for layer in layers:
            tar.add(layer, layer.name)


def _hashed(name: str, archive: Path) -> Case:
    return Case(name, [*PYTHON, str(Path(__file__).with_name("hashed.py")), str(archive)])


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
