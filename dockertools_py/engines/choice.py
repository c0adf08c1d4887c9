"""Which engine: the one that somebody named, or that which answers."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from dockertools_py.engines.api import CONNECT_TIMEOUT, Api
from dockertools_py.engines.docker import Docker
from dockertools_py.engines.endpoint import Endpoint, from_environment, of_context, tls_of
from dockertools_py.engines.engine import Engine, Unreachable
from dockertools_py.engines.record import Record
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.platform import Platform

FORMS = (
    "docker, docker:CONTEXT, podman, containerd, k3s, kind, kind:CLUSTER, unix:///SOCKET, tcp://HOST:PORT or ssh://HOST"
)
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PODMAN_SOCKET = "unix:///run/podman/podman.sock"
K3S_SOCKET = "/run/k3s/containerd/containerd.sock"
KUBERNETES = "k8s.io"
"""The namespace in which kubelets look for images."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for: `to` as in FORMS or None, and what only containerd has, a namespace and an address."""

    to: str | None = None
    namespace: str | None = None
    address: str | None = None


def choose(choice: Choice, environment: Mapping[str, str]) -> list[Engine]:
    """One engine, or the nodes of a cluster. Raises DockertoolsError when there is none."""
    if choice.to is None:
        return [_containerd(choice)] if choice.namespace or choice.address else [_found(environment)]
    kind, _, name = choice.to.partition(":")
    if (choice.namespace or choice.address) and kind not in ("containerd", "k3s", "kind"):
        raise DockertoolsError(f"--to {shown(choice.to)}: --namespace and --address are containerd's")
    match kind, name:
        case ("docker", ""):
            return [_docker(from_environment(environment)[0], environment)]
        case ("docker", context):
            return [_docker(of_context(context, environment), environment, ("docker", "--context", context))]
        case ("podman", ""):
            return [_podman(environment)]
        case ("containerd", ""):
            return [_containerd(choice)]
        case ("k3s", ""):
            return [_ctr(("k3s", "ctr"), "k3s", choice)]
        case ("kind", cluster):
            return _nodes(cluster or "kind", choice)
        case ("unix" | "tcp" | "ssh", _):
            endpoint = Endpoint.parse(choice.to, "--to", tls_of(environment))
            return [_docker(endpoint, environment, ("docker", "--host", choice.to))]
    raise DockertoolsError(f"--to: {shown(choice.to)} is no engine: write {FORMS}")


def _found(environment: Mapping[str, str]) -> Engine:
    endpoint, is_chosen = from_environment(environment)
    if is_chosen:
        return _docker(endpoint, environment)
    if environment.get("CONTAINER_HOST"):
        return _podman(environment)
    looked = []
    ways: tuple[Callable[[], Engine], ...] = (
        lambda: _docker(endpoint, environment),
        lambda: _rootless(environment),
        lambda: _podman(environment),
        lambda: _at_socket(CONTAINERD_SOCKET, lambda: _containerd(Choice())),
        lambda: _at_socket(K3S_SOCKET, lambda: _ctr(("k3s", "ctr"), "k3s", Choice())),
    )
    for find in ways:
        try:
            return find()
        except Unreachable as error:
            looked.append(str(error))
    raise DockertoolsError(f"no container engine found ({'; '.join(looked)}): start one, or name it: --to {FORMS}")


def _docker(endpoint: Endpoint, environment: Mapping[str, str], client: tuple[str, ...] = ("docker",)) -> Docker:
    # As Docker's own program understands it, which is to run the image then.
    default = environment.get("DOCKER_DEFAULT_PLATFORM") if client[0] == "docker" else None
    platform = Platform.parse(default) if default else None
    docker = Docker(Api(endpoint), Record.from_environment(environment), client, platform)
    docker.connect()
    return docker


def _rootless(environment: Mapping[str, str]) -> Docker:
    folder = environment.get("XDG_RUNTIME_DIR")
    if not folder:
        raise Unreachable("no XDG_RUNTIME_DIR with a rootless docker.sock")
    url = f"unix://{folder}/docker.sock"
    return _docker(Endpoint.parse(url, "XDG_RUNTIME_DIR"), environment, ("docker", "--host", url))


def _podman(environment: Mapping[str, str]) -> Engine:
    """By its socket where one answers, else by its program, which knows CONTAINER_HOST too."""
    url = environment.get("CONTAINER_HOST")
    if not url:
        folder = environment.get("XDG_RUNTIME_DIR")
        url = PODMAN_SOCKET if os.geteuid() == 0 else f"unix://{folder}/podman/podman.sock"
    if url.startswith("unix:"):
        with suppress(Unreachable):
            return _docker(Endpoint.parse(url, "CONTAINER_HOST"), environment, ("podman", "--url", url))
    if not _which("podman"):
        raise Unreachable("no program podman is on PATH, and no socket of Podman answers")
    from dockertools_py.engines.podman import Podman  # noqa: PLC0415 - nor what containerd needs, where Docker answers

    return Podman(record=Record.from_environment(environment, "podman"))


def _which(program: str) -> bool:
    import shutil  # noqa: PLC0415 - it knows archives and compressors too

    return shutil.which(program) is not None


def _containerd(choice: Choice) -> Engine:
    address = choice.address or os.environ.get("CONTAINERD_ADDRESS") or CONTAINERD_SOCKET
    engine = _ctr(("ctr",), "containerd", choice)
    _check_socket(address)
    return engine


def _check_socket(address: str) -> None:
    """ctr itself tries for ten seconds, and says so at length. Raises Unreachable."""
    path = address.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.settimeout(CONNECT_TIMEOUT)
        try:
            tried.connect(path)
        except OSError as error:
            raise Unreachable(
                f"containerd at {shown(path)}: {error.strerror or error}; is it running? --address says where"
            ) from error


def _ctr(command: tuple[str, ...], title: str, choice: Choice) -> Engine:
    from dockertools_py.engines.containerd import Containerd  # noqa: PLC0415

    if not _which(command[0]):
        raise Unreachable(f"no program {command[0]} is on PATH")
    options = _options(choice, KUBERNETES if title == "k3s" else None)
    return Containerd((*command, *options), title + (f" {shown(choice.address)}" if choice.address else ""))


def _options(choice: Choice, namespace: str | None) -> list[str]:
    chosen = choice.namespace or namespace
    options = [f"--namespace={chosen}"] if chosen else []
    return options + ([f"--address={choice.address}"] if choice.address else [])


def _at_socket(path: str, make: Callable[[], Engine]) -> Engine:
    if not os.access(path, os.W_OK):
        raise Unreachable(f"{path}: not there, or not ours to write to")
    return make()


def _nodes(cluster: str, choice: Choice) -> list[Engine]:
    """The nodes of a cluster of kind are containers, each with a containerd of its own."""
    from dockertools_py.engines.containerd import Containerd  # noqa: PLC0415
    from dockertools_py.engines.programs import answer  # noqa: PLC0415

    label = f"label=io.x-k8s.kind.cluster={cluster}"
    role = '{{.Names}} {{.Label "io.x-k8s.kind.role"}}'
    program = "docker" if _which("docker") else "podman"
    rows = [line.split() for line in answer([program, "ps", "--filter", label, "--format", role]).splitlines()]
    names = [row[0] for row in rows if row and row[1:] != ["external-load-balancer"]]
    if not names:
        raise DockertoolsError(
            f"--to kind: no running node of a cluster {shown(cluster)}; `kind get clusters` lists them"
        )
    ctr = ["ctr", *_options(choice, KUBERNETES)]
    return [
        Containerd(
            [program, "exec", name, *ctr],
            f"kind node {name}",
            [program, "exec", "--interactive", name, *ctr],
            [program, "exec", name, "uname", "-m"],
        )
        for name in names
    ]
