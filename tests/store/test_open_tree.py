"""The tree of a stack of layers as one tar, against GNU tar and the obvious way to lay layers out."""

import io
import os
import random
import resource
import tarfile
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.delta import delta
from dockertools_py.pack.flat import flat
from dockertools_py.pack.layer import Layer, PathsSource, RootSource
from dockertools_py.store.describe import describe
from dockertools_py.store.open_tree import Opener, OpenTree
from tests.clients.need import need_root
from tests.oracle.layer_tar import Member, tar_of
from tests.oracle.stacks import OPAQUE, StackOnDisk, remove, seen, stored, unpack

SEEDS = range(60)


def opened(layers: list[Layer], folder: Path) -> OpenTree:
    return Opener(folder, None).open(layers)


def exported(tree: OpenTree) -> bytes:
    return b"".join(tree.tar(flat(tree.tree)))


@pytest.fixture
def stack(tmp_path: Path) -> StackOnDisk:
    need_root()
    (tmp_path / "disk").mkdir()
    (tmp_path / "blobs").mkdir()
    return StackOnDisk(tmp_path / "disk", [])


@pytest.mark.parametrize("seed", SEEDS)
def test_random_stacks_against_a_disk(seed: int, stack: StackOnDisk, tmp_path: Path) -> None:
    generator = random.Random(seed)
    for _ in range(generator.randint(1, 5)):
        stack.add(generator)
    blobs = tmp_path / "blobs"
    tar = exported(opened([stored(layer, blobs, "gz") for layer in stack.layers], tmp_path / "spool"))
    (tmp_path / "again").mkdir()
    unpack(tar, tmp_path / "again")
    assert seen(tmp_path / "again") == seen(stack.top)
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        names = [member.name + "/" * member.isdir() for member in members]
    assert names == sorted(names, key=lambda name: name.encode())
    # However the layers are stored, and cut.
    plain = opened([stored(layer, blobs) for layer in stack.layers], tmp_path / "spool2")
    assert exported(plain) == tar
    assert exported(opened([stored(tar, blobs)], tmp_path / "spool3")) == tar


def test_the_stacks_have_everything(stack: StackOnDisk) -> None:
    """What the random tests compare is there: whiteouts, opaque directories, hard links, devices, owners, xattrs."""
    generator = random.Random(1)
    members = []
    linked = noted = 0
    for _ in range(60):
        stack.add(generator)
        with tarfile.open(fileobj=io.BytesIO(stack.layers[-1])) as tar:
            members += tar.getmembers()
        shown = seen(stack.top)
        linked += sum(one[7] != name for name, one in shown.items() if one[7])
        noted += sum(bool(one[6]) for one in shown.values())
    assert {one.type for one in members} == {b"0", b"1", b"2", b"3", b"4", b"5", b"6"}
    assert {one.uid for one in members} == {0, 1000, 3_000_000}
    names = [one.name.rpartition("/")[2] for one in members]
    assert OPAQUE in names
    assert any(name.startswith(".wh.") and name != OPAQUE for name in names)
    assert linked > 10
    assert noted > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_random_deltas(seed: int, stack: StackOnDisk, tmp_path: Path) -> None:
    """The delta on top of the first image, and its tarball unpacked over it, show what the second shows."""
    generator = random.Random(1000 + seed)
    for _ in range(generator.randint(1, 3)):
        stack.add(generator)
    other = stack.copy(tmp_path / "other")
    for _ in range(generator.randint(0, 2)):
        stack.add(generator)
    for _ in range(generator.randint(0, 3)):
        other.add(generator)
    blobs = tmp_path / "blobs"
    opener = Opener(tmp_path / "spool", None)
    # Nothing of the second is known to be the first's: each content is compared.
    old = opener.open([stored(layer, blobs) for layer in stack.layers])
    new = Opener(tmp_path / "spool2", None).open([stored(layer, blobs, "gz") for layer in other.layers])
    found = delta(old.tree, new.tree, lambda one, two: old.same_content(one, new, two))
    wanted = seen(other.top, times=False)

    layer = b"".join(new.tar(found.layer(1)))
    layers = [stored(layer, blobs) for layer in [*stack.layers, layer]]
    (tmp_path / "again").mkdir()
    unpack(exported(opener.open(layers)), tmp_path / "again")
    assert seen(tmp_path / "again", times=False) == wanted

    for name in found.removals():
        remove(stack.top / name.decode())
    unpack(b"".join(new.tar(found.members)), stack.top)
    assert seen(stack.top, times=False) == wanted


def test_the_same_image_has_no_delta(stack: StackOnDisk, tmp_path: Path) -> None:
    generator = random.Random(7)
    for _ in range(4):
        stack.add(generator)
    opener = Opener(tmp_path / "spool", None)
    old, new = (
        opener.open([stored(layer, tmp_path / "blobs", how) for layer in stack.layers]) for how in ("none", "gz")
    )
    found = delta(old.tree, new.tree, lambda one, two: old.same_content(one, new, two))
    assert (found.members, found.gone, found.replaced) == ((), (), ())


def test_many_layers_need_few_descriptors(tmp_path: Path) -> None:
    layers = [tar_of([Member(b"f%d" % number, b"0", 0o644, b"%d" % number)]) for number in range(120)]
    (tmp_path / "blobs").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        tar = exported(opened([stored(layer, tmp_path / "blobs") for layer in layers], tmp_path / "spool"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        assert len(members.getnames()) == 120


def test_layers_of_store_paths_are_read_from_the_store(tmp_path: Path) -> None:
    top = tmp_path / "package"
    (top / "bin").mkdir(parents=True)
    (top / "bin/tool").write_text("run")
    (top / "bin/tool").chmod(0o755)
    (top / "empty").write_text("")
    layers = [describe(source) for source in (PathsSource((str(top),)), RootSource((), (str(top),)))]
    tar = exported(opened(layers, tmp_path / "spool"))
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        found = {member.name: (member.mode, member.mtime) for member in members}
        content = members.extractfile(f"{top}/bin/tool"[1:])
        assert content is not None
        assert content.read() == b"run"
    assert found["bin/tool"] == (0o755, 1) == found["bin"]
    assert found[f"{top}/empty"[1:]] == (0o444, 1)
    assert len(found) == 4 + len(top.parts[1:]) + 2 + 0


def test_the_same_content_in_the_store_and_in_a_tar(tmp_path: Path) -> None:
    """Read in pieces, to the last byte."""
    top, size = tmp_path / "package", (3 << 20) + 5
    top.write_bytes(bytes(size))
    name = str(top)[1:]
    store = opened([describe(PathsSource((str(top),)))], tmp_path / "spool")
    for number, (content, expected) in enumerate([(bytes(size), True), (bytes(size - 1) + b"1", False)]):
        layer = tarfile.TarInfo(name)
        layer.size = size
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(layer, io.BytesIO(content))
        other = opened([stored(buffer.getvalue(), tmp_path)], tmp_path / f"spool-{number}")
        one, two = store.tree.get(name.encode()), other.tree.get(name.encode())
        assert one is not None
        assert two is not None
        assert store.same_content(one, other, two) is expected
        assert other.same_content(two, store, one) is expected


def test_two_files_of_one_layer_are_not_the_same(tmp_path: Path) -> None:
    """Both images have the layer, and in the second `a` is a hard link to what is `b` in the first."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in (("a", b"1"), ("b", b"2")):
            one = member(name, size=1)
            tar.addfile(one, io.BytesIO(content))
    layers = [stored(layer, tmp_path) for layer in (buffer.getvalue(), made(member("a", tarfile.LNKTYPE, "b")))]
    opener = Opener(tmp_path / "spool", None)
    old, new = opener.open(layers[:1]), opener.open(layers)
    nodes = old.tree.get(b"a"), new.tree.get(b"a"), old.tree.get(b"b")
    assert nodes[0] is not None
    assert nodes[1] is not None
    assert nodes[2] is not None
    assert not old.same_content(nodes[0], new, nodes[1])
    assert old.same_content(nodes[2], new, nodes[1])


@pytest.mark.parametrize("size", [2, 4])
def test_a_file_of_the_store_that_has_another_size_by_now(size: int, tmp_path: Path) -> None:
    top = tmp_path / "package"
    top.write_text("123")
    tree = opened([describe(PathsSource((str(top),)))], tmp_path / "spool")
    top.write_bytes(bytes(size))
    with pytest.raises(DockertoolsError, match="its size is not the 3 bytes that it had"):
        exported(tree)


def made(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.type, one.linkname, one.size = kind, link, size
    return one


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (made(member("a", tarfile.LNKTYPE, "gone")), "a: a hard link to gone, which is no file here"),
        (made(member("a", tarfile.LNKTYPE, "../../etc/passwd")), "leads out of the tree by `..`"),
        (made(member("a/../../b")), "leads out of the tree by `..`"),
        (made(member(".wh..")), "a whiteout of nothing that a layer may hide"),
        (made(member("a/.wh...")), "a whiteout of nothing that a layer may hide"),
        (made(member(".wh.")), "a whiteout of nothing that a layer may hide"),
        (made(member("a/.wh.b/c")), "a whiteout of nothing that a layer may hide"),
        (made(member(".")), "the top of the tree, but no directory"),
        (made(member("a", size=5000))[:2000], "ends 3632 bytes too early"),
        (b"\1" * 600, "a tar header with"),
    ],
    ids=range(10),
)
def test_hostile_layers(layer: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DockertoolsError) as failed:
        exported(opened([stored(layer, tmp_path)], tmp_path / "spool"))
    assert message in str(failed.value)
    assert str(failed.value).startswith("layer ")
    assert str(failed.value).count("layer ") <= 2
    assert "\n" not in str(failed.value)


def test_a_blob_that_is_not_what_was_described(tmp_path: Path) -> None:
    layer = stored(made(member("a", size=5000)), tmp_path, "gz")
    wrong = Layer(layer.diff_id, layer.size - 512, layer.source, (), "a random layer")
    with pytest.raises(DockertoolsError, match="not the bytes that were described"):
        opened([wrong], tmp_path / "spool")


def test_thousands_of_nested_directories(tmp_path: Path) -> None:
    deep = "d/" * 2040
    tar = exported(opened([stored(made(member(deep + "file")), tmp_path)], tmp_path / "spool"))
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        assert sum(1 for _ in members) == 2041


def test_the_top_directory_is_kept_where_it_is_unusual(tmp_path: Path) -> None:
    usual, unusual = member("./", tarfile.DIRTYPE), member("./", tarfile.DIRTYPE)
    usual.mode, unusual.mode = 0o755, 0o700
    for number, (top, names) in enumerate([(usual, ["a"]), (unusual, [".", "a"])]):
        tree = opened([stored(made(top, member("a")), tmp_path)], tmp_path / f"spool-{number}")
        with tarfile.open(fileobj=io.BytesIO(exported(tree))) as tar:
            assert tar.getnames() == names


def test_what_aufs_noted_is_left_out(tmp_path: Path) -> None:
    notes = [member(".wh..wh.aufs"), member(".wh..wh.plnk", tarfile.DIRTYPE), member(".wh..wh.plnk/1.2")]
    tree = opened([stored(made(*notes, member("a")), tmp_path)], tmp_path / "spool")
    assert [name for name, _ in tree.tree.nodes()] == [b"a"]
