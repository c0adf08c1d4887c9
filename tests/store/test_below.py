"""What lies below the layer at `/`: each file's content, found in the layer that has it, against layers laid out on a disk."""

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Kind
from dockertools_py.pack.draft import Draft
from dockertools_py.pack.layer import Layer, RootSource
from dockertools_py.pack.layer_content import content_of
from dockertools_py.store.below import Below
from dockertools_py.store.describe import describe
from dockertools_py.store.description import write_layers, write_places
from dockertools_py.store.opened_layer import open_layer
from tests.clients.need import need_root
from tests.formats.images import store_path
from tests.nix.opened import make_tar
from tests.oracle.stacks import StackOnDisk, stored


def description(folder: Path, *layers: Layer) -> Path:
    """As a derivation of ours writes it."""
    folder.mkdir()
    (folder / "spool").mkdir()
    write_layers(folder, layers)
    write_places(
        folder,
        [content_of(entry for entry, _ in open_layer(layer, folder / "spool").members()).places for layer in layers],
    )
    return folder


@pytest.mark.parametrize("seed", range(12))
def test_each_file_of_a_random_stack(seed: int, tmp_path: Path) -> None:
    need_root()
    (tmp_path / "disk").mkdir()
    (tmp_path / "blobs").mkdir()
    stack = StackOnDisk(tmp_path / "disk", [])
    generator = random.Random(seed)
    for _ in range(7):
        stack.add(generator)
    blobs = tmp_path / "blobs"
    layers = [stored(layer, blobs, "gz" if number % 2 else "none") for number, layer in enumerate(stack.layers)]
    folders = [description(tmp_path / "one", *layers[:3]), description(tmp_path / "two", *layers[3:])]
    below = Below(folders, tmp_path / "x", None)
    files = 0
    for name, node in below.tree.nodes():
        on_disk = stack.top / os.fsdecode(name)
        assert os.path.lexists(on_disk), name
        if node.entry.kind is Kind.FILE:
            files += 1
            assert below.read(node) == on_disk.read_bytes()
            if node.entry.size:
                path, size = below.copied(node)
                assert Path(os.fsdecode(path)).read_bytes() == on_disk.read_bytes() and size == node.entry.size
    assert files > 1


def test_accounts_of_a_compressed_layer_are_read_on_the_way_and_the_last_of_two_members_counts(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    twice = make_tar({"etc/passwd": b"first", "etc/group": b"group", "nix/store/x": b"?"})
    tar = twice[: 3 * 1024] + make_tar({"etc/passwd": b"second!", "opt/later": b"later"})
    layer = stored(tar, tmp_path / "blobs", "gz")
    folder = description(tmp_path / "d", layer)
    below = Below([folder], tmp_path / "x", None)
    for name, content in ((b"etc/group", b"group"), (b"etc/passwd", b"second!"), (b"opt/later", b"later")):
        node = below.tree.get(name)
        assert node is not None and below.read(node) == content
    assert not (tmp_path / "x").exists(), "nothing was uncompressed to the disk"
    assert Path(os.fsdecode(below.copied(node)[0])).read_bytes() == b"later"
    assert (tmp_path / "x").exists()


def test_files_of_packages_and_of_the_store(tmp_path: Path) -> None:
    package = store_path(tmp_path, "package", {"etc/passwd": b"linked", "bin/a": b"a"})
    copied = store_path(tmp_path, "copied", {"srv/x": b"content"})
    below = Below([description(tmp_path / "d", describe(RootSource((package,), (copied,))))], tmp_path / "x", None)
    node = below.tree.get(b"srv/x")
    assert node is not None and below.read(node) == b"content"
    link = below.tree.get(b"etc/passwd")
    assert link is not None and link.entry.kind is Kind.SYMLINK
    assert below.stored(link.entry.link[1:]) == b"linked"
    assert below.stored(link.entry.link[1:] + b"-gone") is None


def test_a_store_of_a_base_is_read_in_its_layers(tmp_path: Path) -> None:
    """Though this machine has such a path not at all."""
    (tmp_path / "blobs").mkdir()
    path = "/nix/store/00000000000000000000000000000000-nss"
    tar = make_tar({f"{path[1:]}/etc/passwd": b"root:x:0:0::/:\n", f"{path[1:]}-other": b"?"})
    layer = stored(tar, tmp_path / "blobs", "gz")
    layer = Layer(layer.diff_id, layer.size, layer.source, (path,), "nss")
    below = Below([description(tmp_path / "d", layer)], tmp_path / "x", None)
    assert below.stored(path[1:].encode() + b"/etc/passwd") == b"root:x:0:0::/:\n"
    assert below.stored(path[1:].encode() + b"/etc/group") is None
    assert below.stored(path[1:].encode()) is None
    assert below.stored(path[1:].encode() + b"-other") is None, "no path that the layer has whole"


@pytest.mark.parametrize("compressor", ["none", "gz"])
def test_a_hard_link_into_the_store_has_the_content_of_that_file(compressor: str, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    name = "nix/store/00000000000000000000000000000000-nss/passwd"
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            info = tarfile.TarInfo(name)
            info.size = 7
            tar.addfile(info, io.BytesIO(b"content"))
            info = tarfile.TarInfo("etc/passwd")
            info.type, info.linkname = tarfile.LNKTYPE, name
            tar.addfile(info)
        layer = stored(file.getvalue(), tmp_path / "blobs", compressor)
    below = Below([description(tmp_path / "d", layer)], tmp_path / "x", None)
    node = below.tree.get(b"etc/passwd")
    assert node is not None and node.entry.kind is Kind.FILE
    assert below.read(node) == b"content"
    draft = Draft((), below.tree, below, 1)
    assert draft.text(b"etc/passwd") == b"content"
    draft.change(b"etc/passwd", mode=0o600)
    (found,) = (entry for entry in draft.entries() if entry.name == b"etc/passwd")
    assert (found.kind, found.size, found.link, found.mode) == (Kind.FILE, 7, b"", 0o600)
    assert Path(os.fsdecode(found.path)).read_bytes() == b"content"


def test_a_layer_that_is_not_as_described(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    layer = stored(make_tar({"a": b"abc"}), tmp_path / "blobs")
    below = Below([description(tmp_path / "d", layer)], tmp_path / "x", None)
    node = below.tree.get(b"a")
    assert node is not None
    node.entry = node.entry._replace(size=4)
    with pytest.raises(DockertoolsError) as caught:
        below.read(node)
    assert str(caught.value) == f"{layer.label()}: a is not in it as it was described"
