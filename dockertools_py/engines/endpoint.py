"""Where an engine that speaks Docker's HTTP interface is: a socket, a host and port, or a machine behind ssh."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_USER = re.compile(r"//[^/]*@")
"""Who asks, maybe with a password: not for error messages."""
_PORTS = {False: 2375, True: 2376}


@dataclass(frozen=True, slots=True)
class Tls:
    """Files by which both sides know each other; `verify` False takes any certificate."""

    ca: Path | None
    certificate: Path | None
    key: Path | None
    verify: bool = True

    @classmethod
    def in_folder(cls, folder: Path, *, verify: bool = True) -> Self:
        """`ca.pem`, `cert.pem` and `key.pem`, as far as they are there, as docker names them."""
        ca, certificate, key = (
            path if path.is_file() else None for path in (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
        )
        return cls(ca, certificate, key, verify)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` of a unix socket; or `host` and `port`, with TLS or without; or `host` for ssh (`user@host`, port)."""

    url: str
    scheme: str
    path: str = ""
    host: str = ""
    port: int | None = None
    tls: Tls | None = None

    @classmethod
    def parse(cls, url: str, what: str, tls: Tls | None = None) -> Self:
        """From `unix:///path`, `tcp://host:port` or `ssh://user@host`. Raises DockertoolsError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
            return cls(url, "unix", path=parts.path)
        plain = parts.path in ("", "/") and parts.hostname
        if parts.scheme == "tcp" and plain and not parts.username:
            return cls(url, "tcp", host=str(parts.hostname), port=port or _PORTS[tls is not None], tls=tls)
        if parts.scheme == "ssh" and plain and not parts.password and not parts.netloc.startswith("-"):
            host = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
            return cls(url, "ssh", host=host, port=port)
        raise DockertoolsError(
            f"{what}: {shown(_USER.sub('//…@', url))} is no address of an engine: "
            "write unix:///path, tcp://host:port or ssh://user@host"
        )


def from_environment(environment: Mapping[str, str]) -> tuple[Endpoint, bool]:
    """What `docker` itself would talk to, and whether somebody chose it.

    DOCKER_HOST counts before DOCKER_CONTEXT, and that before the current context of docker's config.
    """
    if host := environment.get("DOCKER_HOST"):
        return Endpoint.parse(host, "DOCKER_HOST", tls_of(environment)), True
    name = environment.get("DOCKER_CONTEXT") or _config(environment).get("currentContext")
    if name and name != "default":
        return of_context(str(name), environment), True
    return Endpoint.parse(DEFAULT_SOCKET, "docker"), False


def of_context(name: str, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of a docker context. Raises DockertoolsError when there is none of that name, or it is odd."""
    if name == "default":
        return Endpoint.parse(environment.get("DOCKER_HOST") or DEFAULT_SOCKET, "DOCKER_HOST", tls_of(environment))
    # docker keeps each context in a folder named by the digest of its name.
    folder, key = _config_folder(environment) / "contexts", hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "meta" / key / "meta.json"
    what = f"docker context {shown(name)}"
    if not meta.is_file():
        raise DockertoolsError(f"{what}: there is none of that name ({meta}); `docker context ls` lists them")
    endpoints = canonical_json.decode_object(meta.read_bytes(), str(meta)).get("Endpoints")
    docker: Any = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(host, str):
        raise DockertoolsError(f"{what}: {meta} names no Endpoints.docker.Host")
    files = folder / "tls" / key / "docker"
    verify = docker.get("SkipTLSVerify") is not True
    return Endpoint.parse(host, what, Tls.in_folder(files, verify=verify) if files.is_dir() or not verify else None)


def tls_of(environment: Mapping[str, str]) -> Tls | None:
    """What DOCKER_TLS_VERIFY, DOCKER_TLS and DOCKER_CERT_PATH say of `tcp://`, or docker's folder in the place of the last."""
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return Tls.in_folder(Path(environment.get("DOCKER_CERT_PATH") or _config_folder(environment)), verify=verify)


def _config_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "/") / ".docker")


def _config(environment: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        value = json.loads((_config_folder(environment) / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}  # docker warns of it and goes on as well
    return value if isinstance(value, dict) else {}
