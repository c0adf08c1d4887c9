"""Validation finds each kind of damage, all of several at once, and is no proof of anything when it looked at nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import Reader
from dockertools_py.formats.validate import Report, lines, validate
from tests.oracle.image import (
    INDEX,
    LAYER,
    MANIFEST,
    Files,
    Handmade,
    blob,
    descriptor,
    digest,
    encode,
    layer_of,
    write_folder,
    write_tar,
)

MADE = Handmade(compressed=frozenset({1}))
MANIFEST_BLOB, CONFIG_BLOB, PLAIN_BLOB, GZIP_BLOB = list(MADE.files())[3:]


def report(tmp_path: Path, files: Files, folder: bool = False) -> Report:
    path = tmp_path / "image"
    return validate(Reader.open(write_folder(path, files) if folder else write_tar(path, files)))


def rebuilt(made: Handmade, **config: object) -> Files:
    """The files of an image whose config says something else: all digests are right."""
    value = made.config_value() | config
    data = encode(value)
    manifest = encode(made.manifest_value(data))
    archive = {"Config": blob(data), "RepoTags": ["x:1"], "Layers": [blob(layer) for layer in made.stored()]}
    return {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode({"schemaVersion": 2, "manifests": [descriptor(manifest, MANIFEST)]}),
        "manifest.json": encode([archive]),
        blob(manifest): manifest,
        blob(data): data,
        **{blob(layer): layer for layer in made.stored()},
    }


def flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("folder", [False, True])
def test_whole_images_have_no_mismatch(tmp_path: Path, folder: bool) -> None:
    assert report(tmp_path, MADE.files(), folder) == Report(1, 4, ())


def test_old_archives_and_several_names(tmp_path: Path) -> None:
    assert report(tmp_path, MADE.old_files()) == Report(1, 0, ())
    (tmp_path / "two").mkdir()
    assert report(tmp_path / "two", Handmade(names=("a:1", "b:2")).files()) == Report(1, 4, ())


def test_the_report_as_lines() -> None:
    assert list(lines(Report(1, 2, ("a", "b")))) == ["a", "b", "1 images, 2 blobs, 2 mismatches"]


@pytest.mark.parametrize("name", [PLAIN_BLOB, GZIP_BLOB, MANIFEST_BLOB, CONFIG_BLOB])
@pytest.mark.parametrize("folder", [False, True])
def test_a_flipped_byte_in_each_blob(tmp_path: Path, name: str, folder: bool) -> None:
    files = MADE.files()
    # The last byte of JSON is its bracket: a digit in the middle keeps it JSON.
    at = files[name].rindex(b"1") if name in (MANIFEST_BLOB, CONFIG_BLOB) else 700 if name == PLAIN_BLOB else -6
    files[name] = flipped(files[name], at)
    found = report(tmp_path, files, folder).mismatches
    assert f"{name}: its bytes have the digest {digest(files[name])}" in found
    if name == PLAIN_BLOB:
        wanted = digest(MADE.layers[0])
        assert f"{CONFIG_BLOB}, layer 0: {name} has the diff_id {digest(files[name])}, not {wanted}" in found
    if name == GZIP_BLOB:
        assert any(text.startswith(f"{CONFIG_BLOB}, layer 1: {name}: damaged: ") for text in found)


@pytest.mark.parametrize("name", [PLAIN_BLOB, GZIP_BLOB, MANIFEST_BLOB, CONFIG_BLOB])
@pytest.mark.parametrize("folder", [False, True])
def test_each_blob_that_is_missing(tmp_path: Path, name: str, folder: bool) -> None:
    files = MADE.files()
    del files[name]
    found = report(tmp_path, files, folder).mismatches
    what = {
        MANIFEST_BLOB: "index.json, manifest 0",
        CONFIG_BLOB: f"{MANIFEST_BLOB}, config",
        PLAIN_BLOB: f"{MANIFEST_BLOB}, layer 0",
        GZIP_BLOB: f"{MANIFEST_BLOB}, layer 1",
    }[name]
    assert f"{what}: {name} is not there" in found
    if name != MANIFEST_BLOB:
        assert f"manifest.json, image 0: {name} is not there" in found


def with_manifest(change: Callable[[dict[str, object]], None]) -> tuple[Files, str]:
    """The files of MADE with a changed manifest under its right digest, and the name of that."""
    files = MADE.files()
    value = MADE.manifest_value(files[CONFIG_BLOB])
    change(value)
    data = encode(value)
    del files[MANIFEST_BLOB]
    files[blob(data)] = data
    files["index.json"] = encode({"schemaVersion": 2, "manifests": [descriptor(data, MANIFEST)]})
    return files, blob(data)


def test_a_wrong_size_in_a_descriptor(tmp_path: Path) -> None:
    files, name = with_manifest(lambda value: value["layers"][0].update(size=7))  # type: ignore[index]
    size = len(files[PLAIN_BLOB])
    assert report(tmp_path, files).mismatches == (
        f"{name}, layer 0: {PLAIN_BLOB} has {size} bytes, its descriptor says 7",
    )


@pytest.mark.parametrize("size", [-1, "7", None, True, 1.5])
def test_a_size_that_is_none(tmp_path: Path, size: object) -> None:
    files, name = with_manifest(lambda value: value["layers"][0].update(size=size))  # type: ignore[index]
    assert report(tmp_path, files).mismatches == (
        f"index.json, manifest 0: {name}: layer 0: size is {size}, not a number of bytes",
    )


def test_a_media_type_that_does_not_fit_the_bytes(tmp_path: Path) -> None:
    files, name = with_manifest(lambda value: value["layers"][1].update(mediaType=LAYER))  # type: ignore[index]
    assert report(tmp_path, files).mismatches == (f"{name}, layer 1: {LAYER}, but its bytes are compressed by gz",)


def test_a_media_type_that_is_none(tmp_path: Path) -> None:
    files, name = with_manifest(lambda value: value["layers"][0].update(mediaType="text/plain"))  # type: ignore[index]
    assert report(tmp_path, files).mismatches == (
        f"{name}, layer 0: layer of media type text/plain: not a tar layer that can be read",
    )


def test_a_manifest_of_no_type(tmp_path: Path) -> None:
    files = MADE.files()
    del files["manifest.json"]
    files["index.json"] = encode({"manifests": [descriptor(files[MANIFEST_BLOB], "text/plain")]})
    assert report(tmp_path, files).mismatches == (
        "index.json, manifest 0: media type text/plain is neither index nor manifest",
    )


def test_a_wrong_diff_id(tmp_path: Path) -> None:
    wrong = digest(b"other")
    files = rebuilt(MADE, rootfs={"type": "layers", "diff_ids": [wrong, digest(MADE.layers[1])]})
    (mismatch,) = report(tmp_path, files).mismatches
    assert mismatch.endswith(f", layer 0: {PLAIN_BLOB} has the diff_id {digest(MADE.layers[0])}, not {wrong}")


def test_a_count_of_diff_ids_that_is_wrong(tmp_path: Path) -> None:
    files = rebuilt(MADE, rootfs={"type": "layers", "diff_ids": [digest(MADE.layers[0])]}, history=[])
    (mismatch,) = report(tmp_path, files).mismatches
    assert re.fullmatch(r"blobs/sha256/\w+: 1 diff_ids for 2 layers", mismatch)


def test_a_count_of_history_that_is_wrong(tmp_path: Path) -> None:
    history = [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}]
    (mismatch,) = report(tmp_path, rebuilt(MADE, history=history)).mismatches
    assert re.fullmatch(r"blobs/sha256/\w+: history speaks of 1 layers, there are 2", mismatch)


def test_no_history_at_all_is_allowed(tmp_path: Path) -> None:
    assert report(tmp_path, rebuilt(MADE, history=[])).mismatches == ()


def test_no_oci_layout(tmp_path: Path) -> None:
    files = MADE.files()
    del files["oci-layout"]
    (mismatch,) = report(tmp_path, files).mismatches
    assert mismatch == f"oci-layout: {tmp_path}/image: oci-layout is not in it, though another file names it"


def test_an_oci_layout_of_another_version(tmp_path: Path) -> None:
    files = MADE.files() | {"oci-layout": encode({"imageLayoutVersion": "2.0.0"})}
    assert report(tmp_path, files).mismatches == ("oci-layout: version 2.0.0, not 1.0.0",)


def test_a_blob_under_a_name_that_is_no_digest(tmp_path: Path) -> None:
    files = MADE.files() | {"blobs/sha256/abc": b"x", "blobs/md5/00": b"x"}
    found = report(tmp_path, files).mismatches
    assert len(found) == 2
    assert all("is no digest: write sha256:<64 lower-case hex digits>" in text for text in found)


def test_several_at_once_are_all_listed(tmp_path: Path) -> None:
    made = Handmade([layer_of("etc/", f"etc/{number}") for number in range(4)])
    files = made.files()
    names = [blob(layer) for layer in made.layers]
    files[names[0]] = flipped(files[names[0]], 700)
    del files[names[1]]
    files[names[2]] = files[names[2]][:-512]
    files["oci-layout"] = b"{}"
    found = "\n".join(report(tmp_path, files).mismatches)
    for text in (
        f"{names[0]}: its bytes have the digest",
        f"layer 1: {names[1]} is not there",
        f"layer 2: {names[2]} has",
        "oci-layout: version None, not 1.0.0",
    ):
        assert text in found


def test_two_images_are_both_looked_at(tmp_path: Path) -> None:
    second = Handmade([layer_of("opt/", "opt/x")], names=("second:1",))
    files = MADE.files()
    both = second.files()
    manifests = [descriptor(f[list(f)[3]], MANIFEST) for f in (MADE.files(), both)]
    files = {**both, **files, "index.json": encode({"manifests": manifests})}
    del files["manifest.json"]
    damaged = {**files, blob(second.layers[0]): b"x" * 1024}
    assert report(tmp_path, files).images == 2
    assert report(tmp_path, damaged).mismatches


@pytest.mark.parametrize(
    "entry", [{}, {"Config": 5, "Layers": []}, {"Config": "x", "Layers": 5}, {"Config": {}, "Layers": [5, None, {}]}, 7]
)
@pytest.mark.parametrize("folder", [False, True])
def test_archive_manifests_of_any_type_are_no_crash(tmp_path: Path, entry: object, folder: bool) -> None:
    found = report(tmp_path, {"manifest.json": encode([entry])}, folder).mismatches
    assert found
    assert all("\n" not in text for text in found)


def test_names_that_cannot_be_printed_are_shown_on_one_line(tmp_path: Path) -> None:
    files = MADE.files() | {"blobs/sha256/\udcff\n": b"x"}
    found = report(tmp_path, files).mismatches
    assert len(found) == 1
    assert "\n" not in found[0]
    found[0].encode()


def test_indexes_that_would_never_end(tmp_path: Path) -> None:
    # Each blob's digest is wrong, so that an index may name itself a thousand times.
    entry = {"mediaType": INDEX, "digest": digest(b"loop"), "size": 1}
    loop = encode({"manifests": [entry] * 1000})
    files = {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": loop,
        "blobs/sha256/" + digest(b"loop")[7:]: loop,
    }
    assert any("its bytes have the digest" in text for text in report(tmp_path, files).mismatches)


def test_nothing_to_look_at_is_a_mismatch(tmp_path: Path) -> None:
    files = {"oci-layout": encode({"imageLayoutVersion": "1.0.0"}), "index.json": encode({"manifests": []})}
    assert report(tmp_path, files) == Report(0, 0, ("no image in it",))
    with pytest.raises(DockertoolsError, match=r": neither index.json nor manifest.json in it: no image$"):
        validate(Reader.open(write_tar(tmp_path / "other", {"x": b""})))
