"""The bytes that this program writes, by their digests: tar, config, manifest, archive and compressed blobs."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.output import new_file
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.model.image_config import DEFAULT_CREATED, ImageConfig
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import RootSource
from dockertools_py.pack.verified import measure
from dockertools_py.store.compressed import Compression, compress_layers
from dockertools_py.store.describe import describe
from dockertools_py.store.produce import layer_chunks
from dockertools_py.store.tar_stream import tar_stream
from tests.golden import golden

ENTRIES = (
    Entry(b"d/", Kind.DIRECTORY, 0o1777, Owner(7, 8), 9),
    Entry(b"d/block", Kind.BLOCK, 0o660, device=(8, 1)),
    Entry(b"d/character", Kind.CHARACTER, 0o666, device=(1, 3)),
    Entry(b"d/empty", Kind.FILE, 0o600),
    Entry(b"d/fifo", Kind.FIFO, 0o644),
    Entry(b"d/file", Kind.FILE, 0o4755, Owner(3_000_000, 65534), size=5, data=b"bytes", xattrs=(("user.a", b"\0b"),)),
    Entry(b"d/hard", Kind.HARDLINK, 0o4755, link=b"d/file"),
    Entry(b"d/link", Kind.SYMLINK, 0o777, link=b"l" * 300),
    Entry(b"d/" + b"n" * 200, Kind.FILE, 0o644, size=3, data=b"\0\xff\n"),
    Entry("d/ümlaut".encode(), Kind.FILE, 0o644, size=1, data=b"x"),
)


@pytest.fixture(scope="module")
def image() -> Image:
    """Two layers: of the small trees beside this file, and of one of them for another owner and time."""
    trees = golden.FOLDER / "tree"
    sources = (
        RootSource((), tuple(str(trees / name) for name in ("bash", "python3"))),
        RootSource((), (str(trees / "perl"),), Owner(1000, 100), 86_400),
    )
    bare = Image(ImageConfig(Platform("arm64", "linux", "v8")), ())
    whole = bare.append((describe(source).named("golden") for source in sources), DEFAULT_CREATED)
    return whole.with_config(
        {"Cmd": ["/bin/bash"], "Env": ["A=ü", "B=2"], "Labels": {"b": "2", "a": "1"}}, DEFAULT_CREATED
    )


def archive_digest(image: Image, folder: Path, stored: Any, *, docker: bool = True) -> str:
    path = folder / "archive.tar"
    with new_file(path) as out:
        whole = bundle([NamedImage(image, (Reference.parse("example.org/golden:1"),))], stored)
        write_archive(whole, out, layer_chunks, docker=docker)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_tar() -> None:
    digest, size = measure(tar_stream(ENTRIES))
    assert size % 512 == 0
    golden.compare("tar", {"all kinds of entries": str(digest)})


def test_image(image: Image, tmp_path: Path) -> None:
    whole = bundle([NamedImage(image, ())], {})
    found = {f"diff_id {number}": str(diff_id) for number, diff_id in enumerate(image.config.diff_ids)}
    found |= {"config": str(image.image_id()), "manifest": str(whole.blobs[0].descriptor.digest)}
    found |= {"archive": archive_digest(image, tmp_path, {}), "oci": archive_digest(image, tmp_path, {}, docker=False)}
    golden.compare("image", found)


def test_gzip(image: Image, tmp_path: Path) -> None:
    """These follow zlib; its versions 1.2.13 and 1.3.1 (Debian 12 and 13) give the same."""
    found = {}
    for level in (1, 4, 9):
        (folder := tmp_path / f"{level}").mkdir()
        blobs = compress_layers(image.layers, folder, Compression("gz", level), 2)
        found |= {f"level {level}, blob {number}": str(blob.digest) for number, blob in enumerate(blobs.values())}
        found[f"level {level}, archive"] = archive_digest(image, tmp_path, blobs)
    golden.compare("gzip", found)


def test_a_changed_digest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(golden.ACCEPT, raising=False)
    with pytest.raises(
        AssertionError, match=r"x.json: other bytes than before:\n  a: None was noted, it is 1\n.*CHANGELOG"
    ):
        golden.compare("x", {"a": 1}, tmp_path)
    assert not (tmp_path / "x.json").exists()
    monkeypatch.setenv(golden.ACCEPT, "1")
    golden.compare("x", {"a": 1}, tmp_path)
    monkeypatch.setenv(golden.ACCEPT, "")
    golden.compare("x", {"a": 1}, tmp_path)
    with pytest.raises(AssertionError, match="a: 1 was noted, it is None"):
        golden.compare("x", {}, tmp_path)
