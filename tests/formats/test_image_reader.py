"""Reading images of others: every form they come in, and what is said of those that are none."""

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import read_image, read_layer
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import choose, list_images, stored_images
from dockertools_py.model.manifest import MAX_LAYERS_READ
from dockertools_py.pack.image import Image
from tests.oracle.image import (
    INDEX,
    Handmade,
    blob,
    descriptor,
    digest,
    encode,
    layer_of,
    write_folder,
    write_tar,
)
from tests.oracle.programs import need

STORE = "nix/store/0123456789abcdfghijklmnpqrsvwxyz-"


def read(path: Path, name: str | None = None, tag: str | None = None) -> Image:
    reader = Reader.open(path)
    return read_image(reader, choose(list_images(reader), "it", name=name, tag=tag).images[0], need("zstd"))


def failure(path: Path) -> str:
    with pytest.raises(DockertoolsError) as caught:
        read(path)
    return str(caught.value).replace(str(path), "IMAGE")


def is_whole(image: Image, made: Handmade) -> None:
    assert [str(layer.diff_id) for layer in image.layers] == [digest(layer) for layer in made.layers]
    assert [layer.size for layer in image.layers] == [len(layer) for layer in made.layers]
    assert [layer.created_by for layer in image.layers] == ["step 0", "step 1"]
    assert image.config.container == {"Cmd": ["/bin/sh"], "Env": ["A=1"]}


@pytest.mark.parametrize("compressed", [frozenset(), frozenset({0, 1}), frozenset({1})])
def test_all_forms(tmp_path: Path, compressed: frozenset[int]) -> None:
    made = Handmade(compressed=compressed)
    new = made.files()
    layout = {name: data for name, data in new.items() if name != "manifest.json"}
    docker = {name: data for name, data in new.items() if name not in ("index.json", "oci-layout")}
    for number, files in enumerate((new, layout, docker, made.old_files())):
        is_whole(read(write_tar(tmp_path / f"{number}.tar", files)), made)
        is_whole(read(write_folder(tmp_path / f"{number}", files)), made)


def test_layers_by_zstd_are_read_where_they_lie(tmp_path: Path) -> None:
    made = Handmade()
    files = made.old_files()
    for name in [name for name in files if name.endswith("layer.tar")]:
        files[name] = subprocess.run([need("zstd"), "-c"], input=files[name], capture_output=True, check=True).stdout
    image = read(write_tar(tmp_path / "a.tar", files))
    is_whole(image, made)
    assert {layer.source.media_type for layer in image.layers} == {  # type: ignore[union-attr]
        "application/vnd.oci.image.layer.v1.tar+zstd"
    }


def test_a_layer_that_is_a_link_to_another(tmp_path: Path) -> None:
    layer = layer_of("etc/", "etc/same")
    made = Handmade([layer, layer])
    files = made.old_files()
    second = [name for name in files if name.endswith("layer.tar")][1]
    first = next(name for name in files if name.endswith("layer.tar"))
    del files[second]
    is_whole(read(write_tar(tmp_path / "a.tar", files, {second: f"../{first}"})), made)


def test_a_layer_that_is_listed_twice(tmp_path: Path) -> None:
    layer = layer_of("etc/", "etc/same")
    made = Handmade([layer, layer])
    is_whole(read(write_tar(tmp_path / "a.tar", made.files())), made)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    made = Handmade()
    files = made.old_files()
    first, second = (name for name in files if name.endswith("layer.tar"))
    del files[first], files[second]
    path = write_tar(tmp_path / "a.tar", files, {first: f"../{second}", second: f"../{first}"})
    assert failure(path) == f"IMAGE: {first} is not in it, though another file names it"


def test_a_link_in_a_folder_of_any_bytes(tmp_path: Path) -> None:
    files = Handmade().files()
    is_whole(read(write_tar(tmp_path / "a.tar", files, {"\udcff\udcfe/link": "../oci-layout"})), Handmade())


def test_names_with_a_dot_in_front_as_gnu_tar_makes_them(tmp_path: Path) -> None:
    made = Handmade()
    write_folder(tmp_path / "folder", made.files())
    subprocess.run([need("tar"), "-C", tmp_path / "folder", "-cf", tmp_path / "a.tar", "."], check=True)
    is_whole(read(tmp_path / "a.tar"), made)


def test_an_index_in_an_index(tmp_path: Path) -> None:
    made = Handmade(names=())
    files = made.files()
    del files["manifest.json"]
    inner = files["index.json"]
    files["index.json"] = encode(
        {"manifests": [descriptor(inner, INDEX, annotations={"org.opencontainers.image.ref.name": "docker.io/a/b:7"})]}
    )
    files[blob(inner)] = inner
    path = write_tar(tmp_path / "a.tar", files)
    is_whole(read(path), made)
    assert stored_images(Reader.open(path))[0].names == ("docker.io/a/b:7",)
    is_whole(read(path, "a/b", "7"), made)


def test_indexes_that_nest_too_deep(tmp_path: Path) -> None:
    files = Handmade().files()
    del files["manifest.json"]
    for _ in range(6):
        inner = files["index.json"]
        files[blob(inner)] = inner
        files["index.json"] = encode({"manifests": [descriptor(inner, INDEX)]})
    assert re.fullmatch(
        r"IMAGE: blobs/sha256/\w+: indexes more than 4 deep", failure(write_tar(tmp_path / "a.tar", files))
    )


def test_indexes_that_would_never_end(tmp_path: Path) -> None:
    # Four levels of a thousand entries each: honest digests, and 10^12 images.
    files = Handmade().files()
    del files["manifest.json"]
    for _ in range(4):
        inner = files["index.json"]
        files[blob(inner)] = inner
        files["index.json"] = encode({"manifests": [descriptor(inner, INDEX)] * 1000})
    assert "more than 1000 images" in failure(write_tar(tmp_path / "a.tar", files))


def test_more_layers_than_any_image_has(tmp_path: Path) -> None:
    files = Handmade().old_files()
    entry = {"Config": next(n for n in files if n.endswith(".json")), "Layers": ["x"] * (MAX_LAYERS_READ + 1)}
    files["manifest.json"] = encode([entry])
    assert failure(write_tar(tmp_path / "a.tar", files)).startswith(
        "IMAGE: manifest.json: an entry without `Config` and a list of at most 1000 `Layers`"
    )


def test_a_layer_of_several_names_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Docker before 25 says that two layers are one; each name's digest is compared all the same."""
    layer = layer_of("f")
    made = Handmade([layer, layer, layer])
    config = encode(made.config_value())
    names = ["a/layer.tar", "b/layer.tar", "c/layer.tar"]
    files = {"config.json": config, names[0]: layer}
    files["manifest.json"] = encode([{"Config": "config.json", "RepoTags": [], "Layers": names}])
    links = dict.fromkeys(names[1:], "../a/layer.tar")
    read_names = []

    def counted(reader: Reader, name: str, zstd: str | None = None) -> object:
        read_names.append(name)
        return read_layer(reader, name, zstd)

    monkeypatch.setattr("dockertools_py.formats.image_reader.read_layer", counted)
    image = read(write_tar(tmp_path / "a.tar", files, links))
    assert [str(layer.diff_id) for layer in image.layers] == 3 * [digest(layer)]
    assert read_names == names[:1]
    wrong = "0" * 64 + ".tar"
    files["manifest.json"] = encode([{"Config": "config.json", "RepoTags": [], "Layers": [*names[:2], wrong]}])
    with pytest.raises(DockertoolsError, match=f"{wrong}: its bytes have the digest {digest(layer)}, not the one that"):
        read(write_tar(tmp_path / "b.tar", files, {"b/layer.tar": "../a/layer.tar", wrong: "a/layer.tar"}))


def test_attestations_are_no_images(tmp_path: Path) -> None:
    made = Handmade()
    files = made.files()
    del files["manifest.json"]
    index = json.loads(files["index.json"])
    attestation = {**index["manifests"][0], "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index["manifests"].append(attestation)
    files["index.json"] = encode(index)
    is_whole(read(write_tar(tmp_path / "a.tar", files)), made)


def test_store_paths_of_layers_are_found(tmp_path: Path) -> None:
    lower = layer_of(
        "nix/", "nix/store/", f"{STORE}a/", f"{STORE}a/bin", f"./{STORE}b", "etc/", "nix/var", "nix/store2/x"
    )
    upper = layer_of(f"{STORE}c/", f"{STORE}c/x")
    image = read(write_tar(tmp_path / "a.tar", Handmade([lower, upper]).files()))
    assert [layer.store_paths for layer in image.layers] == [(f"/{STORE}a", f"/{STORE}b"), (f"/{STORE}c",)]


@pytest.mark.parametrize(
    ("whiteout", "left"),
    [
        ("nix/store/.wh.0123456789abcdfghijklmnpqrsvwxyz-a", "b"),
        (f"{STORE}a/.wh.bin", "b"),
        (f"{STORE}a/bin/.wh.x", "b"),
        (f"{STORE}a/.wh..wh..opq", "b"),
        ("nix/store/.wh..wh..opq", ""),
        ("nix/.wh.store", ""),
        ("nix/.wh..wh..opq", ""),
        (".wh.nix", ""),
        (".wh..wh..opq", ""),
        ("etc/.wh..wh..opq", "ab"),
        (".wh.etc", "ab"),
        ("nix/.wh.var", "ab"),
    ],
)
def test_store_paths_that_a_higher_layer_deletes(tmp_path: Path, whiteout: str, left: str) -> None:
    lower, upper = layer_of(f"{STORE}a/", f"{STORE}b/"), layer_of(whiteout, f"{STORE}c/")
    image = read(write_tar(tmp_path / "a.tar", Handmade([lower, upper]).files()))
    assert image.layers[0].store_paths == tuple(f"/{STORE}{name}" for name in left)
    assert image.layers[1].store_paths == (f"/{STORE}c",)


def test_a_wrong_diff_id_names_file_and_layer(tmp_path: Path) -> None:
    made = Handmade()
    files = made.old_files()
    name = [name for name in files if name.endswith("layer.tar")][1]
    files[name] = other = layer_of("etc/", "etc/other")
    assert failure(write_tar(tmp_path / "a.tar", files)) == (
        f"IMAGE: {name}: layer 1 has the diff_id {digest(other)}, but the config says {digest(made.layers[1])}"
    )


@pytest.mark.parametrize("what", ["config", "layer", "manifest"])
def test_a_blob_that_has_not_the_digest_it_is_named_by(tmp_path: Path, what: str) -> None:
    files = Handmade().files()
    del files["manifest.json"]
    name = [name for name in files if name.startswith("blobs/")][{"manifest": 0, "config": 1, "layer": 2}[what]]
    files[name] = files[name].replace(b"content", b"CONTENT") if what == "layer" else files[name] + b" "
    assert failure(write_tar(tmp_path / "a.tar", files)) == (
        f"IMAGE: {name}: its bytes have the digest {digest(files[name])}, not the one that it is named by"
    )


def test_a_count_of_diff_ids_that_is_wrong(tmp_path: Path) -> None:
    files = Handmade().old_files()
    files["manifest.json"] = files["manifest.json"].replace(b'"Layers":[', b'"Layers":["x",')
    assert re.fullmatch(
        r"IMAGE: \w+\.json: 2 diff_ids, but the image has 3 layers", failure(write_tar(tmp_path / "a.tar", files))
    )


def test_files_that_are_no_image(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"hello\n" * 200)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "short").write_bytes(b"hello")
    write_tar(tmp_path / "root", {"bin/sh": b"", "etc/passwd": b""})
    write_tar(tmp_path / "other", {"README": b"", "src/x.c": b""})
    write_tar(tmp_path / "old", {"repositories": b"{}", "0/json": b"{}", "0/layer.tar": b""})
    assert failure(tmp_path / "text") == "IMAGE: no image: it is no tar, but begins with hello\\nhe"
    assert failure(tmp_path / "empty") == "IMAGE: no image: it is empty"
    assert failure(tmp_path / "short") == "IMAGE: no image: it is no tar, but begins with hello"
    assert failure(tmp_path / "old") == (
        "IMAGE: no image that is read here: Docker before 1.10 wrote it, without manifest.json; load it and save it again"
    )
    assert failure(tmp_path / "root") == (
        "IMAGE: no image, but a root file system (it has bin, etc): pass it as addTarball"
    )
    assert failure(tmp_path / "other") == (
        "IMAGE: no image: neither manifest.json nor index.json in it, but README, src"
    )


def test_a_layer_that_is_no_tar_names_archive_and_member(tmp_path: Path) -> None:
    made = Handmade([gzip.compress(b"x" * 600)])
    files = made.old_files()
    assert re.fullmatch(
        r"IMAGE: \w+/layer\.tar: a tar header with checksum x+, which is no octal number",
        failure(write_tar(tmp_path / "a.tar", files)),
    )


@pytest.mark.parametrize("manifest", [b"[]", b"{}", b"x", b"[1]", b'[{"Config":1,"Layers":[]}]', b'[{"Layers":[1]}]'])
def test_archive_manifests_that_are_none(tmp_path: Path, manifest: bytes) -> None:
    text = failure(write_tar(tmp_path / "a.tar", {"manifest.json": manifest}))
    assert "\n" not in text
    assert text.startswith(("IMAGE: manifest.json: ", "it: no image *:* in it"))


def test_repo_tags_of_any_type_are_no_crash(tmp_path: Path) -> None:
    for tags in (5, "x", {"a": 1}, [None], [[]], True):
        files = Handmade().old_files()
        files["manifest.json"] = files["manifest.json"].replace(b'["handmade:1"]', encode(tags))
        path = write_tar(tmp_path / "a.tar", files)
        assert "RepoTags" in failure(path)
