"""Which images there are in archives and layouts, and which one is chosen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import Listed, StoredImage, choose, image_of, list_images, stored_images
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import parse_all
from tests.oracle.image import INDEX, MANIFEST, Handmade, blob, descriptor, encode, write_tar

AMD, ARM = Platform("amd64"), Platform("arm64", variant="v8")
NAMES = ("docker.io/library/one:1", "docker.io/library/one:2"), ("example.org/two:latest",), ()
SEVERAL = tuple(Listed(names, (StoredImage(names, f"c{number}", ()),)) for number, names in enumerate(NAMES, 1))
THERE = "docker.io/library/one:1, docker.io/library/one:2, example.org/two:latest, one without a name"


def index_for(*platforms: Platform, names: tuple[str, ...] = ("x:1",)) -> Listed:
    """Images whose configs are their numbers."""
    images = tuple(StoredImage(names, str(number), (), platform) for number, platform in enumerate(platforms))
    return Listed(names, images, is_index=True)


def found(one: Listed, here: Platform) -> str:
    return image_of(one, "it", lambda: here).config


@pytest.mark.parametrize(
    ("name", "tag", "config"),
    [
        ("one", None, "c1"),
        ("one", "2", "c1"),
        ("docker.io/library/one", "1", "c1"),
        ("example.org/two", "latest", "c2"),
        (None, "latest", "c2"),
    ],
)
def test_choosing(name: str | None, tag: str | None, config: str) -> None:
    assert choose(SEVERAL, "x.tar", name=name, tag=tag).images[0].config == config


@pytest.mark.parametrize(
    ("listed", "name", "tag", "message"),
    [
        (
            SEVERAL,
            None,
            None,
            f"3 images in it: choose one (fromImageName and fromImageTag, or --choose NAME:TAG); there is: {THERE}",
        ),
        (SEVERAL, "one", "3", f"no image one:3 in it; there is: {THERE}"),
        (SEVERAL, None, "9", f"no image *:9 in it; there is: {THERE}"),
        (SEVERAL, "two", None, f"no image two:* in it; there is: {THERE}"),
        ((), None, None, "no image *:* in it; there is: nothing"),
    ],
)
def test_choosing_what_is_not_there(
    listed: tuple[Listed, ...], name: str | None, tag: str | None, message: str
) -> None:
    with pytest.raises(DockertoolsError) as caught:
        choose(listed, "x.tar", name=name, tag=tag)
    assert str(caught.value) == f"x.tar: {message}"


def test_choosing_by_platform() -> None:
    index = index_for(AMD, ARM)
    assert [found(index, here) for here in (AMD, Platform("arm64"))] == ["0", "1"]
    arms = index_for(*(Platform("arm", variant=variant) for variant in ("v5", "v6", "v7")))
    assert [found(arms, Platform("arm", variant=variant)) for variant in ("v6", "v7", "")] == ["1", "2", "2"]
    # Of equal ones the first, as where a registry has an index.
    assert found(index_for(ARM, AMD, AMD), AMD) == "1"
    for one, there in ((index, "x:1 for linux/amd64, x:1 for linux/arm64/v8"), (index_for(), "x:1")):
        with pytest.raises(DockertoolsError) as caught:
            found(one, Platform("s390x"))
        assert str(caught.value) == (
            "it: no image for linux/s390x in it; choose one (`architecture`, --platform OS/ARCH, or "
            f"`dockertools-py copy … --platform OS/ARCH` before); there is: {there}"
        )


def test_who_names_the_only_image_there_is_means_it() -> None:
    assert found(SEVERAL[0], Platform("s390x")) == "c1"


def test_several_names_and_a_platform() -> None:
    """As when each platform has a tag of its own."""
    listed = [Listed((f"x:{one.architecture}",), (StoredImage((), str(one), (), one),)) for one in (AMD, ARM)]
    assert choose(listed, "it", platform=Platform("arm64")).images[0].platform == ARM
    assert choose([*listed, *SEVERAL], "it", platform=AMD).images[0].platform == AMD
    for platform in (None, Platform("s390x")):
        with pytest.raises(DockertoolsError, match=r"^it: 2 images in it: choose one"):
            choose(listed, "it", platform=platform)


def test_a_name_that_is_a_tag_only(tmp_path: Path) -> None:
    # As `skopeo copy … oci:layout:1.0` writes it: it names the image in the layout, and is no name for an engine.
    files = Handmade(names=()).files()
    del files["manifest.json"]
    manifest = next(data for data in files.values() if MANIFEST.encode() in data and b'"layers"' in data)
    note = {"org.opencontainers.image.ref.name": "V1.0"}
    files["index.json"] = encode({"manifests": [descriptor(manifest, MANIFEST, annotations=note)]})
    (one,) = list_images(Reader.open(write_tar(tmp_path / "a.tar", files)))
    assert parse_all(one.names) == ()
    assert choose([one], "it", tag="V1.0") == one


def note(name: str) -> dict[str, str]:
    return {"io.containerd.image.name": f"docker.io/library/{name}"}


def blob_of(entry: Mapping[str, str]) -> str:
    return "blobs/" + entry["digest"].replace(":", "/")


def index_of(*names: str, lost: tuple[int, ...] = ()) -> dict[str, bytes]:
    """An archive of one index, under names: for amd64 and for arm64, of which the manifests of some are `lost`."""
    files: dict[str, bytes] = {}
    entries: list[Any] = []
    own: dict[str, bytes] = {}
    for number, platform in enumerate((AMD, ARM)):
        own = Handmade(names=(), config={"Cmd": [str(platform)]}).files()
        manifest = next(data for data in own.values() if MANIFEST.encode() in data and b'"layers"' in data)
        files |= own
        if number in lost:
            del files[blob(manifest)]
        entries.append(descriptor(manifest, MANIFEST) | {"platform": platform.to_json()})
    index = encode({"manifests": entries})
    tops = [descriptor(index, INDEX, annotations=note(name)) for name in names]
    docker = [entry | {"RepoTags": list(names)} for entry in json.loads(own["manifest.json"])]
    return files | {blob(index): index, "index.json": encode({"manifests": tops}), "manifest.json": encode(docker)}


def listed(folder: Path, files: Mapping[str, bytes]) -> tuple[Listed, ...]:
    return list_images(Reader.open(write_tar(folder / "a.tar", files)))


def with_index(files: dict[str, bytes], *entries: object) -> dict[str, bytes]:
    """A layout with these entries."""
    return {name: data for name, data in files.items() if name != "manifest.json"} | {
        "index.json": encode({"manifests": entries})
    }


def test_one_image_of_two_names_is_one(tmp_path: Path) -> None:
    files = Handmade(names=()).files()
    (entry,) = json.loads(files["index.json"])["manifests"]
    bare = {key: value for key, value in entry.items() if key != "platform"}
    entries = [one | {"annotations": note(name)} for one, name in ((bare, "a:1"), (entry, "b:1"), (entry, "a:1"))]
    (one,) = listed(tmp_path, with_index(files, *entries))
    assert list(map(str, parse_all(one.names))) == ["a:1", "b:1"]
    assert not one.is_index and one.platforms() == ()


def test_an_index_of_two_names(tmp_path: Path) -> None:
    files = index_of("a:1", "b:1")
    del files["manifest.json"]
    (one,) = listed(tmp_path, files)
    assert one.is_index and one.platforms() == (AMD, ARM)
    assert {image.names for image in one.images} == {one.names} == {("docker.io/library/a:1", "docker.io/library/b:1")}
    assert [image.platform for image in stored_images(Reader.open(tmp_path / "a.tar"))] == [AMD, ARM]


def test_an_image_of_an_index_that_has_a_name_of_its_own(tmp_path: Path) -> None:
    files = index_of("a:latest")
    del files["manifest.json"]
    (top,) = json.loads(files["index.json"])["manifests"]
    (amd, _) = json.loads(files[blob_of(top)])["manifests"]
    index, one = listed(tmp_path, with_index(files, top, amd | {"annotations": note("a:amd64")}))
    assert index.platforms() == (AMD, ARM) and index.names == ("docker.io/library/a:latest",)
    assert one.images[0].config == index.images[0].config and not one.is_index
    assert choose([index, one], "it", name="a", tag="latest") is index


@pytest.mark.parametrize("names", [{}, {"annotations": {"org.opencontainers.image.ref.name": "1.0"}}])
def test_an_index_whose_entries_are_those_of_the_layout(tmp_path: Path, names: dict[str, object]) -> None:
    files = index_of("a:1")
    (top,) = json.loads(files["index.json"])["manifests"]
    entries = [entry | names for entry in json.loads(files[blob_of(top)])["manifests"]]
    (one,) = listed(tmp_path, with_index(files, *entries))
    assert one.is_index and one.platforms() == (AMD, ARM)
    # Two for one platform are two images.
    for entry in entries:
        entry["platform"] = AMD.to_json()
    assert [one.is_index for one in listed(tmp_path, with_index(files, *entries))] == [False, False]


def test_dockers_list_has_one_image_of_an_index(tmp_path: Path) -> None:
    reader = Reader.open(write_tar(tmp_path / "a.tar", index_of("a:1")))
    (one,) = list_images(reader)
    assert one.platforms() == (AMD, ARM)
    assert one.default and [one.default] == list(stored_images(reader))
    assert {image.names for image in one.images} == {one.default.names}, "as Docker's list has them"
    (one,) = list_images(Reader.open(write_tar(tmp_path / "b.tar", Handmade().files())))
    assert one == Listed(one.names, one.images) and one.names == ("handmade:1",)


def test_an_image_of_an_index_that_has_a_name_of_its_own_in_dockers_list(tmp_path: Path) -> None:
    """As `docker save app:1 app:1-arm64` writes it: that name means the one image, though it is in the index too."""
    files = index_of("app:1")
    (top,) = json.loads(files["index.json"])["manifests"]
    (_, arm) = json.loads(files[blob_of(top)])["manifests"]
    (docker,) = json.loads(files["manifest.json"])
    files["index.json"] = encode({"manifests": [top, arm | {"annotations": note("app:1-arm64")}]})
    files["manifest.json"] = encode([docker, docker | {"RepoTags": ["app:1-arm64"]}])
    index, one = listed(tmp_path, files)
    assert index.platforms() == (AMD, ARM) and index.names == ("app:1",)
    assert not one.is_index and one.names == ("app:1-arm64",)
    for name in ("app", "docker.io/library/app"):
        assert choose([index, one], "it", name=name, tag="1-arm64") is one
    # A tag alone, as skopeo writes it; and no name at all.
    tag = {"annotations": {"org.opencontainers.image.ref.name": "1"}}
    named = listed(tmp_path, files | {"index.json": encode({"manifests": [top | tag]})})
    assert [item.is_index for item in named] == [True, False]
    bare = {key: value for key, value in top.items() if key != "annotations"}
    nameless = {"index.json": encode({"manifests": [bare]}), "manifest.json": encode([docker | {"RepoTags": None}])}
    assert [item.is_index for item in listed(tmp_path, files | nameless)] == [True]


def test_a_folder_that_is_no_layout(tmp_path: Path) -> None:
    """As `skopeo copy … dir:` writes it."""
    for name, data in {"version": b"Directory Transport Version: 1.1\n", "manifest.json": b"{}"}.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DockertoolsError, match=r": a `dir:` folder of skopeo or podman: write the image as `oci:` instead$"):
        list_images(Reader.open(tmp_path))


def test_dockers_list_counts_whatever_the_index_is(tmp_path: Path) -> None:
    """Docker reads no index.json: what is wrong in it is no reason to refuse an archive."""
    files = index_of("a:1")
    odd = Handmade(layers=[], names=("odd:1",)).files()
    for index in (b"?", encode({"manifests": [descriptor(b"lost", MANIFEST)]}), encode({"manifests": 1})):
        (one,) = listed(tmp_path, files | {"index.json": index})
        assert not one.is_index and len(one.images) == 1
    # An image that only Docker's list has, beside an index; and an artifact beside both.
    other = json.loads(odd["manifest.json"])
    (top,) = json.loads(files["index.json"])["manifests"]
    artifact = encode({"schemaVersion": 2, "config": descriptor(b"{}", "x/y"), "layers": []})
    both = odd | files | {blob(artifact): artifact}
    both["manifest.json"] = encode([*json.loads(files["manifest.json"]), *other])
    both["index.json"] = encode({"manifests": [top, descriptor(artifact, MANIFEST)]})
    assert [one.is_index for one in listed(tmp_path, both)] == [True, False]


def test_images_without_names_are_no_index(tmp_path: Path) -> None:
    """As `docker save ID1 ID2` writes them."""
    one, two = (Handmade(names=(), config={"Cmd": [text]}).files() for text in "ab")
    entries = [*json.loads(one["manifest.json"]), *json.loads(two["manifest.json"])]
    both = listed(tmp_path, one | two | {"manifest.json": encode(entries), "index.json": b"{}"})
    assert [item.is_index for item in both] == [False, False]


def test_an_index_of_which_only_some_images_are_there(tmp_path: Path) -> None:
    """As Docker saves with containerd's store what it pulled: the index names all platforms."""
    files = index_of("a:1", lost=(1,))
    (one,) = listed(tmp_path, files)
    assert not one.is_index, "Docker's list has what there is"
    del files["manifest.json"]
    (one,) = listed(tmp_path, files)
    assert one.is_index and one.platforms() == (AMD,) and found(one, AMD) == "blobs/" + one.images[0].config[6:]
    with pytest.raises(DockertoolsError, match="no image for linux/arm64 in it"):
        found(one, Platform("arm64"))
    (nothing,) = listed(tmp_path, with_index(index_of("a:1", lost=(0, 1)), *json.loads(files["index.json"])["manifests"]))
    assert nothing.is_index and nothing.images == ()
    # What index.json itself names must be there.
    with pytest.raises(DockertoolsError, match="is not in it, though another file names it"):
        listed(tmp_path, with_index(files, descriptor(b"lost", MANIFEST)))
