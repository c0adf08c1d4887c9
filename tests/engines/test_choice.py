"""Where engines are looked for: addresses, docker's contexts, TLS, ssh, sockets, programs."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockertools_py.engines.api import Api
from dockertools_py.engines.choice import FORMS, Choice, choose
from dockertools_py.engines.containerd import Containerd
from dockertools_py.engines.docker import Docker
from dockertools_py.engines.endpoint import DEFAULT_SOCKET, Endpoint, Tls, from_environment, of_context
from dockertools_py.engines.engine import Unreachable
from dockertools_py.engines.podman import Podman
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.reference import Reference
from tests.engines.fake_docker import fake_docker
from tests.oracle.programs import need

ANSWER = b"HTTP/1.1 200 OK\r\nServer: Docker/26.1.5 (linux)\r\nContent-Length: 2\r\n\r\n{}"


def context(home: Path, name: str, docker: object) -> Path:
    """As docker writes one; the folder of its TLS files."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker/contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": docker}}))
    return home / ".docker/contexts/tls" / key / "docker"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("unix:///run/x.sock", ("unix", "/run/x.sock", "", None)),
        ("tcp://10.0.0.1", ("tcp", "", "10.0.0.1", 2375)),
        ("tcp://build.example.org:99/", ("tcp", "", "build.example.org", 99)),
        ("tcp://[::1]:99", ("tcp", "", "::1", 99)),
        ("ssh://me@host:22", ("ssh", "", "me@host", 22)),
        ("ssh://host", ("ssh", "", "host", None)),
    ],
)
def test_addresses(url: str, parts: tuple[str, str, str, int | None]) -> None:
    found = Endpoint.parse(url, "DOCKER_HOST")
    assert (found.scheme, found.path, found.host, found.port) == parts
    assert Endpoint.parse("tcp://x", "x", Tls(None, None, None)).port == 2376


@pytest.mark.parametrize(
    "url",
    ["", "x", "unix://relative", "unix:", "tcp://", "tcp://h:port", "http://h", "npipe:////./pipe/x", "fd://", "tcp://h/path",
     "tcp://[::1", "ssh://-oProxyCommand=x", "ssh://", "tcp://u:s3cret@h", "ssh://me:s3cret@h"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(DockertoolsError) as caught:
        Endpoint.parse(url, "DOCKER_HOST")
    assert str(caught.value).startswith("DOCKER_HOST: ")
    assert str(caught.value).endswith("write unix:///path, tcp://host:port or ssh://user@host")
    assert "s3cret" not in str(caught.value)


def test_the_environment_counts_before_the_config(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert from_environment(home) == (Endpoint.parse(DEFAULT_SOCKET, ""), False)
    context(tmp_path, "one", {"Host": "unix:///one"})
    context(tmp_path, "two", {"Host": "tcp://two"})
    (tmp_path / ".docker/config.json").write_text('{"currentContext": "one"}')
    assert from_environment(home)[0].url == "unix:///one"
    assert from_environment(home | {"DOCKER_CONTEXT": "two"})[0].url == "tcp://two"
    assert from_environment(home | {"DOCKER_CONTEXT": "default"}) == (Endpoint.parse(DEFAULT_SOCKET, ""), False)
    assert from_environment(home | {"DOCKER_CONTEXT": "two", "DOCKER_HOST": "tcp://three"})[0].url == "tcp://three"
    assert of_context("default", home | {"DOCKER_HOST": "tcp://three"}).url == "tcp://three"
    elsewhere = {"DOCKER_CONFIG": str(tmp_path / ".docker"), "HOME": "/absent"}
    assert from_environment(elsewhere)[0].url == "unix:///one"
    for text in ("", "{", "[]", '{"currentContext": ""}'):
        (tmp_path / ".docker/config.json").write_text(text)
        assert from_environment(home) == (Endpoint.parse(DEFAULT_SOCKET, ""), False)


def test_contexts_that_are_odd(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    with pytest.raises(DockertoolsError, match=r"docker context gone: there is none of that name \(.*`docker context ls`"):
        of_context("gone", home)
    for number, docker in enumerate((None, [], {}, {"Host": 7})):
        context(tmp_path, f"odd{number}", docker)
        with pytest.raises(DockertoolsError, match=r"names no Endpoints\.docker\.Host"):
            of_context(f"odd{number}", home)
    key = hashlib.sha256(b"odd0").hexdigest()
    (tmp_path / ".docker/contexts/meta" / key / "meta.json").write_text("{")
    with pytest.raises(DockertoolsError, match="not JSON"):
        of_context("odd0", home)


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.pem`, and `cert.pem` and `key.pem` of 127.0.0.1, used by both sides."""
    openssl, folder = need("openssl"), tmp_path_factory.mktemp("tls")
    make = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test authority"]
    signed = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=test", "-CA", "ca.pem", "-CAkey", "ca-key.pem"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    for options in (authority, [*signed, *names]):
        subprocess.run([*make, *options], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_server(certificates: Path) -> Iterator[int]:
    """A daemon that lets only those in who have a certificate of its authority; its port."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    settings.load_verify_locations(certificates / "ca.pem")
    settings.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                client, _ = server.accept()
                with settings.wrap_socket(client, server_side=True) as secured:
                    secured.recv(65536)
                    secured.sendall(ANSWER)
            except OSError:
                pass  # not let in

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def status(endpoint: Endpoint) -> int:
    api = Api(endpoint)
    try:
        return api.get("/info").status
    finally:
        api.close()


def test_tls_by_environment(tls_server: int, certificates: Path) -> None:
    environment = {
        "DOCKER_HOST": f"tcp://127.0.0.1:{tls_server}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(certificates),
    }
    assert status(from_environment(environment)[0]) == 200


def test_tls_of_an_address_on_the_command_line(
    tls_server: int, certificates: Path, tmp_path: Path
) -> None:
    environment = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates), "HOME": str(tmp_path)}
    (engine,) = choose(Choice(f"tcp://127.0.0.1:{tls_server}"), environment)
    assert isinstance(engine, Docker)
    assert engine._api.get("/info").status == 200
    engine._api.close()


def test_tls_by_context(tls_server: int, certificates: Path, tmp_path: Path) -> None:
    files = context(tmp_path, "far", {"Host": f"tcp://127.0.0.1:{tls_server}"})
    files.parent.mkdir(parents=True)
    files.symlink_to(certificates)
    assert status(of_context("far", {"HOME": str(tmp_path)})) == 200


def test_tls_of_an_authority_that_nobody_knows(tls_server: int, tmp_path: Path) -> None:
    environment = {"DOCKER_HOST": f"tcp://127.0.0.1:{tls_server}", "DOCKER_TLS_VERIFY": "1", "HOME": str(tmp_path)}
    with pytest.raises(Unreachable, match=r"; DOCKER_CERT_PATH names a folder with its ca\.pem$"):
        status(from_environment(environment)[0])


def test_tls_without_verifying_when_that_is_asked_for(tls_server: int, certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").symlink_to(certificates / "cert.pem")
    (tmp_path / "key.pem").symlink_to(certificates / "key.pem")
    environment = {
        "DOCKER_HOST": f"tcp://127.0.0.1:{tls_server}",
        "DOCKER_TLS": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    assert status(from_environment(environment)[0]) == 200


def test_ssh_carries_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the docker on the other side does it: bytes to the socket and back.
    script = f"""#!/bin/sh
echo "$@" > {tmp_path}/arguments
exec {need("python3")} -c '
import socket, sys, threading, os
there = socket.socket(socket.AF_UNIX)
there.connect("{tmp_path}/docker.sock")
def back():
    while data := there.recv(65536):
        os.write(1, data)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    there.sendall(data)
'
"""
    (tmp_path / "ssh").write_text(script)
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with fake_docker(tmp_path, "docker-26"):
        assert status(Endpoint.parse("ssh://me@far:2222", "DOCKER_HOST")) == 200
    assert (tmp_path / "arguments").read_text() == "-p 2222 -- me@far docker system dial-stdio\n"


# --- which one -------------------------------------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but what a test puts there."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("dockertools_py.engines.endpoint.DEFAULT_SOCKET", f"unix://{tmp_path}/absent.sock")
    monkeypatch.setattr("dockertools_py.engines.choice.CONTAINERD_SOCKET", f"{tmp_path}/containerd.sock")
    monkeypatch.setattr("dockertools_py.engines.choice.K3S_SOCKET", f"{tmp_path}/k3s.sock")
    monkeypatch.setattr("dockertools_py.engines.choice.PODMAN_SOCKET", f"unix://{tmp_path}/podman.sock")
    return folder


@contextmanager
def listening(path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def program(folder: Path, name: str, script: str = "exit 1") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_first_engine_that_is_there(programs: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    with pytest.raises(DockertoolsError, match="no container engine found") as caught:
        choose(Choice(), home)
    for looked_for in ("absent.sock: No such file or directory", "docker.sock", "podman", "containerd.sock", "k3s.sock"):
        assert looked_for in str(caught.value)
    assert str(caught.value).endswith(f"start one, or name it: --to {FORMS}")

    program(programs, "k3s")
    (tmp_path / "k3s.sock").touch()
    assert [engine.title() for engine in choose(Choice(), home)] == ["k3s"]
    program(programs, "ctr")
    (tmp_path / "containerd.sock").touch()
    assert [engine.title() for engine in choose(Choice(), home)] == ["k3s"], "nobody listens there"
    (tmp_path / "containerd.sock").unlink()
    with listening(tmp_path / "containerd.sock"):
        assert [engine.title() for engine in choose(Choice(), home)] == ["containerd"]
    program(programs, "podman")
    assert [type(engine) for engine in choose(Choice(), home)] == [Podman]
    with fake_docker(tmp_path, "docker-26") as (_, url):
        (rootless,) = choose(Choice(), home)
        assert isinstance(rootless, Docker)
        assert rootless.run_command(Reference("a", "1"), [], [], terminal=False)[:4] == ["docker", "--host", url, "run"]
        # What somebody chose counts, and nothing else is tried in its place.
        with pytest.raises(Unreachable, match="/gone: No such file or directory; is it running"):
            choose(Choice(), home | {"DOCKER_HOST": "unix:///gone"})
        (chosen,) = choose(Choice(), home | {"DOCKER_HOST": url})
        assert chosen.run_command(Reference("a", "1"), [], [], terminal=True)[:5] == (
            ["docker", "run", "--pull=never", "--rm", "--interactive"]
        )
        (podman,) = choose(Choice(), home | {"CONTAINER_HOST": url})
        assert podman.run_command(Reference("a", "1"), [], [], terminal=False)[:3] == ["podman", "--url", url]


def test_engines_by_name(programs: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    for name in ("ctr", "k3s", "podman"):
        program(programs, name)
    program(programs, "docker", "printf 'a worker\\nlb external-load-balancer\\nb control-plane\\n'")
    with fake_docker(tmp_path, "docker-26") as (_, url):
        context(tmp_path, "mine", {"Host": url})
        (docker,) = choose(Choice("docker:mine"), home)
        assert docker.run_command(Reference("a", "1"), [], [], terminal=False)[:4] == ["docker", "--context", "mine", "run"]
        (docker,) = choose(Choice(url), home)
        assert isinstance(docker, Docker)
        assert isinstance(choose(Choice("docker"), home | {"DOCKER_HOST": url})[0], Docker)
    assert isinstance(choose(Choice("podman"), home)[0], Podman)
    with listening(tmp_path / "x.sock") as sock:
        (containerd,) = choose(Choice("containerd", "ns", str(sock)), home)
        assert isinstance(containerd, Containerd)
        assert containerd._command == ("ctr", "--namespace=ns", f"--address={sock}")
        with pytest.raises(Unreachable, match=r"^containerd at .*/containerd\.sock: No such file or directory; is it running"):
            choose(Choice(None, "ns"), home)
        sock.rename(tmp_path / "containerd.sock")
        (containerd,) = choose(Choice(None, "ns"), home)
        assert isinstance(containerd, Containerd)
    (k3s,) = choose(Choice("k3s"), home)
    assert isinstance(k3s, Containerd)
    assert k3s._command == ("k3s", "ctr", "--namespace=k8s.io")
    nodes = choose(Choice("kind:dev"), home)
    assert [node.title() for node in nodes] == ["kind node a", "kind node b"]
    with pytest.raises(DockertoolsError, match=r"a node runs pods; use kubectl run --image=a:1$"):
        nodes[0].run_command(Reference("a", "1"), [], [], terminal=False)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice("dokcer"), "--to: dokcer is no engine: write docker, docker:CONTEXT, podman, "),
        (Choice("podman:x"), "--to: podman:x is no engine"),
        (Choice("docker", namespace="x"), "--to docker: --namespace and --address are containerd's"),
        (Choice("tcp://"), "--to: tcp:// is no address of an engine"),
        (Choice("containerd"), "no program ctr is on PATH"),
        (Choice("k3s"), "no program k3s is on PATH"),
        (Choice("podman"), "no program podman is on PATH, and no socket of Podman answers"),
        (Choice("kind"), "no program podman is on PATH"),
        (Choice("unix:///gone"), "unix:///gone: No such file or directory; is it running?"),
        (Choice("tcp://127.0.0.1:1"), "tcp://127.0.0.1:1: Connection refused; is it running?"),
    ],
)
def test_engines_that_are_none(programs: Path, tmp_path: Path, choice: Choice, words: str) -> None:
    with pytest.raises(DockertoolsError) as caught:
        choose(choice, {"HOME": str(tmp_path)})
    assert str(caught.value).startswith(words)


def test_the_platform_that_dockers_program_wants(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "DOCKER_DEFAULT_PLATFORM": "linux/s390x"}
    with fake_docker(tmp_path, "docker-26") as (state, url):
        (docker,) = choose(Choice(), home | {"DOCKER_HOST": url})
        assert str(docker.platform()) == "linux/s390x"
        (podman,) = choose(Choice(), home | {"CONTAINER_HOST": url})
        assert str(podman.platform()) == "linux/amd64"
        assert "GET /info" in state.requests
        with pytest.raises(DockertoolsError, match="platform 'x86_64': write os/architecture"):
            choose(Choice(), home | {"DOCKER_HOST": url, "DOCKER_DEFAULT_PLATFORM": "x86_64"})


def test_a_cluster_without_nodes(programs: Path, tmp_path: Path) -> None:
    program(programs, "docker", "true")
    with pytest.raises(DockertoolsError, match="no running node of a cluster kind; `kind get clusters` lists them"):
        choose(Choice("kind"), {"HOME": str(tmp_path)})
    program(programs, "docker", "echo no daemon >&2; exit 1")
    with pytest.raises(DockertoolsError, match=r"docker ps .*: no daemon$"):
        choose(Choice("kind"), {"HOME": str(tmp_path)})


def test_a_socket_that_is_not_ours(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may open everything: the text is what is looked at.
        from dockertools_py.engines.api import _unreachable

        error = _unreachable(Endpoint.parse("unix:///x", ""), PermissionError(13, "Permission denied"))
    else:
        (tmp_path / "s").touch(0o000)
        with pytest.raises(Unreachable) as caught:
            Api(Endpoint.parse(f"unix://{tmp_path}/s", "")).connect()
        error = caught.value
    assert str(error).endswith("Permission denied; you may not open it: be in the socket's group (docker), or root")
