"""Blobs that are named by sha512: compared as those of sha256, in reading and in validating."""

import hashlib
import json
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import read_image
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import stored_images
from dockertools_py.formats.validate import Report, validate
from tests.oracle.image import Files, Handmade, encode, write_tar

MADE = Handmade()


def with_sha512() -> tuple[Files, dict[str, str]]:
    """The image with all of its blobs renamed; and what each one is, by its new name."""
    files = {name: data for name, data in MADE.files().items() if name != "manifest.json"}
    index = json.loads(files["index.json"])
    manifest_name = "blobs/sha256/" + index["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads(files.pop(manifest_name))
    kinds = {}
    parts = [(manifest["config"], "config")] + [(layer, "layer") for layer in manifest["layers"]]
    for part, kind in parts:
        data = files.pop("blobs/sha256/" + part["digest"].partition(":")[2])
        kinds[put(files, part, data)] = kind
    kinds[put(files, index["manifests"][0], encode(manifest))] = "manifest"
    files["index.json"] = encode(index)
    return files, kinds


def put(files: Files, part: dict[str, object], data: bytes) -> str:
    name = f"blobs/sha512/{hashlib.sha512(data).hexdigest()}"
    files[name] = data
    part |= {"digest": name.removeprefix("blobs/").replace("/", ":"), "size": len(data)}
    return name


def test_it_is_read_and_valid(tmp_path: Path) -> None:
    files, kinds = with_sha512()
    reader = Reader.open(write_tar(tmp_path / "a.tar", files))
    image = read_image(reader, stored_images(reader)[0])
    assert [layer.diff_id.algorithm for layer in image.layers] == ["sha256"] * len(MADE.layers)
    assert validate(reader) == Report(1, len(kinds), ())


@pytest.mark.parametrize("kind", ["config", "layer", "manifest"])
def test_other_bytes_are_refused(tmp_path: Path, kind: str) -> None:
    files, kinds = with_sha512()
    name = next(name for name, found in kinds.items() if found == kind)
    data = files[name]
    # Still what it was to whoever does not compare: a space in JSON, a bit of the padding behind the layer's content.
    files[name] = data.replace(b"{", b"{ ", 1)[: len(data)] if kind != "layer" else data[:-1] + b"\1"
    reader = Reader.open(write_tar(tmp_path / "a.tar", files))
    with pytest.raises(DockertoolsError):
        read_image(reader, stored_images(reader)[0])
    assert any(name in mismatch and "sha512:" in mismatch for mismatch in validate(reader).mismatches)
