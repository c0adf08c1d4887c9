"""Hashes in the forms in which Nix writes them."""

import hashlib
import re
import subprocess

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.nar_hash import parse_nar_hash
from tests.clients.need import need

DIGESTS = [hashlib.sha256(bytes([n])).hexdigest() for n in range(20)] + ["0" * 64, "f" * 64]


@pytest.mark.parametrize("form", ["base16", "base32", "sri"])
def test_as_nix_converts_them(form: str) -> None:
    need("nix")
    command = [
        "nix",
        "--extra-experimental-features",
        "nix-command",
        "hash",
        f"to-{form}",
        "--type",
        "sha256",
        *DIGESTS,
    ]
    converted = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(converted) == len(DIGESTS)
    for text, digest in zip(converted, DIGESTS, strict=True):
        given = text if form == "sri" else f"sha256:{text}"
        assert parse_nar_hash(given, "x") == f"sha256:{digest}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "e" * 52, "sha256:" + "z" * 52),
        *("sha512:" + "0" * 64, "md5:" + "0" * 32, "sha256-" + "A" * 44, "SHA256:" + "0" * 64, "sha256:" + "A" * 64),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(DockertoolsError, match=re.escape("x: ") + ".*is no SHA-256 as Nix writes it$"):
        parse_nar_hash(text, "x")
