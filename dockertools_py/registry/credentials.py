"""Who we are at a registry: from docker's and podman's files, their helpers, a netrc, or a variable of CI systems.

Looked at in this order, the first that knows the registry counts:

DOCKER_AUTH_CONFIG      a config.json as a variable's value
REGISTRY_AUTH_FILE      podman's auth.json
DOCKER_CONFIG           a folder with a config.json (or the file itself); by default ~/.docker
XDG_RUNTIME_DIR         containers/auth.json in it, where podman and skopeo log in; by default /run/containers/UID/auth.json
XDG_CONFIG_HOME         containers/auth.json in it, which they read too; by default ~/.config
NETRC                   a netrc; by default ~/.netrc

Secrets are in Credential alone, which does not show them.
"""

import base64
import binascii
import json
import netrc
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.registry.remote import DOCKER_HUB, DOCKER_HUB_NAMES

MAX_FILE = 1 << 20
HELPER_TIMEOUT = 60.0
"""Seconds: a helper may ask its user for a password."""
_TOKEN_USER = "<token>"
"""The user name by which a helper says that the secret is an identity token (docker-credential-helpers)."""
_NOT_FOUND = b"credentials not found"
"""What a helper says of a registry that it does not know (docker-credential-helpers, `credentials/error.go`)."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and a password, or an identity token (OAuth 2 refresh token) in the password's place."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    is_token: bool = False
    found_in: str = ""
    """For messages: a file's name."""

    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Credentials:
    """Looks credentials up, in what `environment` names."""

    def __init__(self, environment: Mapping[str, str], runtime_folder: str = "") -> None:
        """`runtime_folder` has an auth.json where XDG_RUNTIME_DIR names none."""
        self._environment = environment
        self._runtime_folder = runtime_folder
        self.unreadable: list[str] = []
        """Files and helpers that are named and cannot be asked, for the message when somebody is not let in."""

    def find(self, registry: str, repository: str) -> Credential | None:
        """Those for a registry (`docker.io`, `localhost:5000`). Raises DockertoolsError for a file that is damaged."""
        self.unreadable = []
        names = DOCKER_HUB_NAMES if registry in DOCKER_HUB_NAMES else frozenset({registry})
        for what, config in self._configs():
            if found := _in_config(config, what, names, repository, self.unreadable):
                return found
        for what, path in self._files("NETRC", ".netrc"):
            if found := _in_netrc(path, what, names):
                return found
        return None

    def _configs(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if text := self._environment.get("DOCKER_AUTH_CONFIG"):
            yield "DOCKER_AUTH_CONFIG", _decoded(text.encode(), "DOCKER_AUTH_CONFIG")
        files = [
            *self._files("REGISTRY_AUTH_FILE", None),
            *self._files("DOCKER_CONFIG", ".docker/config.json", inside="config.json"),
            *((str(path), path) for path in self._files_of_podman()),
        ]
        for what, path in files:
            if (data := self._read(path, what)) is not None:
                yield what, _decoded(data, what)

    def _files_of_podman(self) -> Iterator[Path]:
        """Where containers-auth.json(5) has them, beside REGISTRY_AUTH_FILE."""
        if runtime := self._environment.get("XDG_RUNTIME_DIR"):
            yield Path(runtime, "containers/auth.json")
        elif self._runtime_folder:
            yield Path(self._runtime_folder, "auth.json")
        home = self._environment.get("HOME")
        if folder := self._environment.get("XDG_CONFIG_HOME") or (home and f"{home}/.config"):
            yield Path(folder, "containers/auth.json")

    def _files(self, variable: str, at_home: str | None, inside: str = "") -> Iterator[tuple[str, Path]]:
        """The file that a variable names, else the one at home if it is there."""
        if named := self._environment.get(variable):
            path = Path(named)
            path = path / inside if inside and path.is_dir() else path
            if path.is_file():
                yield str(path), path
            else:
                self.unreadable.append(f"{variable} names {shown(named)}, which is not there")
        elif at_home and (home := self._environment.get("HOME")) and (path := Path(home, at_home)).is_file():
            yield str(path), path

    def _read(self, path: Path, what: str) -> bytes | None:
        try:
            with path.open("rb") as file:
                return file.read(MAX_FILE)
        except PermissionError:
            self.unreadable.append(f"{shown(what)} may not be read by us")
        except OSError:
            pass
        return None


def _decoded(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        return canonical_json.decode_object(data, what)
    except DockertoolsError:
        # Not the cause: it may quote what is secret.
        raise DockertoolsError(f"{shown(what)}: no JSON object, as a config.json or an auth.json is one") from None


def _in_config(
    config: Mapping[str, Any], what: str, names: frozenset[str], repository: str, unreadable: list[str]
) -> Credential | None:
    helpers, store, auths = config.get("credHelpers"), config.get("credsStore"), config.get("auths")
    for name in sorted(names):
        if isinstance(helpers, dict) and isinstance(helpers.get(name), str):
            return _ask_helper(helpers[name], name, unreadable)
    if isinstance(store, str) and store:
        name = "https://index.docker.io/v1/" if DOCKER_HUB in names else min(names)
        if found := _ask_helper(store, name, unreadable):
            return found
    if not isinstance(auths, dict):
        return None
    # podman knows registry.example.org/team/app too: the longest that fits counts.
    wanted = {f"{name}/{repository}" for name in names}
    fitting = [key for key in auths if any(f"{w}/".startswith(_host(key) + "/") for w in wanted)]
    for key in sorted(fitting, key=lambda key: (-len(_host(key)), key)):
        if isinstance(auths[key], dict) and (found := _in_entry(auths[key], what, key)):
            return found
    return None


def _host(key: str) -> str:
    """`index.docker.io` of `https://index.docker.io/v1/`."""
    return key.partition("://")[2 if "://" in key else 0].rstrip("/").removesuffix("/v1").removesuffix("/v2")


def _in_entry(entry: Mapping[str, Any], what: str, key: str) -> Credential | None:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise DockertoolsError(f"{shown(what)}: auths: {shown(key)}: `auth` is not base64: log in again") from None
    if token := entry.get("identitytoken"):
        return Credential(str(username), str(token), True, what)
    password = str(password).rstrip("\0")
    return Credential(str(username), password, False, what) if username or password else None


def _ask_helper(helper: str, server: str, unreadable: list[str]) -> Credential | None:
    """What `docker-credential-HELPER get` says; None when it knows none, or cannot say it, which is noted in `unreadable`.

    In a sandbox it is not there, and that alone is no error.
    """
    program = f"docker-credential-{helper}"
    if "/" in helper:
        raise DockertoolsError(f"credential helper {shown(helper)}: write a name without a slash")
    try:
        done = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=HELPER_TIMEOUT, check=False
        )
        if done.returncode != 0:
            if _NOT_FOUND not in done.stdout:
                unreadable.append(f"{program} fails with exit code {done.returncode}")
            return None
        answer = json.loads(done.stdout[:MAX_FILE])
    except OSError as error:
        unreadable.append(f"{program}: {error.strerror}")
        return None
    except subprocess.TimeoutExpired:
        unreadable.append(f"{program} does not answer")
        return None
    except ValueError:  # not its words: they may be what is secret
        unreadable.append(f"{program} answers what is no JSON")
        return None
    if not isinstance(answer, dict) or not answer.get("Secret"):
        return None
    username = str(answer.get("Username") or "")
    return Credential(username, str(answer["Secret"]), username == _TOKEN_USER, program)


def _in_netrc(path: Path, what: str, names: frozenset[str]) -> Credential | None:
    try:
        hosts = netrc.netrc(path).hosts
    except PermissionError:
        return None
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError):
        # Not the cause: it may quote what is secret.
        raise DockertoolsError(f"{shown(what)}: not a netrc: write machine HOST login NAME password PASSWORD") from None
    for name in [*sorted(names), *sorted(name.partition(":")[0] for name in names), "default"]:
        if name in hosts:
            login, _, password = hosts[name]
            return Credential(login or "", password or "", False, what)
    return None
