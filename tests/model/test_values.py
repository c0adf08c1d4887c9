"""Digests, references, platforms, descriptors, manifests and indexes: what is parsed, and what is refused in which words."""

import hashlib
import json
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest, chain_ids
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.index import MAX_MANIFESTS_READ, Index
from dockertools_py.model.manifest import MAX_LAYERS_READ, Manifest
from dockertools_py.model.media_type import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    LAYER_OF_COMPRESSOR,
    OCI_CONFIG,
    OCI_LAYER,
    compressor_of,
)
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference, parse_all

HEX = "a" * 64


def message(call: Any, *arguments: Any) -> str:
    with pytest.raises(DockertoolsError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_digests() -> None:
    digest = Digest.of(b"x")
    assert str(digest) == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert Digest.parse(str(digest)) == digest
    assert Digest.parse("sha512:" + 2 * HEX).algorithm == "sha512"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        "sha256:",
        "sha256:" + HEX[1:],
        "sha256:" + HEX + "a",
        "sha256:" + HEX.upper(),
        "md5:" + HEX[:32],
        None,
        5,
        "sha512:" + HEX,
        f"sha256:{HEX}\n",
        "sha256:" + "g" * 64,
        ["sha256:" + HEX],
        "sha256:../../../" + "a" * 55,
    ],
)
def test_digests_that_are_none(text: object) -> None:
    assert message(Digest.parse, text, "layer 3").startswith("layer 3: ")
    assert message(Digest.parse, text).endswith(" is no digest: write sha256:<64 lower-case hex digits>")


def test_chain_ids_as_in_the_example_of_the_specification() -> None:
    one, two, three = (Digest.of(text) for text in (b"1", b"2", b"3"))
    second = "sha256:" + hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    third = "sha256:" + hashlib.sha256(f"{second} {three}".encode()).hexdigest()
    assert list(map(str, chain_ids((one, two, three)))) == [str(one), second, third]
    assert chain_ids(()) == ()


@pytest.mark.parametrize(
    ("text", "name", "tag", "normalised"),
    [
        ("redis", "redis", "latest", "docker.io/library/redis:latest"),
        ("redis:7", "redis", "7", "docker.io/library/redis:7"),
        ("a/b:1", "a/b", "1", "docker.io/a/b:1"),
        ("localhost/x:1", "localhost/x", "1", "localhost/x:1"),
        ("localhost:5000/x", "localhost:5000/x", "latest", "localhost:5000/x:latest"),
        ("registry.example.org/team/app:v1.2-rc_3", "registry.example.org/team/app", "v1.2-rc_3", None),
        ("a__b/c-d--e.f:" + "t" * 128, "a__b/c-d--e.f", "t" * 128, None),
        ("Registry.Example.ORG/x:1", "Registry.Example.ORG/x", "1", "Registry.Example.ORG/x:1"),
    ],
)
def test_references(text: str, name: str, tag: str, normalised: str | None) -> None:
    reference = Reference.parse(text)
    assert (reference.name, reference.tag) == (name, tag)
    assert Reference.parse(str(reference)) == reference
    if normalised:
        assert reference.normalised() == normalised


@pytest.mark.parametrize(
    "name", ["", "Upper", "a//b", "a/", "/a", "a..b", "-a", "a-", "a b", "ä", "a\n", "a" * 256, "a___b"]
)
def test_names_that_are_none(name: str) -> None:
    assert message(Reference.of, name, "1").startswith(
        f"image name {shown(name)!r}: write lower-case letters and digits"
    )


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a b", "a/b", "ä", "a\n", "t" * 129])
def test_tags_that_are_none(tag: str) -> None:
    assert message(Reference.of, "a", tag) == (
        f"image tag {shown(tag)!r}: write up to 128 letters, digits, . _ -, not beginning with . or -"
    )


def test_names_in_archives_and_layouts() -> None:
    names = ("docker.io/library/redis:7", "docker.io/a/b:1", "x:1", "latest", "V1.0", "not a: name", "")
    assert list(map(str, parse_all(names))) == ["redis:7", "a/b:1", "x:1"]


def test_platforms() -> None:
    assert str(Platform("arm64", "linux", "v8")) == "linux/arm64/v8"
    assert str(Platform("amd64")) == "linux/amd64"
    for platform in (Platform("amd64"), Platform("arm", "linux", "v7")):
        assert Platform.from_json(platform.to_json()) == platform
    assert "variant" not in Platform("amd64").to_json()
    assert Platform.from_json({"architecture": "amd64", "os": None, "variant": None}) == Platform("amd64")
    assert Platform.parse("linux/arm/v7") == Platform("arm", "linux", "v7")
    for wrong in ("", "linux", "linux/", "a/b/c/d", "linux/am d"):
        with pytest.raises(DockertoolsError, match=r"^platform .*: write os/architecture"):
            Platform.parse(wrong)


def test_the_platform_of_a_machine() -> None:
    names = ("x86_64", "aarch64", "armv7l", "riscv64", "amd64", "None")
    found = [str(Platform.of_machine(name)) for name in names]
    assert found == ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/riscv64", "linux/amd64", "linux/None"]


def test_the_best_of_several_platforms() -> None:
    offered = [Platform.parse(name) for name in ("linux/amd64/v3", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8")]
    for wanted, best in (
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/amd64", None),
        ("linux/arm/v5", None),
    ):
        assert Platform.parse(wanted).best_of(offered) == (Platform.parse(best) if best else None)
    assert Platform("amd64").best_of([]) is None


@pytest.mark.parametrize(
    ("one", "wanted", "runs"),
    [
        (("arm64", "linux", "v8"), ("arm64",), True),
        (("arm64",), ("arm64", "linux", "v8"), True),
        (("arm", "linux", "v6"), ("arm", "linux", "v7"), True),
        (("arm", "linux", "v7"), ("arm", "linux", "v6"), False),
        (("amd64",), ("amd64", "linux", "v3"), True),
        (("amd64", "linux", "v3"), ("amd64",), False),
        (("riscv64",), ("riscv64",), True),
        (("riscv64", "linux", "x"), ("riscv64",), False),
        (("arm64",), ("amd64",), False),
        (("amd64", "windows"), ("amd64",), False),
    ],
)
def test_what_runs_where(one: tuple[str, ...], wanted: tuple[str, ...], runs: bool) -> None:
    assert Platform(*one).runs_on(Platform(*wanted)) is runs


def test_descriptors() -> None:
    whole = Descriptor(OCI_LAYER, Digest.of(b"x"), 1, {"a": "b"}, Platform("amd64"))
    assert Descriptor.from_json(whole.to_json(), "it") == whole
    plain = Descriptor(OCI_LAYER, Digest.of(b"x"), 1)
    assert sorted(plain.to_json()) == ["digest", "mediaType", "size"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "it: a descriptor is an object with mediaType, digest and size"),
        ({"digest": f"sha256:{HEX}"}, "it: size is None, not a number of bytes"),
        ({"digest": f"sha256:{HEX}", "size": -1}, "it: size is -1, not a number of bytes"),
        ({"digest": f"sha256:{HEX}", "size": True}, "it: size is True, not a number of bytes"),
        ({"digest": "x", "size": 1}, "it: digest: x is no digest: write sha256:<64 lower-case hex digits>"),
        ({"digest": f"sha256:{HEX}", "size": 1, "annotations": [1]}, "it: annotations are not an object"),
    ],
)
def test_descriptors_that_are_none(value: object, expected: str) -> None:
    assert message(Descriptor.from_json, value, "it") == expected


def test_manifests() -> None:
    config, layer = Descriptor(OCI_CONFIG, Digest.of(b"c"), 1), Descriptor(OCI_LAYER, Digest.of(b"l"), 2)
    manifest = Manifest(config, (layer, layer))
    data = manifest.to_bytes()
    assert Manifest.from_json(data, "it") == manifest
    assert manifest.descriptor().digest == Digest.of(data)
    assert json.loads(data)["schemaVersion"] == 2


@pytest.mark.parametrize("layers", [None, {}, [{}] * (MAX_LAYERS_READ + 1)])
def test_manifests_that_are_none(layers: object) -> None:
    data = json.dumps({"layers": layers}).encode()
    assert message(Manifest.from_json, data, "it") == "it: `layers` is not a list of at most 1000 descriptors"


def test_indexes() -> None:
    index = Index((Descriptor(OCI_CONFIG, Digest.of(b"c"), 1),))
    assert Index.from_json(index.to_bytes(), "it") == index
    for manifests in (None, "x", [{}] * (MAX_MANIFESTS_READ + 1)):
        data = json.dumps({"manifests": manifests}).encode()
        assert message(Index.from_json, data, "it") == "it: `manifests` is not a list of at most 1000 descriptors"


def test_media_types() -> None:
    for compressor, media_type in LAYER_OF_COMPRESSOR.items():
        assert compressor_of(media_type) == compressor
    assert (compressor_of(DOCKER_LAYER), compressor_of(DOCKER_LAYER_GZIP)) == ("none", "gz")
    assert message(compressor_of, "text/plain") == "layer of media type text/plain: not a tar layer that can be read"


def test_the_parent_of_an_entry() -> None:
    parents = {b"a": b"", b"a/": b"", b"a/b": b"a/", b"a/b/": b"a/", b"a/b/c": b"a/b/"}
    assert {name: Entry(name, Kind.FILE, 0).parent() for name in parents} == parents


def test_canonical_json() -> None:
    value = {"b": [1, {"z": None, "y": "ä→\U0001f600\n"}], "a": True}
    assert canonical_json.encode(value) == '{"a":true,"b":[1,{"y":"ä→😀\\n","z":null}]}'.encode()
    assert canonical_json.decode_object(canonical_json.encode(value), "it") == value


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (b"", "it: not JSON ("),
        (b"{", "it: not JSON ("),
        (b"\xff\xfe\xfd", "it: not JSON ("),
        (b'{"a": NaN}', "it: not JSON (NaN is not a number)"),
        (b'{"a": -Infinity}', "it: not JSON (-Infinity is not a number)"),
        (b'{"a": 1e999}', "it: not JSON (1e999 is not a number)"),
        (b'{"a": "\\ud800"}', "it: not JSON ('utf-8' codec can't encode"),
        (b'{"a": ' + b"[" * 100_000, "it: not JSON (nested too deeply)"),
        (b"[]", "it: a JSON object was expected, not list"),
    ],
)
def test_json_that_is_none(data: bytes, start: str) -> None:
    assert message(canonical_json.decode_object, data, "it").startswith(start)


def test_a_whole_character_in_two_escapes_is_read() -> None:
    assert canonical_json.decode_object(rb'{"a":"\ud83d\ude00"}', "it") == {"a": "\U0001f600"}


def test_json_that_is_no_list_or_too_long() -> None:
    assert message(canonical_json.decode_list, b"{}", "it") == "it: a JSON list was expected, not dict"
    long = b'{"a":"' + b"x" * canonical_json.MAX_JSON_BYTES + b'"}'
    assert message(canonical_json.decode_object, long, "it").startswith(
        "it: 33554440 bytes of JSON, more than the 33554432"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"a\n\xff", "a\\n\\xff"),
        ("ä\x1b[31m\u202e", "ä\\x1b[31m\\u202e"),
        ("\udcff", "\\udcff"),
        (None, "None"),
        ("x" * 121, "x" * 119 + "…"),
        ("x" * 120, "x" * 120),
        ("layer (" + "x" * 120 + ")", "layer (" + "x" * 111 + "…)"),
        ("(a)" + "x" * 120 + ")", "(a)" + "x" * 116 + "…"),
    ],
)
def test_values_in_errors(value: object, text: str) -> None:
    assert shown(value) == text
