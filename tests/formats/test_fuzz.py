"""Thousands of mutations of small images: reading and validating end in success or in an error for users, nothing else."""

import io
import json
import random
import resource
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import read_image
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import list_images
from dockertools_py.formats.validate import validate
from dockertools_py.model.reference import parse_all
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.pack.tar_reader import ChunkStream, members
from tests.oracle.image import Handmade, blob, digest, encode, layer_of, write_folder, write_tar
from tests.oracle.layer_tar import Member, tar_of
from tests.pack.test_sparse import content, in_content, old, pax_map

CASES = 1500
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1 << 70, "", "x", "sha256:", "\ud800", "a\nb\0", "../../etc/passwd", "/etc/passwd",
    [], {}, [None], {"": None}, [[]], "x" * 5000, digest(b""), float("inf"),
)  # fmt: skip
NUMBERS = (b"\0" * 12, b"7" * 12, b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-1", b" ", b"00000000001\0", b"99999999999 ")


def looked_at(path: Path) -> None:
    """Everything that a user can do with an image of others."""
    try:
        reader = Reader.open(path)
        for stored in (image for one in list_images(reader) for image in one.images):
            image = read_image(reader, stored)
            image.image_id()
            bundle([NamedImage(image, parse_all(stored.names))], {})
    except DockertoolsError as error:
        assert "\n" not in str(error)
        str(error).encode()
    try:
        report = validate(Reader.open(path))
    except DockertoolsError as error:
        assert "\n" not in str(error)
    else:
        for text in report.mismatches:
            text.encode()


def mutated(dice: random.Random, data: bytes) -> bytes:
    """`data` with a few bytes changed, cut, repeated or moved; headers more often than content."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(len(changed)) if dice.random() < 0.3 else dice.randrange(len(changed) // 512 + 1) * 512
        match dice.randrange(6):
            case 0:
                at = min(len(changed) - 1, at + dice.randrange(512))
                changed[at] = dice.randrange(256)
            case 1:
                del changed[at : at + dice.choice((1, 512, 5000))]
            case 2:
                changed[at:at] = changed[at : at + dice.choice((1, 512, 3000))]
            case 3:
                number = dice.choice(NUMBERS)
                field = at // 512 * 512 + dice.choice((100, 124, 136, 148, 329))
                changed[field : field + len(number)] = number
                _fix_checksum(changed, at // 512 * 512)
            case 4:
                changed[at // 512 * 512 + 156 : at // 512 * 512 + 157] = dice.choice(
                    [b"x", b"g", b"L", b"K", b"S", b"2", b"1"]
                )
                _fix_checksum(changed, at // 512 * 512)
            case _:
                del changed[at:]
        changed = changed or bytearray(b"x")
    return bytes(changed)


def _fix_checksum(data: bytearray, at: int) -> None:
    if len(data) >= at + 512:
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = f"{sum(data[at : at + 512]):06o}\0 ".encode()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each (container, key) in a JSON value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def spoiled(dice: random.Random, data: bytes) -> bytes:
    """JSON with some of its values replaced by others."""
    value = json.loads(data)
    for _ in range(dice.choice((1, 1, 2))):
        container, key = dice.choice([*places(value), ([0], 0)])
        if dice.random() < 0.2:
            del container[key]
        else:
            container[key] = deepcopy(dice.choice(VALUES))
    return json.dumps(value).encode()


def rebuilt(made: Handmade, change: Callable[[str, bytes], bytes]) -> dict[str, bytes]:
    """An image of which `change` may spoil each JSON, under digests that are right: so what is inside is looked at."""
    config = change("config", encode(made.config_value()))
    manifest = change("manifest", encode(made.manifest_value(config)))
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest),
        "size": len(manifest),
    }
    archive = [{"Config": blob(config), "RepoTags": ["a:1"], "Layers": [blob(data) for data in made.stored()]}]
    return {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": change("index", encode({"schemaVersion": 2, "manifests": [entry]})),
        "manifest.json": change("archive", encode(archive)),
        blob(manifest): manifest,
        blob(config): config,
        **{blob(data): data for data in made.stored()},
    }


MADE = Handmade([layer_of("nix/", "nix/store/", "nix/store/x", "a" * 120 + "/b")], compressed=frozenset())


@pytest.mark.parametrize("seed", [1, 2])
def test_archives_with_changed_bytes(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    made = Handmade(MADE.layers, compressed=frozenset({0} if seed == 2 else ()))
    originals = [
        write_tar(tmp_path / f"{number}.tar", files).read_bytes()
        for number, files in enumerate((made.files(), made.old_files()))
    ]
    path = tmp_path / "mutated.tar"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(CASES // 2):
        path.write_bytes(mutated(dice, dice.choice(originals)))
        looked_at(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize("kind", ["config", "manifest", "index", "archive"])
def test_json_with_other_values_below_right_digests(tmp_path: Path, kind: str) -> None:
    dice = random.Random(kind)
    for number in range(CASES // 5):
        files = rebuilt(MADE, lambda what, data: spoiled(dice, data) if what == kind else data)
        if number % 3:
            del files["manifest.json" if kind in ("index", "manifest") else "index.json"]
        if number % 2:
            looked_at(write_tar(tmp_path / f"{number}.tar", files))
        else:
            looked_at(write_folder(tmp_path / f"{number}", files))


def test_tar_headers_with_changed_bytes() -> None:
    dice = random.Random(5)
    original = tar_of([Member(b"d/", b"5", 0o755), Member(b"d/f", b"0", 0o644, b"x" * 700), Member(b"l", b"2", 0o777)])
    maps = (
        in_content("2\n0\n1\n4096\n1\n", b"xy"),
        old(5000, (0, 1), (4096, 1), stored=b"xy"),
        pax_map("1,1", stored=b"x"),
    )
    originals = (original, tar_with_extensions(), *maps)
    seen: set[bool] = set()
    for _ in range(CASES):
        tar = mutated(dice, dice.choice(originals))
        try:
            for member in list(members(ChunkStream([tar]))):
                if member.segments and member.size < 1 << 20:
                    assert len(content(member, tar)) == member.size
            seen.add(True)
        except DockertoolsError as error:
            assert "\n" not in str(error)
            seen.add(False)
    assert seen == {True, False}


def tar_with_extensions() -> bytes:
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "g"}) as archive:
        info = tarfile.TarInfo("n" * 300)
        info.uid = 1 << 30
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize("text", [b'"\\ud800"', b"1" * 5000, b"[" * 100_000, b"NaN", b"\xff\xfe", b"1e999"])
def test_json_that_python_reads_and_nobody_else(tmp_path: Path, text: bytes) -> None:
    made = MADE.config_value() | {"config": {"Labels": {"x": "@"}, "Unknown": "@"}}
    made["config"]["Labels"] = {"x": "y"}
    config = encode(made).replace(b'"@"', text)
    files = rebuilt(MADE, lambda what, data: config if what == "config" else data)
    looked_at(write_tar(tmp_path / "a.tar", files))
