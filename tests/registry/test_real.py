"""Registries that others wrote: Debian's docker-registry and crane's, filled by skopeo; TLS, htpasswd and signed tokens."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.platform import Platform
from tests.conftest import CHECKOUT
from tests.oracle.image import write_folder
from tests.registry.images import encode, image, layout_files, several_platforms
from tests.registry.programs import (
    HTPASSWD,
    PASSWORD,
    USER,
    copy,
    crane,
    docker_registry,
    need,
    openssl,
    running,
)
from tests.registry.pulling import client
from tests.registry.served import Request, Rules, dropped_after, served

pytestmark = pytest.mark.xdist_group("registries")

PLAIN = "--dest-tls-verify=false"
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def pulled(name: str, environment: dict[str, str] | None = None, *, mirrors: tuple[str, ...] = ()) -> str:
    """The manifest's digest of an image of which all was pulled, and so compared."""
    reader = client(name, environment, mirrors=mirrors)
    lock = reader.lock()
    assert lock.layers
    for descriptor in (lock.config, *lock.layers):
        assert len(reader.blob(descriptor.to_json())) == descriptor.size
    return str(lock.manifest.digest)


def raw(name: str, *options: str) -> str:
    """The digest of a manifest, as skopeo sees it."""
    command = [need("skopeo"), "inspect", "--raw", "--tls-verify=false", *options, f"docker://{name}"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    (digest,) = subprocess.run(
        [need("skopeo"), "manifest-digest", "/dev/stdin"], input=data, capture_output=True, check=True
    ).stdout.split()
    return digest.decode()


def test_docker_registry(real: str) -> None:
    assert pulled(f"http://{real}/team/app:1") == raw(f"{real}/team/app:1")
    with pytest.raises(
        DockertoolsError, match=r"/team/app: manifest 2: no such tag or manifest \(404 of 127.0.0.1: manifest unknown"
    ):
        client(f"http://{real}/team/app:2").lock()
    with pytest.raises(DockertoolsError, match=r"/nobody/app: manifest 1: no such tag or manifest \(404"):
        client(f"http://{real}/nobody/app:1").lock()


def test_media_types_of_docker(real: str, layout: Path) -> None:
    command = [need("skopeo"), "--insecure-policy", "copy", "-q", "--format", "v2s2", PLAIN]
    subprocess.run([*command, f"oci:{layout}", f"docker://{real}/team/docker:1"], check=True)
    lock = client(f"http://{real}/team/docker:1").lock()
    assert lock.manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert pulled(f"http://{real}/team/docker:1") == str(lock.manifest.digest) == raw(f"{real}/team/docker:1")


def test_an_index(real: str, tmp_path: Path) -> None:
    content = several_platforms()
    index, media_type = content.manifests["latest"]
    files = {f"blobs/sha256/{name[7:]}": data for name, data in content.blobs.items()}
    files |= {f"blobs/sha256/{name[7:]}": data for name, (data, _) in content.manifests.items() if ":" in name}
    index_digest = next(name for name, (data, _) in content.manifests.items() if ":" in name and data == index)
    entry = {"mediaType": media_type, "digest": index_digest, "size": len(index)}
    files["oci-layout"] = encode({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = encode({"schemaVersion": 2, "manifests": [entry]})
    copy(f"oci:{write_folder(tmp_path / 'layout', files)}", f"docker://{real}/team/index:1", "--all", PLAIN)
    for name in ("amd64", "arm64"):
        lock = client(f"http://{real}/team/index:1").lock(Platform(name))
        assert lock.index and str(lock.index.digest) == raw(f"{real}/team/index:1") == index_digest
        assert content.manifests[str(lock.manifest.digest)][0] == content.manifests[name][0]


def test_crane(tmp_path: Path, layout: Path) -> None:
    with running(tmp_path, [crane(), "registry", "serve", "--address", "127.0.0.1:0", "--disk", str(tmp_path)]) as host:
        copy(f"oci:{layout}", f"docker://{host}/team/app:1", PLAIN)
        assert pulled(f"http://{host}/team/app:1") == raw(f"{host}/team/app:1")


def test_a_pull_through_cache_as_mirror(real: str, tmp_path: Path) -> None:
    with running(tmp_path, docker_registry(tmp_path, rest=f"proxy: {{remoteurl: 'http://{real}'}}\n")) as mirror:
        # Nobody listens at port 1: all of it comes from the mirror.
        assert pulled("http://127.0.0.1:1/team/app:1", mirrors=(f"http://{mirror}",)) == raw(f"{real}/team/app:1")


def test_a_connection_that_drops_and_a_registry_that_knows_ranges(real: str, tmp_path: Path) -> None:
    """The first piece comes from a mirror that fails, the rest by a range of a real registry."""
    big = image("big", size=2 << 20)
    copy(f"oci:{write_folder(tmp_path / 'layout', layout_files(big))}", f"docker://{real}/team/big:1", PLAIN)
    rules = Rules()
    layer = client(f"http://{real}/team/big:1").lock().layers[0].to_json()

    def passed_on(request: Request) -> tuple[int, dict[str, str], bytes]:
        return 307, {"Location": f"http://{real}{request.path}"}, b""

    rules.answer = passed_on
    with served(rules) as front:
        reader = client(f"http://{front}/team/big:1")
        rules.content.blobs[layer["digest"]] = big.layers[0]
        rules.answer = None
        rules.fail("/blobs/", dropped_after(1 << 20), lambda h, _: h.send(*passed_on(rules.requests[-1])))
        assert reader.blob(layer) == big.layers[0]
    assert [r.headers.get("Range") for r in rules.requests] == [None, f"bytes={1 << 20}-"]


@pytest.fixture
def secured(tmp_path: Path, authority: tuple[Path, Path], layout: Path) -> Iterator[str]:
    """docker-registry by TLS, with a password."""
    ca, pair = authority
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/ca.crt").write_bytes(ca.read_bytes())
    tls = f", tls: {{certificate: {pair}, key: {pair}}}"
    auth = f"auth: {{htpasswd: {{realm: here, path: {tmp_path}/htpasswd}}}}\n"
    with running(tmp_path, docker_registry(tmp_path, tls, auth)) as host:
        options = (f"--dest-creds={USER}:{PASSWORD}", f"--dest-cert-dir={tmp_path / 'certs'}")
        copy(f"oci:{layout}", f"docker://{host}/team/app:1", *options)
        yield host


def test_tls_and_a_password(secured: str, authority: tuple[Path, Path], tmp_path: Path) -> None:
    trusted = {"SSL_CERT_FILE": str(authority[0])}
    auths = json.dumps({"auths": {secured: {"auth": AUTH}}})
    assert pulled(f"{secured}/team/app:1", trusted | {"DOCKER_AUTH_CONFIG": auths}) == raw(
        f"{secured}/team/app:1", f"--creds={USER}:{PASSWORD}"
    )
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    assert pulled(f"{secured}/team/app:1", trusted | {"NETRC": str(netrc)})
    # What skopeo and podman write when somebody logs in
    file = tmp_path / "auth.json"
    login = [need("skopeo"), "login", "--tls-verify=false", f"--authfile={file}", "-u", USER, "-p", PASSWORD, secured]
    subprocess.run(login, check=True, capture_output=True)
    assert pulled(f"{secured}/team/app:1", trusted | {"REGISTRY_AUTH_FILE": str(file)})
    wrong = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {secured: {"username": USER, "password": "wrong"}}})}
    refused = r"not let in \(401: authentication required\): the credentials in DOCKER_AUTH_CONFIG are refused$"
    with pytest.raises(DockertoolsError, match=refused):
        client(f"{secured}/team/app:1", trusted | wrong).lock()
    with pytest.raises(DockertoolsError, match="its certificate is not trusted"):
        client(f"{secured}/team/app:1", {"DOCKER_AUTH_CONFIG": auths}).lock()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens:
    """A server for tokens: JSON Web Tokens (RFC 7519) that docker-registry itself checks."""

    def __init__(self, folder: Path) -> None:
        self.key, self.certificate = folder / "token.key", folder / "token.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.certificate,
                "-days", 30, "-subj", "/CN=tokens")  # fmt: skip
        self.asked: list[Request] = []
        self._folder = folder

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(request)
        if request.headers.get("Authorization") != f"Basic {AUTH}":
            return 401, {}, b""
        scopes = [scope.split(":") for scope in request.query["scope"]]
        access = [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in scopes]
        der = openssl("x509", "-in", self.certificate, "-outform", "DER")
        now = int(time.time())
        claims = {
            "iss": "tests", "sub": USER, "aud": request.query["service"][0], "exp": now + 300, "nbf": now - 60, "iat": now,
            "jti": "1", "access": access,
        }  # fmt: skip
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        text = f"{encoded(encode(header))}.{encoded(encode(claims))}"
        (self._folder / "signed").write_text(text)
        signature = openssl("dgst", "-sha256", "-sign", self.key, self._folder / "signed")
        return 200, {}, json.dumps({"token": f"{text}.{encoded(signature)}"}).encode()


def test_tokens(tmp_path: Path, layout: Path) -> None:
    tokens = Tokens(tmp_path)
    with served(Rules(answer=tokens.answer)) as server:
        auth = (
            f"auth: {{token: {{realm: 'http://{server}/token', service: here, issuer: tests, "
            f"rootcertbundle: {tokens.certificate}}}}}\n"
        )
        with running(tmp_path, docker_registry(tmp_path, rest=auth)) as host:
            copy(f"oci:{layout}", f"docker://{host}/team/app:1", PLAIN, f"--dest-creds={USER}:{PASSWORD}")
            auths = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"auth": AUTH}}})}
            tokens.asked.clear()
            assert pulled(f"http://{host}/team/app:1", auths)
            assert len(tokens.asked) == 1
            assert tokens.asked[0].query == {"service": ["here"], "scope": ["repository:team/app:pull"]}
            with pytest.raises(DockertoolsError, match=r"not let in .*: there are no credentials for it"):
                client(f"http://{host}/team/app:1").lock()


def lock(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dockertools_py", "lock", *arguments]
    env = os.environ | {"no_proxy": "127.0.0.1", "HOME": "/nowhere"}
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, env=env, check=False)


def test_the_verb(real: str, secured: str) -> None:
    done = lock(f"http://{real}/team/app:1", "--platform", "linux/amd64")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["manifest"]["digest"] == raw(f"{real}/team/app:1")
    assert lock(f"{real}/team/app:1", "--insecure").returncode == 0
    by_digest = lock(f"http://{real}/team/app@{raw(f'{real}/team/app:1')}")
    assert json.loads(by_digest.stdout)["tag"] == "latest"
    for arguments, why in (
        ([f"{real}/team/app:1"], f"{real}: does not speak TLS: for plain http write http:// before the name"),
        ([f"http://{real}/team/app:1", "--platform", "linux/arm64"], f"http://{real}/team/app:1: is for linux/amd64, not for"),
        ([f"http://{real}/team/app:1", "--platform", "amd64"], "platform 'amd64': write os/architecture"),
        ([f"http://{real}/Team"], "image name "),
        ([f"http://{real}/team/app:1", "--mirror", "ftp://x"], "mirror 'ftp://x': write a host"),
        ([f"{secured}/team/app:1", "--insecure"], f"{secured}/team/app: not let in (401: authentication required): there"),
    ):  # fmt: skip
        done = lock(*arguments)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"dockertools-py lock: {why}") and done.stderr.count("\n") == 1
