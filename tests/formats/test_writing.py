"""Archives and layouts of ours: valid for skopeo, the standard library and our validation, and the bytes of an oracle."""

import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.layout import write_layout
from dockertools_py.formats.members import Reader
from dockertools_py.formats.output import Output, new_file
from dockertools_py.formats.validate import Report, validate
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import OCI_LAYER_GZIP
from dockertools_py.pack.bundle import Bundle, NamedImage, bundle
from dockertools_py.pack.compression import compress
from dockertools_py.pack.layer import BlobSource
from dockertools_py.store.produce import layer_chunks
from tests.formats.images import named
from tests.oracle.layer_tar import Member, tar_of
from tests.oracle.programs import need

NAMES = ("example.org/team/app:1.2", "app:latest")


def compressed(image: NamedImage, folder: Path) -> dict[Digest, BlobSource]:
    blobs = {}
    for number, layer in enumerate(image.image.layers):
        file = folder / f"blob{number}"
        data = b"".join(compress(layer_chunks(layer), "gz", level=6, workers=2))
        file.write_bytes(b"before" + data + b"after")
        blobs[layer.diff_id] = BlobSource(str(file), 6, len(data), Digest.of(data), OCI_LAYER_GZIP)
    return blobs


@pytest.fixture(params=["plain", "gz"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    image = named(tmp_path, *NAMES)
    return bundle([image], compressed(image, tmp_path) if request.param == "gz" else {})


def archived(whole: Bundle, path: Path, *, docker: bool = True) -> Path:
    with new_file(path) as out:
        write_archive(whole, out, layer_chunks, docker=docker)
    return path


def skopeo(*arguments: object) -> Mapping[str, Any]:
    command = [need("skopeo"), "inspect", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_an_archive_is_valid(tmp_path: Path, whole: Bundle) -> None:
    path = archived(whole, tmp_path / "a.tar")
    assert validate(Reader.open(path)) == Report(1, 4, ())
    with tarfile.open(path) as archive:
        names = archive.getnames()
        assert all(member.isreg() and member.mode == 0o644 and member.mtime == 1 for member in archive)
    assert names[:3] == ["oci-layout", "index.json", "manifest.json"]
    assert len(set(names)) == len(names) == 7


def test_an_archive_has_the_bytes_of_the_oracle(tmp_path: Path, whole: Bundle) -> None:
    path = archived(whole, tmp_path / "a.tar")
    with tarfile.open(path) as archive:
        files = [(member.name.encode(), archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    assert path.read_bytes() == tar_of([Member(name, b"0", 0o644, data) for name, data in files])


def test_skopeo_reads_the_archive_and_the_layout(tmp_path: Path, whole: Bundle) -> None:
    path = archived(whole, tmp_path / "a.tar")
    oci = archived(whole, tmp_path / "oci.tar", docker=False)
    write_layout(whole, tmp_path / "layout", layer_chunks)
    diff_ids = json.loads(whole.blobs[1].content)["rootfs"]["diff_ids"]  # type: ignore[arg-type]
    for reference in (
        f"docker-archive:{path}:app:latest",
        f"docker-archive:{path}:example.org/team/app:1.2",
        f"oci-archive:{path}:latest",
        f"oci-archive:{oci}:1.2",
        f"oci:{tmp_path}/layout:latest",
    ):
        found = skopeo("--config", reference)
        assert found["rootfs"]["diff_ids"] == diff_ids
        assert found["config"] == {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}
        assert [entry["created_by"] for entry in found["history"]] == ["store: p0", "store: p1"]
        assert skopeo(reference)["Architecture"] == "amd64"


def test_skopeo_copies_every_blob(tmp_path: Path, whole: Bundle) -> None:
    # It compares each digest as it reads.
    path = archived(whole, tmp_path / "a.tar")
    command = [need("skopeo"), "--insecure-policy", "copy", "--quiet"]
    subprocess.run([*command, f"docker-archive:{path}:app:latest", f"dir:{tmp_path}/one"], check=True)
    subprocess.run([*command, f"oci-archive:{path}:1.2", f"oci:{tmp_path}/two:1.2"], check=True)
    assert validate(Reader.open(tmp_path / "two")) == Report(1, 4, ())


def test_a_layout_is_valid_and_has_the_files_of_the_archive(tmp_path: Path, whole: Bundle) -> None:
    write_layout(whole, tmp_path / "layout", layer_chunks)
    assert validate(Reader.open(tmp_path / "layout")) == Report(1, 4, ())
    with tarfile.open(archived(whole, tmp_path / "a.tar", docker=False)) as archive:
        in_archive = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    folder = tmp_path / "layout"
    in_folder = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert in_folder == in_archive


def test_the_image_id_does_not_depend_on_compression(tmp_path: Path) -> None:
    image = named(tmp_path)
    plain, gz = bundle([image], {}), bundle([image], compressed(image, tmp_path))
    assert plain.blobs[1] == gz.blobs[1]
    assert plain.blobs[0] != gz.blobs[0]


def test_an_image_without_a_name(tmp_path: Path) -> None:
    whole = bundle([named(tmp_path)], {})
    (entry,) = json.loads(whole.index)["manifests"]
    assert "annotations" not in entry
    assert json.loads(whole.archive_manifest)[0]["RepoTags"] == []


def test_two_images_share_their_blobs(tmp_path: Path) -> None:
    image = named(tmp_path, "a:1").image
    one = NamedImage(image, named(tmp_path, "a:1").references)
    two = NamedImage(image.with_config({"Cmd": ["other"]}, image.config.created), named(tmp_path, "b:1").references)
    path = archived(bundle([one, two], {}), tmp_path / "a.tar")
    assert validate(Reader.open(path)) == Report(2, 6, ())


def test_a_store_path_that_changed_since_it_was_described(tmp_path: Path) -> None:
    whole = bundle([named(tmp_path, "a:1")], {})
    changed = next(tmp_path.glob("*-p1")) / "share/data"
    changed.write_bytes(b"\xee" * 3000)
    with pytest.raises(DockertoolsError, match=r"^layer \w{12} \(store: p1\): not the bytes that were described"):
        archived(whole, tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_blob_that_is_shorter_than_it_was(tmp_path: Path) -> None:
    image = named(tmp_path, "a:1")
    whole = bundle([image], compressed(image, tmp_path))
    os.truncate(tmp_path / "blob1", 20)
    with pytest.raises(DockertoolsError, match=r"/blob1: ends \d+ bytes before the end of the blob in it$"):
        archived(whole, tmp_path / "a.tar")
    with pytest.raises(DockertoolsError, match=r"/blob1: ends \d+ bytes before the end of the blob in it$"):
        write_layout(whole, tmp_path / "layout", layer_chunks)
    assert not (tmp_path / "layout/index.json").exists()


def test_output_to_a_pipe_and_to_a_file_at_its_end(tmp_path: Path, whole: Bundle) -> None:
    wanted = archived(whole, tmp_path / "a.tar").read_bytes()
    with (tmp_path / "appended").open("ab") as file:  # the kernel refuses copy_file_range and sendfile here
        write_archive(whole, Output(file.fileno()), layer_chunks)
    assert (tmp_path / "appended").read_bytes() == wanted
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=(tmp_path / "piped").open("wb")) as cat:
        assert cat.stdin
        write_archive(whole, Output(cat.stdin.fileno()), layer_chunks)
        cat.stdin.close()
    assert (tmp_path / "piped").read_bytes() == wanted


def test_a_new_file_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(RuntimeError), new_file(tmp_path / "f") as out:
        out.write(b"half")
        raise RuntimeError
    assert (tmp_path / "f").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]
    with new_file(tmp_path / "f") as out:
        out.write(b"new")
        assert (tmp_path / "f").read_bytes() == b"old"
    assert (tmp_path / "f").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["f"]


def test_a_new_file_may_have_the_longest_name(tmp_path: Path) -> None:
    with new_file(tmp_path / ("n" * 255)) as out:
        out.write(b"x")
    assert os.listdir(tmp_path) == ["n" * 255]


def test_two_at_once_write_the_same_file(tmp_path: Path) -> None:
    with new_file(tmp_path / "f") as one, new_file(tmp_path / "f") as two:
        one.write(b"one")
        two.write(b"two")
    assert (tmp_path / "f").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["f"]


def test_a_new_file_in_place_is_removed_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_file(tmp_path / "f", in_place=True) as out:
        out.write(b"half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []
