"""Which images there are in archives and layouts, and which one is chosen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import (
    StoredImage,
    are_one_index,
    choose,
    fitting,
    images_by_platform,
    stored_images,
)
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import parse_all
from tests.oracle.image import INDEX, MANIFEST, Handmade, blob, descriptor, encode, write_tar

AMD, ARM = Platform("amd64"), Platform("arm64", variant="v8")
SEVERAL = (
    StoredImage(("docker.io/library/one:1", "docker.io/library/one:2"), "c1", ()),
    StoredImage(("example.org/two:latest",), "c2", ()),
    StoredImage((), "c3", ()),
)
THERE = "docker.io/library/one:1, docker.io/library/one:2, example.org/two:latest, one without a name"


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
    assert choose(SEVERAL, name, tag, "x.tar").config == config


OF_PLATFORMS = tuple(StoredImage(("x:1",), str(platform), (), platform) for platform in (AMD, ARM))


def test_choosing_by_platform() -> None:
    assert choose(OF_PLATFORMS, None, None, "it", AMD).config == "linux/amd64"
    assert choose(OF_PLATFORMS, "x", "1", "it", Platform("arm64")).config == "linux/arm64/v8"
    for platform, how_many in ((None, "2 images in it:"), (Platform("s390x"), "no image for linux/s390x in it;")):
        with pytest.raises(DockertoolsError) as caught:
            choose(OF_PLATFORMS, None, None, "it", platform)
        assert str(caught.value) == (
            f"it: {how_many} choose one (`architecture`, or --platform OS/ARCH); "
            "there is: x:1 for linux/amd64, x:1 for linux/arm64/v8"
        )
    arms = tuple(StoredImage((), variant, (), Platform("arm", "linux", variant)) for variant in ("v6", "v7"))
    assert [choose(arms, None, None, "it", arm.platform).config for arm in arms] == ["v6", "v7"]
    assert choose(arms, None, None, "it", Platform("arm")).config == "v7"
    # Who names the only image there is means it.
    assert choose(OF_PLATFORMS[1:], None, None, "it", AMD).config == "linux/arm64/v8"


@pytest.mark.parametrize(
    ("images", "name", "tag", "message"),
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
    images: tuple[StoredImage, ...], name: str | None, tag: str | None, message: str
) -> None:
    with pytest.raises(DockertoolsError) as caught:
        choose(images, name, tag, "x.tar")
    assert str(caught.value) == f"x.tar: {message}"


def test_a_name_that_is_a_tag_only(tmp_path: Path) -> None:
    # As `skopeo copy … oci:layout:1.0` writes it: it names the image in the layout, and is no name for an engine.
    files = Handmade(names=()).files()
    del files["manifest.json"]
    manifest = next(data for data in files.values() if MANIFEST.encode() in data and b'"layers"' in data)
    note = {"org.opencontainers.image.ref.name": "V1.0"}
    files["index.json"] = encode({"manifests": [descriptor(manifest, MANIFEST, annotations=note)]})
    (image,) = stored_images(Reader.open(write_tar(tmp_path / "a.tar", files)))
    assert parse_all(image.names) == ()
    assert choose([image], None, "V1.0", "it") == image


def stored(folder: Path, files: Mapping[str, bytes]) -> tuple[StoredImage, ...]:
    return stored_images(Reader.open(write_tar(folder / "a.tar", files)))


def note(name: str) -> dict[str, str]:
    return {"io.containerd.image.name": f"docker.io/library/{name}"}


def index_of(*names: str, lost: tuple[int, ...] = ()) -> dict[str, bytes]:
    """An archive of one index, under names: for amd64 and for arm64, of which the manifests of some are `lost`."""
    files: dict[str, bytes] = {}
    entries: list[Any] = []
    for number, platform in enumerate((AMD, ARM)):
        own = Handmade(names=(), config={"Cmd": [str(platform)]}).files()
        manifest = next(data for data in own.values() if MANIFEST.encode() in data and b'"layers"' in data)
        files |= own
        if number in lost:
            del files[blob(manifest)]
        entries.append(descriptor(manifest, MANIFEST) | {"platform": platform.to_json()})
    index = encode({"manifests": entries})
    tops = [descriptor(index, INDEX, annotations=note(name)) for name in names]
    return files | {blob(index): index, "index.json": encode({"manifests": tops})}


def test_one_image_of_two_names_is_one(tmp_path: Path) -> None:
    files = Handmade(names=()).files()
    del files["manifest.json"]
    (entry,) = json.loads(files["index.json"])["manifests"]
    files["index.json"] = encode({"manifests": [entry | {"annotations": note(name)} for name in ("a:1", "b:1", "a:1")]})
    (image,) = stored(tmp_path, files)
    assert list(map(str, parse_all(image.names))) == ["a:1", "b:1"]


def test_an_index_of_two_names(tmp_path: Path) -> None:
    files = index_of("a:1", "b:1")
    del files["manifest.json"]
    images = stored(tmp_path, files)
    assert [image.platform for image in images] == [AMD, ARM]
    assert {image.names for image in images} == {("docker.io/library/a:1", "docker.io/library/b:1")}
    assert are_one_index(images) and not are_one_index(images[:1]) and not are_one_index(SEVERAL)


def test_dockers_list_has_one_image_of_an_index(tmp_path: Path) -> None:
    """It is overruled only where the index has more of them."""
    reader = Reader.open(write_tar(tmp_path / "a.tar", index_of("a:1")))
    assert len(stored_images(reader)) == 1
    assert [image.platform for image in images_by_platform(reader)] == [AMD, ARM]
    reader = Reader.open(write_tar(tmp_path / "b.tar", Handmade().files()))
    assert images_by_platform(reader) == stored_images(reader)


def test_an_index_of_which_only_some_images_are_there(tmp_path: Path) -> None:
    """As Docker saves with containerd's store what it pulled: the index names all platforms."""
    files = index_of("a:1", lost=(1,))
    reader = Reader.open(write_tar(tmp_path / "a.tar", files))
    assert images_by_platform(reader) == stored_images(reader)
    del files["manifest.json"]
    (image,) = stored(tmp_path, files)
    assert image.platform == AMD
    # What index.json itself names must be there.
    files["index.json"] = encode({"manifests": [descriptor(b"lost", MANIFEST)]})
    with pytest.raises(DockertoolsError, match="is not in it, though another file names it"):
        stored(tmp_path, files)


def test_what_fits_best() -> None:
    arms = tuple(StoredImage((), variant, (), Platform("arm", "linux", variant)) for variant in ("v5", "v6", "v7"))
    assert [image.config for image in fitting(arms, Platform("arm", variant="v6"))] == ["v6"]
    assert fitting(arms, AMD) == [] and fitting(SEVERAL, AMD) == []
