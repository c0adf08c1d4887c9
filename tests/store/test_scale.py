"""Large input: memory stays flat, whatever the number and size of files and paths."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dockertools_py.model.image_config import DEFAULT_CREATED, ImageConfig
from dockertools_py.model.platform import Platform
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import PathsSource
from dockertools_py.store.describe import describe
from dockertools_py.store.description import write_image
from tests.conftest import CHECKOUT
from tests.oracle.stacks import stored

LIMIT = 100 << 20
"""Bytes of memory that a process of ours may have at most."""

# wait4 of a child of its own: the largest process that it had itself, as a Nix build of ours would be.
_MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(top: Path, spec: dict[str, object], graph: list[dict[str, object]]) -> int:
    """Build the layers of a graph as Nix would; peak memory of the largest process in bytes."""
    attributes = {
        "spec": spec,
        "outputs": {"out": str(top / "out")},
        "exportReferencesGraph": {"closure": []},
        "closure": graph,
    }
    (top / ".attrs.json").write_text(json.dumps(attributes))
    command = [sys.executable, "-I", "-S", "-B", str(CHECKOUT / "dockertools_py"), "derivation"]
    environment = {"NIX_BUILD_TOP": str(top), "NIX_BUILD_CORES": "2", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command], env=environment, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def spec(roots: list[Path]) -> dict[str, object]:
    common = {"verb": "layers", "copied": [], "copiedBelow": [], "below": [], "owner": [0, 0], "mtime": 1}
    return {**common, "roots": [str(root) for root in roots], "budget": 100}


def node(path: Path, size: int, references: list[Path] | None = None) -> dict[str, object]:
    return {"path": str(path), "narSize": size, "references": [str(reference) for reference in references or []]}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder as deep as the store is, so that a path below it is cut where a store path is."""
    (tmp_path / "store").mkdir()
    short = Path("/tmp") / f"scale-{os.getpid()}"
    short.symlink_to(tmp_path / "store")
    yield short
    short.unlink()


def layers(top: Path) -> list[dict[str, object]]:
    described: list[dict[str, object]] = json.loads((top / "out" / "layers.json").read_bytes())["layers"]
    return described


def test_one_directory_of_100000_files(tmp_path: Path, store: Path) -> None:
    folder = store / "0123456789abcdfghijklmnpqrsvwxyz-many"
    folder.mkdir()
    for number in range(100_000):
        os.close(os.open(folder / f"a-file-with-a-name-of-usual-length-{number}", os.O_CREAT | os.O_WRONLY))
    peak = run(tmp_path, spec([folder]), [node(folder, 20 << 20)])
    (layer,) = layers(tmp_path)
    # Parents, the folder, a header for each file, and the end.
    assert layer["size"] == 512 * (100_000 + 3) + 1024
    assert peak < LIMIT, peak


def test_one_file_of_gigabytes(tmp_path: Path, store: Path) -> None:
    file = store / "0123456789abcdfghijklmnpqrsvwxyz-large"
    size = 2 << 30
    with file.open("wb") as sparse:
        sparse.truncate(size)
    peak = run(tmp_path, spec([file]), [node(file, size)])
    (layer,) = layers(tmp_path)
    assert layer["size"] == size + 512 * 3 + 1024
    assert peak < LIMIT, peak


def test_3000_paths(tmp_path: Path, store: Path) -> None:
    paths = []
    for number in range(3000):
        path = store / f"{number:032}-path"
        path.write_text(str(number))
        paths.append(path)
    graph = [node(path, 2 << 20, paths[max(0, n - 20) : n]) for n, path in enumerate(paths)]
    peak = run(tmp_path, spec([paths[-1]]), graph)
    described = layers(tmp_path)
    assert len(described) == 100
    assert sum(len(layer["source"]["paths"]) for layer in described) == 3000  # type: ignore[index, misc]
    assert peak < LIMIT, peak


@pytest.mark.parametrize("verb", ["export", "flatten"])
@pytest.mark.parametrize("kind", ["gz", "paths"])
def test_a_tree_of_100000_files_as_one_tar(tmp_path: Path, store: Path, verb: str, kind: str) -> None:
    described = tmp_path / "image"
    described.mkdir()
    if kind == "gz":
        layer = stored(many_files(100_000), tmp_path, "gz")
    else:
        folder = store / "0123456789abcdfghijklmnpqrsvwxyz-many"
        folder.mkdir()
        for number in range(100_000):
            os.close(os.open(folder / f"a-file-with-a-name-of-usual-length-{number}", os.O_CREAT | os.O_WRONLY))
        layer = describe(PathsSource((str(folder),)))
    write_image(described, Image(ImageConfig(Platform("linux", "amd64")), ()).append([layer], DEFAULT_CREATED))
    peak = run(tmp_path, {"verb": verb, "images": [str(described)], "zstd": None}, [])
    out = tmp_path / "out"
    assert (out / "layer.tar" if verb == "flatten" else out).stat().st_size == layer.size
    assert peak < LIMIT, peak


def many_files(count: int) -> bytes:
    """A tar of so many files with a content, in a hundred directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        names = [f"usr/share/directory-{n // 1000:03}/a-file-with-a-name-of-usual-length-{n:06}" for n in range(count)]
        for name in sorted({*names, "usr", "usr/share", *(name.rpartition("/")[0] for name in names)}):
            member = tarfile.TarInfo(name)
            if name[-1].isdigit() and "a-file" in name:
                member.size = 10
                tar.addfile(member, io.BytesIO(b"0123456789"))
            else:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
        tar.fileobj.write(bytes(1024))  # type: ignore[union-attr]
        return buffer.getvalue()


def test_the_measure_sees_memory() -> None:
    """The limit is not kept by looking at the wrong process."""
    used = subprocess.run(
        [sys.executable, "-c", _MEASURE, sys.executable, "-c", f"bytearray(b'1') * {LIMIT}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(used.stdout) > LIMIT
