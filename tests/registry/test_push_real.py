"""Pushing to registries that others wrote, with TLS, passwords and tokens; over connections that break; killed on the way."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Nix
from tests.oracle.image import Handmade, write_folder
from tests.registry.images import layout_files
from tests.registry.programs import HTPASSWD, PASSWORD, USER, crane, docker_registry, need, running
from tests.registry.proxy import proxied
from tests.registry.served import Rules, served
from tests.registry.test_real import AUTH, Tokens

pytestmark = pytest.mark.xdist_group("registries")

PRELUDE = """
  base = salt: build {
    name = "base"; tag = "1"; layers = [ bash ]; contents = [ hello (writeTextDir "share/salt" salt) ];
    config.Cmd = [ "/bin/hello" ];
  };
  child = salt: build {
    name = "child"; fromImage = base salt; layers = [ (writeText "new" "${salt} and new") ];
  };
"""
ATTRIBUTES = ("base.push", "child.push", "base.oci", "child.oci")
Built = dict[str, Path]


@pytest.fixture(scope="module")
def built(nix: Nix) -> Built:
    values = " ".join(f'({name} "of the registry tests").{form}' for name, form in (a.split(".") for a in ATTRIBUTES))
    return dict(zip(ATTRIBUTES, nix.build_all(f"let {PRELUDE} in [ {values} ]"), strict=True))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry, empty."""
    with running(tmp_path, docker_registry(tmp_path)) as host:
        yield host


def machine(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a machine that never pushed anything."""
    home.mkdir()
    return {"HOME": str(home), "PATH": "/usr/bin:/bin", **variables}


def push(script: Path, *arguments: str, env: dict[str, str], code: int = 0) -> list[dict[str, Any]]:
    """The events of a push."""
    done = subprocess.run([script, "--json", *arguments], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def raw(name: str, *options: str) -> bytes:
    command = [need("skopeo"), "inspect", "--raw", "--tls-verify=false", *options, f"docker://{name}"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def manifest_of(layout: Path) -> bytes:
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return (layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes()


def made(events: list[dict[str, Any]]) -> list[str]:
    """Layers that were made: their size was not known before."""
    return [event["label"] for event in events if event["event"] == "begun" and event["size"] is None]


def validated(name: str) -> None:
    """crane fetches all of an image and compares every digest and diff_id."""
    done = subprocess.run(
        [crane(), "validate", "--insecure", "--remote", name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "PASS" in done.stdout + done.stderr, done.stderr


def test_a_child_is_pushed_by_another_machine(registry: str, built: Built, tmp_path: Path) -> None:
    """One layer is made and one is sent; the bytes are counted before the registry, by somebody else."""
    with proxied(registry) as (host, proxy):
        first = push(built["base.push"], f"http://{host}/team/app:1", env=machine(tmp_path / "one"))
        assert raw(f"{registry}/team/app:1") == manifest_of(built["base.oci"])
        assert proxy.sent > first[-1]["bytesSent"] > 5_000_000
        proxy.sent = 0
        reuse = ("--reuse", f"http://{host}/team/app:1", "--blobs", "/nowhere")
        events = push(built["child.push"], f"http://{host}/team/app:2", *reuse, env=machine(tmp_path / "two"))
        manifest = json.loads(raw(f"{registry}/team/app:2"))
        assert manifest == json.loads(manifest_of(built["child.oci"]))
        assert (events[-1]["layersSent"], events[-1]["layers"]) == (1, len(manifest["layers"]))
        new = manifest["layers"][-1]["size"] + manifest["config"]["size"]
        assert events[-1]["bytesSent"] == new
        # The rest are some twenty requests of some hundred bytes, and the manifest.
        assert new < proxy.sent < new + 20_000
        # Nothing changed, and nobody remembers anything: no blob at all.
        proxy.sent = 0
        events = push(built["child.push"], f"http://{host}/team/app:2", env=machine(tmp_path / "three"))
        assert made(events) == [] and events[-1]["bytesSent"] == 0 and proxy.sent < 20_000
    validated(f"{registry}/team/app:2")


def test_into_another_repository_by_mounts(registry: str, built: Built, tmp_path: Path) -> None:
    env = machine(tmp_path / "one")
    push(built["base.push"], f"http://{registry}/team/base:1", env=env)
    with proxied(registry) as (host, proxy):
        reuse = ("--reuse", f"http://{host}/team/base:1")
        events = push(built["base.push"], f"http://{host}/other/app:1", *reuse, env=machine(tmp_path / "two"))
        assert {event["why"] for event in events if event["event"] == "skipped"} == {"mounted"}
        assert made(events) == [] and proxy.sent < 20_000
    assert raw(f"{registry}/other/app:1") == raw(f"{registry}/team/base:1")
    validated(f"{registry}/other/app:1")


@pytest.mark.parametrize("options", [(), ("--chunk-size", "1M")], ids=["whole", "pieces"])
def test_connections_that_break(registry: str, tmp_path: Path, built: Built, options: tuple[str, ...]) -> None:
    """A real registry is asked how far it is, and what it says is believed no more than that the digest is right."""
    with proxied(registry) as (host, proxy):
        proxy.after(1_500_000, 700_000)
        events = push(built["base.push"], f"http://{host}/team/app:1", *options, env=machine(tmp_path / "home"))
        assert proxy.limits == []
        assert [event for event in events if event["event"] == "said" and "; again in" in event["text"]]
    assert raw(f"{registry}/team/app:1") == manifest_of(built["base.oci"])
    validated(f"{registry}/team/app:1")


def test_killed_in_the_middle_and_pushed_again(registry: str, built: Built, tmp_path: Path) -> None:
    """The tag stays, nothing stays behind, and the second push is whole."""
    push(built["base.push"], f"http://{registry}/team/app:1", env=machine(tmp_path / "first"))
    before = raw(f"{registry}/team/app:1")
    # All of it is made anew, with other bytes, and held up after the first megabyte.
    # Whoever runs the tests in the background has them overlook SIGINT, and so all that they start.
    command = ["env", "--default-signal=INT", built["child.push"], "--no-reuse", "--compressor", "none"]
    env = machine(tmp_path / "second", TMPDIR=str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with proxied(registry) as (host, proxy):
        for number, kill in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)):
            proxy.after(1_000_000, holds=True)
            with subprocess.Popen(
                [*command, f"http://{host}/team/app:1"],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process:
                try:
                    assert proxy.held.wait(60), number
                    process.send_signal(kill)
                    said = process.communicate(timeout=60)[1].decode()
                finally:
                    process.kill()
            assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[kill]
            # Small layers may have come through before.
            others = [line for line in said.splitlines() if not line.startswith("push: layer ")]
            assert others == ([] if kill is signal.SIGKILL else ["dockertools-py push: interrupted"])
            assert list((tmp_path / "tmp").iterdir()) == []
            assert raw(f"{registry}/team/app:1") == before
        proxy.after()
        subprocess.run([*command, f"http://{host}/team/app:1"], env=env, check=True, capture_output=True)
    assert json.loads(raw(f"{registry}/team/app:1"))["config"] == json.loads(manifest_of(built["child.oci"]))["config"]
    # crane takes every layer for gzip, so it is skopeo that fetches all and compares.
    copy = [need("skopeo"), "--insecure-policy", "copy", "-q", "--src-tls-verify=false"]
    subprocess.run([*copy, f"docker://{registry}/team/app:1", f"dir:{tmp_path / 'copied'}"], check=True)


def test_tls_and_a_password(authority: tuple[Path, Path], tmp_path: Path) -> None:
    layout = write_folder(tmp_path / "layout", layout_files(Handmade(compressed=frozenset({0, 1}))))
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(HTPASSWD)
    tls = f", tls: {{certificate: {authority[1]}, key: {authority[1]}}}"
    auth = f"auth: {{htpasswd: {{realm: here, path: {htpasswd}}}}}\n"
    with running(tmp_path, docker_registry(tmp_path, tls, auth)) as host:
        name, trusted = f"{host}/team/app:1", {"SSL_CERT_FILE": str(authority[0])}
        auths = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"auth": AUTH}}})}
        wrong = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"username": USER, "password": "wrong"}}})}
        for env, options, why in [
            (trusted, (), "not let in (401): there are no credentials for it"),
            (trusted | wrong, (), "the credentials in DOCKER_AUTH_CONFIG are refused"),
            (auths, (), f"{host}: its certificate is not trusted"),
            (trusted | auths, ("http://",), "127.0.0.1 answers 400"),
        ]:
            done = by_hand("push", layout, "".join(options) + name, env=env)
            assert done.returncode == 1 and why in done.stderr and PASSWORD not in done.stderr
        assert by_hand("push", layout, name, env=trusted | auths).returncode == 0
        # What is said on the command line counts more than what an environment has, as a profile of Nix's sets it.
        other = auths | {"SSL_CERT_FILE": str(htpasswd), "NIX_SSL_CERT_FILE": str(htpasswd)}
        assert by_hand("push", layout, f"{host}/team/app:2", "--ca-file", authority[0], env=other).returncode == 0
        assert by_hand("push", layout, f"{host}/team/app:3", "--insecure", env=auths).returncode == 0
        for tag in (1, 2, 3):
            assert raw(f"{host}/team/app:{tag}", f"--creds={USER}:{PASSWORD}") == manifest_of(layout)


def by_hand(*arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    from tests.oracle.programs import dockertools

    return dockertools(*arguments, env={"HOME": "/nowhere", "PATH": "/usr/bin:/bin", **env})


def test_tokens_and_helpers(tmp_path: Path, built: Built) -> None:
    """docker-registry checks the tokens itself: for pushing, and for reading the repository to mount from."""
    tokens = Tokens(tmp_path)
    (tmp_path / "bin").mkdir()
    helper = tmp_path / "bin/docker-credential-tests"
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked\necho '{answer}'\n")
    helper.chmod(0o755)
    with served(Rules(answer=tokens.answer)) as server:
        auth = (
            f"auth: {{token: {{realm: 'http://{server}/token', service: here, issuer: tests, "
            f"rootcertbundle: {tokens.certificate}}}}}\n"
        )
        with running(tmp_path, docker_registry(tmp_path, rest=auth)) as host:
            home = machine(tmp_path / "home", PATH=f"{tmp_path}/bin:/usr/bin:/bin")
            (tmp_path / "home/.docker").mkdir()
            (tmp_path / "home/.docker/config.json").write_text(json.dumps({"credHelpers": {host: "tests"}}))
            push(built["base.push"], f"http://{host}/team/base:1", env=home)
            assert (tmp_path / "asked").read_text() == host
            assert {tuple(request.query["scope"]) for request in tokens.asked} == {("repository:team/base:pull,push",)}
            reuse = ("--reuse", f"http://{host}/team/base:1")
            del home["HOME"]  # nothing is remembered, and the credentials are elsewhere
            home["DOCKER_CONFIG"] = str(tmp_path / "home/.docker")
            events = push(built["base.push"], f"http://{host}/other/app:1", *reuse, env=home)
            assert {event["why"] for event in events if event["event"] == "skipped"} == {"mounted"}
            both = ("repository:other/app:pull,push", "repository:team/base:pull")
            assert both in {tuple(request.query["scope"]) for request in tokens.asked}


def test_the_registry_of_crane(tmp_path: Path, built: Built) -> None:
    """Another registry: it cannot say how far an upload is."""
    with running(tmp_path, [crane(), "registry", "serve", "--address", "127.0.0.1:0", "--disk", str(tmp_path)]) as host:
        with proxied(host) as (between, proxy):
            proxy.after(1_000_000)
            push(built["base.push"], f"http://{between}/team/app:1", env=machine(tmp_path / "home"))
        assert raw(f"{host}/team/app:1") == manifest_of(built["base.oci"])
        validated(f"{host}/team/app:1")
        done = by_hand("attach", f"http://{host}/team/app:1", __file__, "--artifact-type", "text/x-python", env={})
        assert done.returncode == 0, done.stderr
        artifact = json.loads(raw(done.stdout.strip().removeprefix("http://")))
        digest = subprocess.run(
            [crane(), "digest", "--insecure", f"{host}/team/app:1"], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert artifact["subject"]["digest"] == digest
        listed = by_referrers(host, digest)
        assert [entry["artifactType"] for entry in listed["manifests"]] == ["text/x-python"]


def by_referrers(host: str, digest: str) -> Any:
    """What the registry lists itself, or what is listed under the tag (distribution spec 1.1, "Listing Referrers")."""
    import urllib.request
    from urllib.error import HTTPError

    for path in (f"referrers/{digest}", f"manifests/{digest.replace(':', '-')}"):
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://{host}/v2/team/app/{path}"
            ) as got:
                return json.load(got)
        except HTTPError as error:
            assert error.code == 404
    raise AssertionError("listed nowhere")
