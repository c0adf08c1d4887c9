"""Images of images: appended layers, inherited configs, merged layers, and the bundle that they are written as."""

import json
from dataclasses import replace

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.media_type import OCI_LAYER_GZIP
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.pack.image import MAX_LAYERS, Image, merge_layers
from dockertools_py.pack.layer import BlobSource, Layer, PathsSource, RootSource, created_by

CREATED = "1970-01-01T00:00:01Z"
EMPTY = Image(ImageConfig(Platform("amd64")), ())
HASH = "0" * 32


def path(name: str) -> str:
    return f"/nix/store/{HASH}-{name}"


def layer(*names: str) -> Layer:
    """A layer of store paths."""
    source = PathsSource(tuple(path(name) for name in names))
    return Layer(Digest.of(" ".join(names).encode()), 1024, source, source.paths, created_by(source))


def foreign(*names: str) -> Layer:
    """A stored layer that holds store paths."""
    digest = Digest.of(b"foreign" + " ".join(names).encode())
    return Layer(digest, 1024, BlobSource("f", 0, 1, digest), tuple(map(path, names)), "foreign")


def hiding(*names: str, bringing: tuple[str, ...] = ()) -> Layer:
    """A stored layer that hides store paths of what is below; `*` for all."""
    hidden = tuple(name if name == "*" else path(name) for name in names)
    return replace(foreign(*bringing, "of " + " ".join(names)), store_paths=tuple(map(path, bringing)), hidden=hidden)


def image(*layers: Layer) -> Image:
    return EMPTY.append(layers, CREATED)


def merged(*images: Image) -> list[tuple[list[str], list[str]]]:
    """Names in each layer, and those of them that lie below."""
    return [
        ([p[len(path("")) :] for p in found.store_paths], sorted(p[len(path("")) :] for p in twice))
        for found, twice in merge_layers(images)
    ]


def test_appending() -> None:
    whole = image(layer("a")).append([layer("b")], "2020-01-01T00:00:00Z")
    assert whole.config.diff_ids == (layer("a").diff_id, layer("b").diff_id)
    assert [(entry.created, entry.created_by) for entry in whole.config.history] == [
        (CREATED, "store: a"),
        ("2020-01-01T00:00:00Z", "store: b"),
    ]
    assert whole.store_paths() == {path("a"), path("b")}
    assert Image.from_json(whole.config.to_bytes(), json.loads(json.dumps(whole.to_json()))) == whole


def test_whatever_changes_an_image_changes_its_config_blob() -> None:
    read = replace(image(layer("a")), config=ImageConfig.from_json(b" " + image(layer("a")).config.to_bytes(), "it"))
    assert read.config.to_bytes().startswith(b" {")
    for changed in (read.append([layer("b")], CREATED), read.with_config({"Cmd": ["x"]}, CREATED)):
        assert ImageConfig.from_json(changed.config.to_bytes(), "it") == changed.config
        assert changed.config.to_bytes().startswith(b"{")


def test_a_config_that_does_not_belong_to_the_layers() -> None:
    with pytest.raises(DockertoolsError, match=r"^config.json: its diff_ids are not those of the layers beside it$"):
        Image.from_json(image(layer("a")).config.to_bytes(), image(layer("b")).to_json())


def test_at_most_125_layers() -> None:
    base = image(*(layer(f"{number}") for number in range(MAX_LAYERS)))
    assert len(base.layers) == 125
    with pytest.raises(DockertoolsError) as caught:
        base.append([layer("more")], CREATED)
    assert str(caught.value) == (
        "126 layers, 125 of them the base's: Docker mounts at most 125; give a smaller maxLayers, "
        "or a base with fewer layers"
    )


def test_merging_keeps_each_layer_once() -> None:
    assert merged(image(layer("a"), layer("b")), image(layer("a"), layer("c"))) == [
        (["a"], []),
        (["b"], []),
        (["c"], []),
    ]
    assert merged() == []


def test_merging_tells_which_paths_lie_below_already() -> None:
    assert merged(image(layer("a", "b")), image(layer("b", "c"))) == [(["a", "b"], []), (["b", "c"], ["b"])]


def test_a_layer_that_brings_nothing_new_is_left_out() -> None:
    assert merged(image(layer("a", "b")), image(layer("b"), layer("a"))) == [(["a", "b"], [])]


def test_a_stored_layer_is_kept_whatever_lies_below() -> None:
    # It may hold more than store paths.
    assert merged(image(layer("a")), image(foreign("a"))) == [(["a"], []), (["a"], [])]
    assert merged(image(foreign("a")), image(layer("a"), layer("b"))) == [(["a"], []), (["b"], [])]


def test_what_a_layer_hides_is_not_there() -> None:
    one = image(layer("a", "b"), hiding("a", bringing=("c",)))
    assert one.store_paths() == {path("b"), path("c")}
    assert image(layer("a"), hiding("*"), layer("b")).store_paths() == {path("b")}
    assert image(layer("a"), hiding("a"), layer("a")).store_paths() == {path("a")}
    described = Image.from_json(one.config.to_bytes(), json.loads(json.dumps(one.to_json())))
    assert described == one


def test_a_path_that_one_image_hides_comes_with_the_next() -> None:
    one = image(layer("a", "b"), hiding("a"))
    assert merged(one, image(layer("a", "b"), layer("c"))) == [
        (["a", "b"], []),
        ([], []),
        (["a", "b"], ["b"]),
        (["c"], []),
    ]
    assert merged(one, image(layer("b"))) == [(["a", "b"], []), ([], [])]


def test_a_path_that_the_next_image_hides_comes_again() -> None:
    first, second = image(layer("a"), layer("b", "c")), image(layer("b"), hiding("b", "a"))
    assert merged(first, second) == [(["a"], []), (["b", "c"], []), ([], []), (["a"], []), (["b", "c"], ["c"])]
    # Of a layer that holds more than store paths only the whole could come again.
    with pytest.raises(DockertoolsError) as caught:
        merged(image(foreign("a")), image(layer("b"), hiding("a")))
    assert str(caught.value) == (
        f"mergeImages: {path('a')} of one image is hidden by a layer of another, and is in a layer that cannot be split: "
        "put the image that hides it first"
    )
    assert merged(image(layer("b"), hiding("a")), image(foreign("a")))[-1] == (["a"], [])
    assert len(merge_layers([image(foreign("a")), image(hiding("a"))], last_wins=True)) == 2


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (PathsSource((path("b"), path("a"))), "store: a, b"),
        (PathsSource(tuple(path(name) for name in "edcba")), "store: a, b, c and 2 more"),
        (RootSource((path("one"),), (path("two"),)), "root: one, two"),
        (BlobSource("/x/layer.tar", 0, 1, Digest.of(b"")), "tar: layer.tar"),
    ],
)
def test_what_history_says(source: PathsSource | RootSource | BlobSource, text: str) -> None:
    assert created_by(source) == text


def test_a_bundle_lists_an_image_once_for_each_name() -> None:
    names = (Reference.parse("a:1"), Reference.parse("example.org/b:2"))
    whole = bundle([NamedImage(image(layer("a"), layer("a")), names)], {})
    index = json.loads(whole.index)
    assert [entry["annotations"] for entry in index["manifests"]] == [
        {"io.containerd.image.name": "docker.io/library/a:1", "org.opencontainers.image.ref.name": "1"},
        {"io.containerd.image.name": "example.org/b:2", "org.opencontainers.image.ref.name": "2"},
    ]
    assert {entry["digest"] for entry in index["manifests"]} == {str(whole.blobs[0].descriptor.digest)}
    assert all(entry["platform"] == {"architecture": "amd64", "os": "linux"} for entry in index["manifests"])
    (entry,) = json.loads(whole.archive_manifest)
    assert entry["RepoTags"] == ["a:1", "example.org/b:2"]
    assert len(entry["Layers"]) == 2
    assert len(whole.blobs) == 3, "manifest, config, and one layer that is there twice"


def test_stored_blobs_take_the_place_of_layers() -> None:
    plain, blob = layer("a"), foreign("b")
    stored = BlobSource("g", 5, 7, Digest.of(b"stored"), OCI_LAYER_GZIP)
    whole = bundle([NamedImage(image(plain, blob), ())], {plain.diff_id: stored})
    contents = [found.content for found in whole.blobs[2:]]
    assert contents == [stored, blob.source]
    assert [found.descriptor.size for found in whole.blobs[2:]] == [7, 1]
    other = replace(stored, digest=Digest.of(b"other"))
    again = bundle([NamedImage(image(plain, blob), ())], {plain.diff_id: stored, blob.diff_id: other})
    assert again.blobs[3].content == other
