"""Where an image is: its registry, its repository, and the tag or digest that chooses it there.

Docker's rules for short names: `alpine` is `docker.io/library/alpine:latest`, and a first part with a dot, a colon or
`localhost` is a registry. The API of Docker's own registry answers on another host than its name says.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.reference import Reference

DOCKER_HUB = "docker.io"
DOCKER_HUB_HOST = "registry-1.docker.io"
DOCKER_HUB_NAMES = frozenset({DOCKER_HUB, DOCKER_HUB_HOST, "index.docker.io"})

MAX_LOCATION = 16 << 10
"""Bytes of an address that a registry leads to: signed ones have some kB."""

_SCHEME = re.compile(r"(https?)://")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API of a registry answers: `https`, `host[:port]`, and a path in front of `/v2/`, mostly empty."""

    scheme: str
    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """A mirror as users write it: `host`, `https://host:port/path`, `http://host`. Raises DockertoolsError."""
        scheme = match[1] if (match := _SCHEME.match(text)) else "https"
        host, slash, path = text[match.end() if match else 0 :].partition("/")
        if not _HOST.fullmatch(host) or not _PREFIX.fullmatch(slash + path):
            raise DockertoolsError(
                f"mirror {shown(text)!r}: write a host such as mirror.example.org, with https:// or http://, port and path"
            )
        return cls(scheme, host, (slash + path).rstrip("/"))

    def url(self, path: str) -> str:
        """The URL of something below `/v2/`."""
        return f"{self.scheme}://{self.host}{self.prefix}/v2/{path}"


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """`registry` as users know it (`docker.io`), `repository` in full (`library/alpine`); `tag` may be empty."""

    registry: str
    repository: str
    tag: str
    digest: Digest | None = None
    plain_http: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `[http://][registry/]repository[:tag][@digest]`. Raises DockertoolsError."""
        match = _SCHEME.match(text)
        name, at, digest_text = text[match.end() if match else 0 :].partition("@")
        if "/" in digest_text:
            # Not quoted: what is before the @ is a password.
            raise DockertoolsError(
                "image name with an account in it, as in user:password@host/name: leave it out, and log in or name a file "
                "with it in REGISTRY_AUTH_FILE, DOCKER_CONFIG or NETRC"
            )
        digest = Digest.parse(digest_text, f"image {shown(text)}: digest") if at else None
        reference = Reference.parse(name)
        has_tag = ":" in name.rpartition("/")[2]
        registry, _, repository = reference.normalised().removesuffix(f":{reference.tag}").partition("/")
        if registry in DOCKER_HUB_NAMES:
            registry = DOCKER_HUB
            repository = repository if "/" in repository else f"library/{repository}"
        if registry == DOCKER_HUB and match and match[1] == "http":
            raise DockertoolsError(f"image {shown(text)}: {DOCKER_HUB} speaks https: leave http:// out")
        tag = reference.tag if has_tag or digest is None else ""
        return cls(registry, repository, tag, digest, match is not None and match[1] == "http")

    def endpoint(self) -> Endpoint:
        """Where its registry answers."""
        host = DOCKER_HUB_HOST if self.registry == DOCKER_HUB else self.registry
        return Endpoint("http" if self.plain_http else "https", host)

    def familiar_name(self) -> str:
        """The name as `docker images` shows it: `alpine`, `team/app`, `registry.example.org/team/app`."""
        if self.registry == DOCKER_HUB:
            return self.repository.removeprefix("library/")
        return f"{self.registry}/{self.repository}"

    def location(self) -> str:
        """The repository in full, `http://` before it where that was asked for: it can be parsed again."""
        return ("http://" if self.plain_http else "") + f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.location() + tag + (f"@{self.digest}" if self.digest else "")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials are for (RFC 6454).

    Raises DockertoolsError for a URL that has none; it is not quoted, since signatures and passwords are in some.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DockertoolsError("an address that is no URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DockertoolsError("an address that is no http or https URL")
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def joined(url: str, target: str) -> str:
    """Where a Location in an answer of `url` leads to. Raises DockertoolsError when that is nowhere."""
    if len(target) > MAX_LOCATION:
        raise DockertoolsError(f"{origin(url)[1]}: leads to an address of {len(target)} bytes, more than {MAX_LOCATION}")
    try:
        following = urljoin(url, target)
        origin(following)
    except (ValueError, DockertoolsError):
        raise DockertoolsError(f"{origin(url)[1]}: leads to an address that is no http or https URL") from None
    return following
