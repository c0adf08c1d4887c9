"""Sources become bytes: store paths, root file systems of links and copies, and stored blobs; each checked."""

import gzip
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Owner
from dockertools_py.model.media_type import OCI_LAYER_GZIP
from dockertools_py.pack.layer import BlobSource, Layer, PathsSource, RootSource, source_from_json
from dockertools_py.store.describe import describe, describe_all
from dockertools_py.store.produce import layer_chunks, stored_chunks, tar_chunks
from tests.formats.images import HASH, store_path


def listed(source: PathsSource | RootSource) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(map(bytes, tar_chunks(source))))) as archive:
        return {info.name: info for info in archive}


def conflict(source: RootSource) -> str:
    with pytest.raises(DockertoolsError) as caught:
        list(tar_chunks(source))
    return str(caught.value)


def test_paths_are_sorted_and_owned_as_asked(tmp_path: Path) -> None:
    one, two = store_path(tmp_path, "b", {"x": b"1"}), store_path(tmp_path, "a", {"y": b"2"})
    source = PathsSource((one, two), Owner(7, 8), 99)
    found = listed(source)
    assert list(found)[-4:] == [path[1:] for path in (two, two + "/y", one, one + "/x")]
    assert {(info.uid, info.gid, info.mtime) for name, info in found.items() if name.startswith(two[1:])} == {
        (7, 8, 99)
    }
    assert b"".join(map(bytes, tar_chunks(replace(source, paths=(two, one))))) == b"".join(
        map(bytes, tar_chunks(source))
    )


def test_links_and_copies_at_the_root(tmp_path: Path) -> None:
    one = store_path(tmp_path, "one", {"bin/a": b"a", "nix-support/propagated": b"x", "share/doc/x": b""})
    two = store_path(tmp_path, "two", {"bin/b": b"b"})
    found = listed(RootSource((one,), (two,)))
    assert {name: info.linkname for name, info in found.items()} == {
        "bin": "",
        "bin/a": f"{one}/bin/a",
        "bin/b": "",
        "share": "",
        "share/doc": "",
        "share/doc/x": f"{one}/share/doc/x",
    }
    assert (found["bin"].mode, found["bin/b"].mode) == (0o755, 0o644)


def test_a_store_path_that_is_a_link_to_another_is_copied_as_that(tmp_path: Path) -> None:
    one = store_path(tmp_path, "one", {"bin/a": b"a"})
    link = tmp_path / f"{HASH}-link"
    link.symlink_to(one)
    assert list(listed(RootSource((), (str(link),)))) == ["bin", "bin/a"]
    assert list(listed(RootSource((str(link),)))) == ["bin", "bin/a"]


def test_equal_files_of_two_packages_merge(tmp_path: Path) -> None:
    one, two = (store_path(tmp_path, name, {"etc/same": b"same", f"etc/{name}": b""}) for name in ("one", "two"))
    for source in (RootSource((one, two)), RootSource((), (one, two)), RootSource((one,), (two,))):
        assert list(listed(source)) == ["etc", "etc/one", "etc/same", "etc/two"]


def test_conflicts_name_both_packages_in_both_orders(tmp_path: Path) -> None:
    one, two = store_path(tmp_path, "one", {"etc/x": b"1"}), store_path(tmp_path, "two", {"etc/x": b"2"})
    end = "; take one of them out, or put a tree without it in its place"
    assert conflict(RootSource((one, two))) == f"/etc/x: different files in {one} and in {two}{end}"
    assert conflict(RootSource((two, one))) == f"/etc/x: different files in {two} and in {one}{end}"
    assert conflict(RootSource((), (two, one))) == f"/etc/x: different files in {two} and in {one}{end}"


def test_an_executable_and_a_plain_file_are_different(tmp_path: Path) -> None:
    one, two = store_path(tmp_path, "one", {"x": b"1"}), store_path(tmp_path, "two", {"x": b"1"})
    os.chmod(one + "/x", 0o755)
    assert conflict(RootSource((one, two))).startswith("/x: different files in ")


def test_a_file_and_a_directory(tmp_path: Path) -> None:
    one, two = store_path(tmp_path, "one", {"etc": b"1"}), store_path(tmp_path, "two", {"etc/x": b"1"})
    for source in (RootSource((one, two)), RootSource((two, one))):
        assert conflict(source).startswith("/etc/: a file and a directory in ")


def test_links_that_lead_to_the_same_place_merge_and_others_do_not(tmp_path: Path) -> None:
    one, two, three = (store_path(tmp_path, name, {}) for name in ("one", "two", "three"))
    for path, target in ((one, "lib64"), (two, "lib64"), (three, "other")):
        os.mkdir(path)
        os.symlink(target, path + "/lib")
    assert list(listed(RootSource((), (one, two)))) == ["lib"]
    assert conflict(RootSource((), (one, three))).startswith("/lib: different files in ")


def test_a_stored_blob_is_a_range_of_a_file(tmp_path: Path) -> None:
    plain = b"tar" * 1000
    data = gzip.compress(plain)
    (tmp_path / "blob").write_bytes(b"before" + data + b"after")
    source = BlobSource(str(tmp_path / "blob"), 6, len(data), Digest.of(data), OCI_LAYER_GZIP)
    assert b"".join(map(bytes, stored_chunks(source))) == data
    layer = Layer(Digest.of(plain), len(plain), source, (), "blob")
    assert b"".join(map(bytes, layer_chunks(layer))) == plain
    with pytest.raises(DockertoolsError, match=r"^layer \w{12} \(blob\): not the bytes that were described"):
        list(layer_chunks(replace(layer, diff_id=Digest.of(b"other"))))
    with pytest.raises(DockertoolsError, match=r"/blob: ends 1000 bytes before the end of the layer in it$"):
        list(stored_chunks(replace(source, size=len(data) + 1005)))


def test_a_layer_that_changed_names_its_store_paths(tmp_path: Path) -> None:
    path = store_path(tmp_path, "p", {"x": b"1"})
    layer = describe(PathsSource((path,)))
    Path(path, "x").write_bytes(b"2")
    with pytest.raises(DockertoolsError) as caught:
        list(layer_chunks(layer))
    text = str(caught.value)
    assert text.startswith(
        f"layer {layer.diff_id.hex[:12]} (store: p): not the bytes that were described; changed since"
    )
    assert path[:60] in text


def test_descriptions_and_sources_survive_json(tmp_path: Path) -> None:
    paths = PathsSource((store_path(tmp_path, "p", {"x": b"1"}),), Owner(1, 2), 3)
    for source in (paths, RootSource(paths.paths, (), Owner(4, 5), 6), BlobSource("f", 1, 2, Digest.of(b""))):
        assert source_from_json(source.to_json()) == source
    layer = describe(paths)
    assert Layer.from_json(layer.to_json()) == layer
    with pytest.raises(DockertoolsError):
        source_from_json({"kind": "magic"})


def test_several_at_once_are_what_each_is_alone(tmp_path: Path) -> None:
    sources = [PathsSource((store_path(tmp_path, f"p{n}", {"x": bytes(n)}),)) for n in range(7)]
    alone = [describe(source) for source in sources]
    for workers in (1, 2, 5):
        assert describe_all(sources, [1] * 7, workers) == alone
