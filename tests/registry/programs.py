"""Registries that others wrote, on loopback, and certificates of an authority of our own."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.oracle.programs import need

USER, PASSWORD = "reader", "letters"
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuwcle0T2xomEhL8cbgKGAAcVUzZpVMmy\n"
"""bcrypt, which docker-registry asks for and the standard library has not."""

_PORT = re.compile(rb"(?:listening on 127\.0\.0\.1:|serving on port )(\d+)")
_START = 60.0


def crane() -> str:
    """The program crane, of the system or of a newer Debian."""
    found = sorted(CHECKOUT.glob(".cache/suites/*/root/usr/bin/crane"))
    return str(found[-1]) if found else need("crane")


@contextmanager
def running(folder: Path, command: Sequence[str]) -> Iterator[str]:
    """`127.0.0.1:PORT` of a registry, which is ended by its process id."""
    log = folder / "registry.log"
    quiet = {"OTEL_TRACES_EXPORTER": "none", "REGISTRY_HTTP_SECRET": "no secret"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=os.environ | quiet
        )
    try:
        end = time.monotonic() + _START
        while not (port := _PORT.search(log.read_bytes())):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{command[0]} does not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield f"127.0.0.1:{int(port[1])}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def docker_registry(folder: Path, http: str = "", rest: str = "") -> list[str]:
    """The command; `http` and `rest` are further YAML."""
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: info}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f'http: {{addr: "127.0.0.1:0"{http}}}\n{rest}'
    )
    return [need("docker-registry"), "serve", str(config)]


def copy(source: str, target: str, *options: str) -> None:
    """skopeo copies an image to a registry; who cannot skip this test has it."""
    command = [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--preserve-digests", *options, source, target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def openssl(*arguments: object) -> bytes:
    done = subprocess.run([need("openssl"), *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def make_authority(folder: Path) -> tuple[Path, Path]:
    """(certificate of an authority, certificate and key for 127.0.0.1 in one file)."""
    ca, ca_key, pair = folder / "ca.pem", folder / "ca.key", folder / "server.pem"
    key, request, extensions = folder / "server.key", folder / "server.csr", folder / "extensions"
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *ec, "-keyout", ca_key, "-out", ca, "-days", 30, "-subj", "/CN=tests",
            "-addext", "keyUsage=critical,keyCertSign,digitalSignature")  # fmt: skip
    openssl("req", *ec, "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
    extensions.write_text(
        "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:FALSE\n"
    )
    certificate = openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 30,
                          "-extfile", extensions)  # fmt: skip
    pair.write_bytes(certificate + key.read_bytes())
    return ca, pair


__all__ = [
    "HTPASSWD",
    "PASSWORD",
    "USER",
    "copy",
    "crane",
    "docker_registry",
    "make_authority",
    "need",
    "openssl",
    "running",
]
