"""Every verb as a user runs it: what is printed, the exit code, and what is written."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from dockertools_py import __version__
from dockertools_py.__main__ import VERBS
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.layout import write_layout
from dockertools_py.formats.output import new_file
from dockertools_py.model.reference import Reference
from dockertools_py.pack.graph_bundle import index_bundle
from dockertools_py.store.description import read_image, read_index, write_lazy
from dockertools_py.store.produce import layer_chunks
from tests.formats.images import HASH, PLATFORMS, description, description_of_index
from tests.oracle.image import Handmade, digest, write_folder, write_tar
from tests.oracle.programs import dockertools, need


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return description(tmp_path_factory.mktemp("store"))


def succeeds(*arguments: object) -> str:
    done = dockertools(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_help_and_version() -> None:
    usage = succeeds("--help")
    assert usage.startswith("usage: dockertools-py VERB [argument ...]\n")
    assert succeeds("-h") == succeeds("help") == succeeds() == usage
    assert all(f"  {verb}" in usage for verb in VERBS)
    assert len(VERBS) >= 5
    assert succeeds("--version") == f"dockertools-py {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb(verb: str) -> None:
    assert succeeds(verb, "--help").startswith(f"usage: dockertools-py {verb} ")


def test_an_unknown_verb_and_missing_arguments() -> None:
    done = dockertools("archiv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: dockertools-py VERB")
    for verb in VERBS:
        done = dockertools(verb)
        assert done.returncode == 2
        assert "the following arguments are required: " in done.stderr


def test_archive_layout_and_stream_hold_the_same_image(tmp_path: Path, image: Path) -> None:
    archive, layout = tmp_path / "a.tar", tmp_path / "layout"
    assert succeeds("archive", image, "-o", archive, "--tag", "a:1") == f"{archive}\n"
    assert succeeds("layout", image, "-o", layout, "--tag", "a:1") == f"{layout}\n"
    with (tmp_path / "stream.tar").open("wb") as out:
        assert dockertools("stream", image, "--tag", "a:1", capture_output=False, stdout=out).returncode == 0
    assert (tmp_path / "stream.tar").read_bytes() == archive.read_bytes()
    assert dockertools("validate", archive, layout).stdout == (
        f"{archive}: 1 images, 4 blobs, 0 mismatches\n{layout}: 1 images, 4 blobs, 0 mismatches\n"
    )
    shown = [json.loads(succeeds("inspect", path, "--json")) for path in (image, archive, layout)]
    assert {value["id"] for value in shown} == {shown[0]["id"]}
    assert [value["references"] for value in shown] == [[], ["a:1"], ["a:1"]]
    assert [sorted(path.name for path in tmp_path.iterdir())] == [["a.tar", "layout", "stream.tar"]]


def test_inspect(image: Path) -> None:
    text = succeeds("inspect", image, "--paths").splitlines()
    assert text[0] == "name     (none)"
    assert text[2] == "platform linux/amd64, created 1970-01-01T00:00:01Z"
    assert text[3:5] == ['config   Cmd = ["/bin/sh"]', 'config   Env = ["PATH=/bin"]']
    assert " in 2 layers, the lowest first:" in text[5]
    assert text[6].endswith("  store: p0")
    assert text[7].strip() == str(image.parent / f"{HASH}-p0")
    value = json.loads(succeeds("inspect", image, "--json"))
    assert [layer["storePaths"] for layer in value["layers"]] == [[str(image.parent / f"{HASH}-p{n}")] for n in (0, 1)]


def test_inspect_an_index(tmp_path: Path) -> None:
    """As Nix describes it, as a layout, and as an archive, in which Docker's list has one of its images."""
    index = description_of_index(tmp_path / "index")
    archive, layout = tmp_path / "a.tar", tmp_path / "layout"
    whole = index_bundle(
        [(platform, read_image(folder)) for platform, folder in read_index(index)[0]], {}, [Reference("a", "1")], {}
    )
    with new_file(archive) as out:
        write_archive(whole, out, layer_chunks)
    write_layout(whole, layout, layer_chunks)
    for path in (index, archive, layout):
        assert "index    of linux/amd64, linux/arm64; another one: --platform" in succeeds("inspect", path).splitlines()
        for platform in PLATFORMS:
            value = json.loads(succeeds("inspect", path, "--json", "--platform", platform))
            assert (value["platform"], value["platforms"]) == (platform, list(PLATFORMS))
        own = json.loads(succeeds("inspect", path, "--json"))["platform"]
        assert own == {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[os.uname().machine]
        one = tmp_path / "one.tar"
        succeeds("archive", path, "-o", one, "-t", "one:1", "--platform", "linux/arm64")
        value = json.loads(succeeds("inspect", one, "--json"))
        assert (value["platform"], value["platforms"], value["references"]) == ("linux/arm64", [], ["one:1"])


def test_an_archive_for_another_platform_is_told_before_it_is_read(tmp_path: Path, image: Path) -> None:
    succeeds("archive", image, "-o", tmp_path / "a.tar", "-t", "a:1")
    data = bytearray((tmp_path / "a.tar").read_bytes())
    with tarfile.open(tmp_path / "a.tar") as archive:
        layer = max(archive, key=lambda member: member.size)
    data[layer.offset_data + layer.size // 2] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    assert dockertools("inspect", tmp_path / "a.tar").returncode == 1
    done = dockertools("inspect", tmp_path / "a.tar", "--platform", "linux/arm64")
    assert done.stderr == f"dockertools-py inspect: {tmp_path}/a.tar: an image for linux/amd64, not for linux/arm64\n"


def test_a_lazy_description(tmp_path: Path, image: Path) -> None:
    """`load` and `push` fetch its layers; the others say so."""
    folder = tmp_path / "lazy"
    folder.mkdir()
    write_lazy(folder, read_image(image), {})
    value = json.loads(succeeds("inspect", folder, "--json"))
    assert value == json.loads(succeeds("inspect", image, "--json"))
    for verb in ("archive", "layout"):
        done = dockertools(verb, folder, "-o", tmp_path / "out")
        assert done.stderr == (
            f"dockertools-py {verb}: {folder}: its layers need not be here: use `load`, `run` or `push`, which fetch them\n"
        )
        assert not (tmp_path / "out").exists()


def test_a_layout_of_one_image_with_two_names(tmp_path: Path, image: Path) -> None:
    succeeds("layout", image, "-o", tmp_path / "layout", "-t", "a:1", "-t", "b:2")
    assert succeeds("inspect", tmp_path / "layout").splitlines()[0] == "name     a:1, b:2"
    assert succeeds("archive", tmp_path / "layout", "-o", tmp_path / "a.tar") == f"{tmp_path}/a.tar\n"


def test_compressors_change_blobs_and_not_the_id(tmp_path: Path, image: Path) -> None:
    ids = set()
    for compressor in ("none", "gz", "zstd"):
        path = tmp_path / f"{compressor}.tar"
        zstd = ["--zstd", need("zstd")] if compressor == "zstd" else []
        succeeds("archive", image, "-o", path, "--compressor", compressor, *zstd)
        ids.add(json.loads(succeeds("inspect", path, "--json", *zstd))["id"])
        with tarfile.open(path) as archive:
            last = archive.extractfile(archive.getmembers()[-1]).read()  # type: ignore[union-attr]
        assert last.startswith(
            {"none": str(image).split("/")[1].encode() + b"/", "gz": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}[
                compressor
            ]
        )
        assert dockertools("validate", path, *zstd).returncode == 0
    assert len(ids) == 1


def test_layers_of_another_archive_are_compressed_too(tmp_path: Path) -> None:
    made = Handmade([b"\0" * 10240, Handmade().layers[1]], compressed=frozenset({1}))
    source = write_tar(tmp_path / "a.tar", made.files())
    succeeds("archive", source, "-o", tmp_path / "b.tar", "--compressor", "gz")
    with tarfile.open(tmp_path / "b.tar") as archive:
        blobs = [archive.extractfile(member).read()[:2] for member in archive if member.name.startswith("blobs/")]  # type: ignore[union-attr]
    assert blobs == [b'{"', b'{"', b"\x1f\x8b", b"\x1f\x8b"]  # manifest, config, layers
    assert dockertools("validate", tmp_path / "b.tar").returncode == 0


def test_an_oci_archive_has_no_manifest_of_docker(tmp_path: Path, image: Path) -> None:
    succeeds("archive", image, "-o", tmp_path / "a.tar", "--oci")
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames()[:2] == ["oci-layout", "index.json"]
        assert "manifest.json" not in archive.getnames()


def test_names(tmp_path: Path, image: Path) -> None:
    def names(*arguments: str, source: Path = image) -> list[str]:
        path = tmp_path / "a.tar"
        succeeds("archive", source, "-o", path, *arguments)
        return list(json.loads(succeeds("inspect", path, "--json"))["references"])

    own = write_tar(tmp_path / "own.tar", Handmade(names=("own:1", "own:2")).files())
    assert names() == []
    assert names("--default-tag", "d:1") == ["d:1"]
    assert names("-t", "a:1", "--tag", "b", "--default-tag", "d:1") == ["a:1", "b:latest"]
    assert names("--choose", "own:1", "--default-tag", "d:1", source=own) == ["own:1", "own:2"]


def test_an_existing_archive_is_replaced_and_an_existing_layout_is_not(tmp_path: Path, image: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"old")
    succeeds("archive", image, "-o", tmp_path / "a.tar")
    assert (tmp_path / "a.tar").stat().st_size > 1000
    (tmp_path / "layout").mkdir()
    done = dockertools("layout", image, "-o", tmp_path / "layout")
    assert (done.returncode, done.stderr) == (
        1,
        f"dockertools-py layout: --output: {tmp_path}/layout is there already; name a new directory, or remove it\n",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "layout"]


def test_an_image_of_others_keeps_its_id(tmp_path: Path) -> None:
    # Whatever keys and spaces its config has: Docker shows the digest of just these bytes.
    made = Handmade()
    config = json.dumps(made.config_value() | {"docker_version": "20.10", "os.version": "1"}, indent=1).encode()
    entry = {"Config": digest(config)[7:] + ".json", "RepoTags": ["a:1"], "Layers": ["0.tar", "1.tar"]}
    files = {"0.tar": made.layers[0], "1.tar": made.layers[1], entry["Config"]: config}
    source = write_tar(tmp_path / "a.tar", files | {"manifest.json": json.dumps([entry]).encode()})
    succeeds("archive", source, "-o", tmp_path / "b.tar")
    for path in (source, tmp_path / "b.tar"):
        assert json.loads(succeeds("inspect", path, "--json"))["id"] == digest(config)


def test_one_of_several_images_is_chosen(tmp_path: Path) -> None:
    one, two = Handmade(names=("one:1",)), Handmade(config={"Cmd": ["two"]}, names=("two:1",))
    files = {**one.files(), **two.files()}
    del files["index.json"]
    entries = [json.loads(made.files()["manifest.json"])[0] for made in (one, two)]
    path = write_tar(tmp_path / "a.tar", files | {"manifest.json": json.dumps(entries).encode()})
    assert json.loads(succeeds("inspect", path, "--json", "--choose", "two:1"))["config"] == {"Cmd": ["two"]}
    done = dockertools("inspect", path)
    assert done.stderr == (
        f"dockertools-py inspect: {path}: 2 images in it: choose one (fromImageName and fromImageTag, or --choose NAME:TAG); "
        "there is: one:1, two:1\n"
    )


def test_validate_says_what_differs_and_ends_with_1(tmp_path: Path) -> None:
    files = Handmade().files()
    name = list(files)[-1]
    files[name] = bytes(len(files[name]))
    path = write_folder(tmp_path / "layout", files)
    done = dockertools("validate", path)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{path}: {name}: its bytes have the digest {digest(files[name])}\n" in done.stdout
    assert done.stdout.endswith(f"{path}: 1 images, 4 blobs, 2 mismatches\n")
    value = json.loads(dockertools("validate", path, "--json").stdout)
    assert [(entry["path"], entry["images"], len(entry["mismatches"])) for entry in value] == [(str(path), 1, 2)]
