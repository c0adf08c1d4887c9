"""Configs of containers and images: what is checked, how one inherits from another, and that nothing is lost."""

import json
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import container_config
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import DEFAULT_CREATED, History, ImageConfig, parse_created
from dockertools_py.model.platform import Platform

STRINGS = 'write a list of strings, as in ["/bin/sh"]'


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("Cmd", "/bin/sh", STRINGS),
        ("Entrypoint", [1], STRINGS),
        ("Env", {"A": "1"}, 'write a list of "NAME=value" strings'),
        ("Env", ["A"], 'write a list of "NAME=value" strings'),
        ("Env", ["=A"], 'write a list of "NAME=value" strings'),
        ("User", 0, "write a string"),
        ("WorkingDir", ["/"], "write a string"),
        ("Tty", "yes", "write true or false"),
        ("StopTimeout", True, "write a whole number"),
        ("StopTimeout", "5", "write a whole number"),
        ("ExposedPorts", ["80/tcp"], 'write an object such as {"80/tcp": {}}'),
        ("Volumes", {"/data": "x"}, 'write an object such as {"/data": {}}'),
        ("Labels", {"a": 1}, "write an object of strings"),
        ("Healthcheck", [], 'write an object such as {"Test": ["CMD", "/bin/check"]}'),
    ],
)
def test_settings_of_the_wrong_type(key: str, value: Any, rule: str) -> None:
    with pytest.raises(DockertoolsError) as caught:
        container_config.parse({key: value}, "it")
    assert str(caught.value) == f"it: config.{key} is {value}: {rule}"


def test_settings_that_are_right() -> None:
    value = {
        "Cmd": ["a"],
        "Env": ["A=1", "B=", "==x=1"],
        "ExposedPorts": {"80/tcp": {}, "81/udp": None},
        "Labels": {"a": "b"},
        "StopTimeout": 5,
        "Tty": False,
        "Unknown": [{"kept": True}],
    }
    assert container_config.parse(value | {"User": None}, "it") == value
    assert container_config.parse(None, "it") == {}
    with pytest.raises(DockertoolsError, match=r"^it: config is \[\], not an object$"):
        container_config.parse([], "it")


def test_inheriting_as_a_dockerfile_does() -> None:
    base = {
        "Cmd": ["base"],
        "Env": ["PATH=/bin", "A=1", "B=2"],
        "Labels": {"a": "1", "b": "2"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/x": {}},
        "WorkingDir": "/srv",
        "Unknown": [1],
    }
    own = {"Env": ["A=9", "C=3"], "Labels": {"b": "9"}, "ExposedPorts": {"81/tcp": {}}, "User": "me"}
    assert container_config.inherit(base, own) == {
        "Cmd": ["base"],
        "Env": ["PATH=/bin", "A=9", "B=2", "C=3"],
        "Labels": {"a": "1", "b": "9"},
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
        "Volumes": {"/x": {}},
        "WorkingDir": "/srv",
        "Unknown": [1],
        "User": "me",
    }
    assert base["Env"] == ["PATH=/bin", "A=1", "B=2"]


def test_a_new_entrypoint_drops_the_cmd_of_the_base() -> None:
    base = {"Entrypoint": ["old"], "Cmd": ["x"]}
    assert container_config.inherit(base, {"Entrypoint": ["new"]}) == {"Entrypoint": ["new"]}
    both = {"Entrypoint": ["new"], "Cmd": ["y"]}
    assert container_config.inherit(base, both) == both
    assert container_config.inherit(base, {"Cmd": ["y"]}) == {"Entrypoint": ["old"], "Cmd": ["y"]}


def test_merging_goes_from_left_to_right() -> None:
    configs = [{"Env": ["A=1"], "Cmd": ["1"]}, {"Env": ["A=2", "B=2"]}, {"Cmd": ["3"]}]
    assert container_config.merge(configs) == {"Env": ["A=2", "B=2"], "Cmd": ["3"]}
    assert container_config.merge([]) == {}


def whole() -> ImageConfig:
    history = (History(created_by="one"), History("2020-01-01T00:00:00Z", "two", "note", empty_layer=True))
    return ImageConfig(
        Platform("arm64", "linux", "v8"), {"Cmd": ["x"]}, "2020-02-03T04:05:06+01:00", "me", (Digest.of(b"1"),), history
    )


def test_image_configs_are_written_and_read() -> None:
    config = whole()
    assert ImageConfig.from_json(config.to_bytes(), "it") == config
    value = json.loads(config.to_bytes())
    assert value["history"][0] == {"created": DEFAULT_CREATED, "created_by": "one"}
    assert value["rootfs"] == {"type": "layers", "diff_ids": [str(Digest.of(b"1"))]}
    assert (value["architecture"], value["os"], value["variant"]) == ("arm64", "linux", "v8")


def test_the_bytes_of_a_config_are_known() -> None:
    # A changed byte is another image id for everybody.
    assert ImageConfig(Platform("amd64"), {"Cmd": ["a"]}).to_bytes() == (
        b'{"architecture":"amd64","config":{"Cmd":["a"]},"created":"1970-01-01T00:00:01Z","history":[],"os":"linux",'
        b'"rootfs":{"diff_ids":[],"type":"layers"}}'
    )


def test_nulls_are_what_is_absent() -> None:
    data = json.dumps(
        {
            "architecture": "amd64",
            "created": None,
            "author": None,
            "config": None,
            "history": [{"created": None, "created_by": None, "comment": None}],
            "rootfs": {"diff_ids": None},
        }
    ).encode()
    config = ImageConfig.from_json(data, "it")
    assert (config.created, config.author, config.container, config.diff_ids) == (DEFAULT_CREATED, "", {}, ())
    assert config.history[0].to_json() == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, "it: no `rootfs` with a list of diff_ids: not the config of an image"),
        ({"rootfs": {"diff_ids": {"a": 1}}}, "it: no `rootfs` with a list of diff_ids: not the config of an image"),
        ({"rootfs": {}, "history": {"a": 1}}, "it: `history` is not a list"),
        ({"rootfs": {}, "history": [1]}, "it: an entry of `history` is 1, not an object"),
        ({"rootfs": {}, "config": 1}, "it: config is 1, not an object"),
        (
            {"rootfs": {"diff_ids": ["x"]}},
            "it: diff_id 0: x is no digest: write sha256:<64 lower-case hex digits>",
        ),
    ],
)
def test_image_configs_that_are_none(value: object, expected: str) -> None:
    with pytest.raises(DockertoolsError) as caught:
        ImageConfig.from_json(json.dumps(value).encode(), "it")
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", [DEFAULT_CREATED, "2024-02-29T23:59:60.123456789+05:30", "2020-01-01t00:00:00z"])
def test_dates(text: str) -> None:
    assert parse_created(text) == text


@pytest.mark.parametrize("text", ["", "now", "2020-01-01", "2020-01-01 00:00:00Z", "2020-01-01T00:00:00", "1", "x\n"])
def test_dates_that_are_none(text: str) -> None:
    with pytest.raises(DockertoolsError, match=r"write a date like 1970-01-01T00:00:01Z$"):
        parse_created(text)
