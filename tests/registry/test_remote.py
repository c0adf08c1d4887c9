"""Names of images as users write them, mirrors, platforms."""

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform
from dockertools_py.registry.choice import choose
from dockertools_py.registry.remote import Endpoint, RemoteImage, origin

D = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar", "host"),
    [
        ("alpine", "docker.io/library/alpine:latest", "alpine", "registry-1.docker.io"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine", "registry-1.docker.io"),
        ("team/app:1", "docker.io/team/app:1", "team/app", "registry-1.docker.io"),
        ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine", "registry-1.docker.io"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine", "registry-1.docker.io"),
        (f"alpine@{D}", f"docker.io/library/alpine@{D}", "alpine", "registry-1.docker.io"),
        (f"alpine:3@{D}", f"docker.io/library/alpine:3@{D}", "alpine", "registry-1.docker.io"),
        ("localhost/app", "localhost/app:latest", "localhost/app", "localhost"),
        ("example.org/a/b/c:x", "example.org/a/b/c:x", "example.org/a/b/c", "example.org"),
        ("https://example.org/a", "example.org/a:latest", "example.org/a", "example.org"),
        ("http://example.org:80/a", "http://example.org:80/a:latest", "example.org:80/a", "example.org:80"),
    ],
)
def test_names(text: str, full: str, familiar: str, host: str) -> None:
    image = RemoteImage.parse(text)
    assert str(image) == full
    assert image.familiar_name() == familiar
    assert image.endpoint() == Endpoint("http" if text.startswith("http:") else "https", host)
    assert RemoteImage.parse(str(image)) == image


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "image name"),
        ("Alpine", "image name 'Alpine': write lower-case"),
        ("a:-b", "image tag '-b': write up to 128"),
        ("a@sha256:12", "image a@sha256:12: digest: sha256:12 is no digest"),
        ("ftp://example.org/a", "image name"),
        ("a/../b", "image name 'a/../b'"),
        ("example.org/a?b", "image name"),
        ("http://me:sesame@example.org/a", "image name with an account in it, as in user:password@host/name: leave it out"),
        ("me:se/same@example.org:5000/a:1", "image name with an account in it"),
        ("http://alpine", "image http://alpine: docker.io speaks https: leave http:// out"),
    ],
)
def test_what_is_no_name(text: str, message: str) -> None:
    with pytest.raises(DockertoolsError) as error:
        RemoteImage.parse(text)
    assert str(error.value).startswith(message)
    assert "same" not in str(error.value), "that is a password"


def test_mirrors() -> None:
    assert Endpoint.parse("mirror.example.org") == Endpoint("https", "mirror.example.org")
    assert Endpoint.parse("http://m:5000/").url("a/b") == "http://m:5000/v2/a/b"
    assert Endpoint.parse("https://m/hub/").url("x") == "https://m/hub/v2/x"
    for wrong in ("", "ftp://m", "m/../x?y", "https://user:secret@m", "m n"):
        with pytest.raises(DockertoolsError, match=r"^mirror .*: write a host such as"):
            Endpoint.parse(wrong)


def test_origins() -> None:
    assert origin("https://a/b") == ("https", "a", 443) != origin("http://a/b")
    assert origin("https://a:443/c?d") == origin("https://A/")
    for wrong in ("file:///etc/passwd", "//a", "https://", "http://a:99999999/", "http://[/"):
        with pytest.raises(DockertoolsError):
            origin(wrong)


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/arm64", ["linux/arm64/v8"], 0),
        ("linux/arm64/v8", ["linux/amd64", "linux/arm64"], 1),
        ("linux/arm", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], 2),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5", "linux/arm/v6"], 2),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"], 1),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64"], 1),
        ("windows/amd64", ["linux/amd64", "windows/amd64", "windows/amd64"], 1),
        ("linux/riscv64", ["linux/amd64", "linux/riscv64"], 1),
        ("linux/amd64", [None], 0),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["unknown/unknown", "linux/arm64"], None),
        ("linux/amd64", [None, None], None),
        ("linux/amd64", [], None),
    ],
)
def test_choice(wanted: str, there: list[str | None], chosen: int | None) -> None:
    entries = [
        Descriptor("m", Digest("sha256", f"{n:064}"), n, {}, Platform.parse(name) if name else None)
        for n, name in enumerate(there)
    ]
    if chosen is None:
        with pytest.raises(DockertoolsError, match=f"^it: nothing for {wanted} in it; there is: ") as error:
            choose(entries, Platform.parse(wanted), "it")
        assert "unknown" not in str(error.value)
    else:
        assert choose(entries, Platform.parse(wanted), "it") is entries[chosen]
