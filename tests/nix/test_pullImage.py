"""pullImage: blobs as fixed-output derivations in the sandbox, from a registry on loopback."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, Nix, wrapped
from tests.nix.opened import open_archive, open_image, sha256
from tests.oracle.programs import need
from tests.registry.images import AMD64, ARM64, image, several_platforms
from tests.registry.programs import make_authority
from tests.registry.pulling import client
from tests.registry.served import Rules, replaced, served

FUNCTION = "pullImage"
pytestmark = pytest.mark.xdist_group("nix-pull")

QUIET = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "")


@dataclass
class Registry:
    """`team/app` at a host, which obeys rules."""

    rules: Rules
    host: str
    folder: Path

    @property
    def name(self) -> str:
        return f"http://{self.host}/team/app"

    def lock(self, tag: str, *arguments: str) -> Path:
        """A lock file, made as users make it."""
        command = [sys.executable, "-m", "dockertools_py", "lock", f"{self.name}:{tag}", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=CHECKOUT, env=os.environ | QUIET, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        file = self.folder / f"{tag}.lock.json"
        file.write_text(done.stdout)
        return file

    def blob_requests(self) -> list[str]:
        return [request.path.rpartition("/")[2] for request in self.rules.requests if "/blobs/" in request.path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def registry(tmp_path: Path, salt: str) -> Iterator[Registry]:
    """With `app:1`, of two layers that were never in a store before."""
    rules = Rules()
    rules.content.publish(image(salt), "1")
    with served(rules) as host:
        yield Registry(rules, host, tmp_path)


def realise(expression: str, environment: Mapping[str, str] = {}, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["nix-build", "--no-out-link", *options, "-E", wrapped(expression)]
    env = os.environ | QUIET | environment
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, env=env, check=False)


def built(expression: str, environment: Mapping[str, str] = {}, *options: str) -> Path:
    done = realise(expression, environment, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return Path(done.stdout.split()[-1])


def fails(expression: str, environment: Mapping[str, str] = {}) -> str:
    """The one line with which a fetch fails, without the program's name."""
    done = realise(expression, environment)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    said = re.findall(r"^(?:.*> )?dockertools-py derivation: (.*)$", done.stderr, re.MULTILINE)
    assert len(set(said)) == 1, done.stderr[-3000:]
    return str(said[0])


# --- with a lock file ----------------------------------------------------------------------------------------------------


def test_the_image_is_the_registrys(registry: Registry, nix: Nix) -> None:
    lock = registry.lock("1")
    pulled = f"pullImage {{ lock = {lock}; }}"
    (opened,) = open_archive(built(pulled))
    manifest = registry.rules.content.manifest("1")
    assert sha256(opened.config_bytes) == manifest["config"]["digest"], "its id is what others show"
    assert [sha256(layer.blob) for layer in opened.layers] == [layer["digest"] for layer in manifest["layers"]]
    assert opened.names == [f"{registry.host}/team/app:1"]
    known = nix.eval(f"let i = {pulled}; in {{ inherit (i) imageName imageTag imageRef config platform; }}")
    assert known == {
        "imageName": f"{registry.host}/team/app",
        "imageTag": "1",
        "imageRef": f"{registry.host}/team/app:1",
        "config": {"Cmd": ["/bin/sh"], "Env": ["A=1"]},
        "platform": AMD64,
    }
    oci = built(f"({pulled}).oci")
    assert (oci / "blobs/sha256" / manifest["layers"][0]["digest"][7:]).exists()
    assert built(f'(pullImage {{ lock = {lock}; finalImageName = "Mine"; finalImageTag = "2"; }})').exists()
    renamed = open_image(built(f'pullImage {{ lock = {lock}; finalImageName = "mine"; finalImageTag = "2"; }}'))
    assert renamed.names == ["mine:2"]


def test_each_layer_is_a_derivation_of_its_own(registry: Registry, salt: str) -> None:
    second = image(salt)
    second.layers[1] = image("other" + salt).layers[1]
    registry.rules.content.publish(second, "2")
    manifests = [registry.rules.content.manifest(tag) for tag in ("1", "2")]
    lower, upper = (layer["digest"] for layer in manifests[0]["layers"])
    locks = [registry.lock(tag) for tag in ("1", "2")]
    registry.rules.requests.clear()
    built(f"pullImage {{ lock = {locks[0]}; }}")
    assert sorted(registry.blob_requests()) == sorted([lower, upper])
    # Another image with the same lower layer
    registry.rules.requests.clear()
    built(f"pullImage {{ lock = {locks[1]}; }}")
    assert registry.blob_requests() == [manifests[1]["layers"][1]["digest"]]
    # Whatever else is said about it: what is there is there.
    registry.rules.requests.clear()
    built(f'pullImage {{ lock = {locks[1]}; mirrors = [ "http://127.0.0.1:1" ]; tlsVerify = false; }}')
    assert registry.rules.requests == []


def test_an_image_that_names_what_fetches_it(nix: Nix, registry: Registry, salt: str) -> None:
    """A fixed output has no references: newer versions of Nix overlook them, older ones crash if nobody warns them."""
    python = nix.eval('"${python3}"')
    made = image(salt)
    made.config["Cmd"] = [f"{python}/bin/python3"]
    registry.rules.content.publish(made, "config")
    assert open_image(built(f"pullImage {{ lock = {registry.lock('config')}; }}")).config["Cmd"] == made.config["Cmd"]
    made = image(salt + python)  # in both layers, of which the first is not compressed
    registry.rules.content.publish(made, "layer")
    pulled = f"pullImage {{ lock = {registry.lock('layer')}; }}"
    if nix.eval('builtins.compareVersions builtins.nixVersion "2.18" >= 0'):
        assert open_image(built(pulled)).layers
    else:
        assert fails(pulled) == (
            f"{registry.name}:layer: has {python} in it, uncompressed, and fetching needs that path too: "
            "Nix before 2.18 refuses this; use a newer one, or a lock file and compressed layers"
        )


def test_blobs_are_files_named_by_their_digest(registry: Registry) -> None:
    lock = registry.lock("1")
    layer = registry.rules.content.manifest("1")["layers"][0]["digest"]
    file = built(f"builtins.head (pullImage {{ lock = {lock}; }}).blobs.layers")
    assert file.name[33:] == f"blob-{layer[7:19]}"
    assert file.read_bytes() == registry.rules.content.blobs[layer]


def test_as_base_and_merged(registry: Registry, salt: str) -> None:
    pulled = f"(pullImage {{ lock = {registry.lock('1')}; }})"
    text = f'(writeTextDir "etc/three" "{salt}")'
    other = f'(build {{ name = "other"; tag = "1"; contents = [ {text} ]; }})'
    child = open_image(
        built(f'build {{ name = "child"; fromImage = {pulled}; contents = [ {text} ]; config.Env = [ "B=2" ]; }}')
    )
    assert child.config == {"Cmd": ["/bin/sh"], "Env": ["A=1", "B=2"]}
    assert {"etc/one", "etc/two", "etc/three"} <= set(child.tree)
    below = registry.rules.content.manifest("1")["layers"]
    assert child.layers[1].blob == registry.rules.content.blobs[below[1]["digest"]], "it is not compressed again"
    merged = open_image(built(f'mergeImages {{ name = "m"; images = [ {pulled} {other} ]; }}'))
    assert merged.config["Env"] == ["A=1"]
    assert {"etc/one", "etc/three"} <= set(merged.tree)
    both = open_archive(built(f"mergeImages [ {pulled} {other} ]"))
    assert [one.names for one in both] == [[f"{registry.host}/team/app:1"], ["other:1"]]


def test_a_platform_of_an_index(tmp_path: Path, salt: str) -> None:
    rules = Rules(several_platforms(salt))
    with served(rules) as host:
        registry = Registry(rules, host, tmp_path)
        lock = registry.lock("latest", "--platform", "linux/arm64")
        value = json.loads(lock.read_text())
        assert value["platform"] == ARM64
        assert value["manifest"]["digest"] == sha256(rules.content.manifests["arm64"][0])
        assert value["index"]["digest"] == sha256(rules.content.manifests["latest"][0])
        opened = open_image(built(f"pullImage {{ lock = {lock}; }}"))
        assert opened.json["architecture"] == "arm64"
        digest = value["index"]["digest"]
        call = f'imageName = "{registry.name}"; imageDigest = "{digest}"; finalImageName = "app"'
        for more, architecture in (
            ('arch = "arm64"', "arm64"),
            ('arch = "arm64"; variant = "v8"', "arm64"),
            ('arch = "amd64"', "amd64"),
        ):
            assert open_image(_with_hash(f"{call}; {more}")).json["architecture"] == architecture


def test_a_lock_file_is_one_line_of_canonical_json(registry: Registry) -> None:
    text = registry.lock("1").read_text()
    value = json.loads(text)
    assert text == json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"
    assert text == registry.lock("1").read_text() == client(f"{registry.name}:1").lock().to_bytes().decode()
    manifest = registry.rules.content.manifest("1")
    config = registry.rules.content.blobs[manifest["config"]["digest"]]
    assert value == {
        "version": 1,
        "image": f"{registry.name}:1",
        "name": f"{registry.host}/team/app",
        "tag": "1",
        "platform": AMD64,
        "manifest": {
            "mediaType": manifest["mediaType"],
            "digest": sha256(registry.rules.content.manifests["1"][0]),
            "size": len(registry.rules.content.manifests["1"][0]),
        },
        "config": manifest["config"] | {"data": base64.b64encode(config).decode()},
        "layers": manifest["layers"],
        "container": {"Cmd": ["/bin/sh"], "Env": ["A=1"]},
    }


def test_a_lock_file_that_was_changed(registry: Registry) -> None:
    value = json.loads(registry.lock("1").read_text())
    changed = registry.folder / "changed.lock.json"

    def failure(**parts: Any) -> str:
        changed.write_text(json.dumps(value | parts))
        return fails(f"pullImage {{ lock = {changed}; }}")

    again = "make it again with `dockertools-py lock`"
    fewer = failure(layers=value["layers"][:1])
    assert fewer == f"pullImage: `lock`: its config and layers are not those of its manifest: {again}"
    for data in ("", "!", "e30="):
        assert failure(config=value["config"] | {"data": data}) == fewer
    for key, other in (("container", {}), ("platform", ARM64)):
        assert failure(**{key: other}) == f"pullImage: `lock`: its `{key}` is not that of its config: {again}"


# --- as nixpkgs calls it -------------------------------------------------------------------------------------------------


def _with_hash(call: str) -> Path:
    """The archive, with the hash that Nix names when it gets none."""
    done = realise(f'pullImage {{ {call}; hash = ""; }}')
    found = re.search(r"got: +(sha256-\S+)", done.stderr)
    assert found, done.stderr[-3000:]
    return built(f'pullImage {{ {call}; hash = "{found[1]}"; }}')


def test_the_call_of_nixpkgs(registry: Registry, nix: Nix) -> None:
    content = registry.rules.content
    digest = sha256(content.manifests["1"][0])
    call = f'imageName = "{registry.name}"; imageDigest = "{digest}"; finalImageName = "base"; finalImageTag = "1.0"'
    archive = _with_hash(call)
    assert archive.name[33:] == "docker-image-base-1.0.tar"
    opened = open_image(archive)
    assert opened.names == ["base:1.0"]
    manifest = content.manifest("1")
    assert sha256(opened.config_bytes) == manifest["config"]["digest"]
    assert [layer.blob for layer in opened.layers] == [content.blobs[layer["digest"]] for layer in manifest["layers"]]
    # Every way to say the hash comes to the same path, and nobody asks the registry again.
    asked = len(registry.rules.requests)
    hexadecimal = sha256(archive.read_bytes())[7:]
    base32 = nix.run("nix-hash", "--type", "sha256", "--to-base32", hexadecimal).stdout.strip()
    sri = "sha256-" + base64.b64encode(bytes.fromhex(hexadecimal)).decode()
    for way in (
        *(f'{name} = "{value}"' for name in ("hash", "sha256") for value in (hexadecimal, base32, sri)),
        f'outputHash = "{hexadecimal}"; outputHashAlgo = "sha256"',
        f'outputHash = "{sri}"',
    ):
        assert built(f"pullImage {{ {call}; {way}; }}") == archive
    assert len(registry.rules.requests) == asked
    known = nix.eval(
        f'let i = pullImage {{ {call}; hash = "{sri}"; name = "own"; }}; in [ i.imageName i.imageTag i.name ]'
    )
    assert known == ["base", "1.0", "own"]
    # As a base, read as any archive is
    child = f'build {{ name = "child"; fromImage = pullImage {{ {call}; hash = "{sri}"; }}; config.User = "1"; }}'
    assert open_image(built(child)).config["User"] == "1"


def test_others_read_the_archives(registry: Registry) -> None:
    skopeo = need("skopeo")
    digest = sha256(registry.rules.content.manifests["1"][0])
    call = f'imageName = "{registry.name}"; imageDigest = "{digest}"; finalImageName = "base"; finalImageTag = "1.0"'
    locked = f'pullImage {{ lock = {registry.lock("1")}; finalImageName = "base"; }}'
    for number, source in enumerate(
        (
            f"docker-archive:{_with_hash(call)}",
            f"docker-archive:{built(locked)}",
            f"oci-archive:{built(f'({locked}).ociArchive')}",
            f"oci:{built(f'({locked}).oci')}",
        )
    ):
        target = registry.folder / f"copy{number}"
        done = subprocess.run(
            [skopeo, "--insecure-policy", "copy", "-q", source, f"oci:{target}:x"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        # Of the source: skopeo writes a config of its own when it converts.
        config = subprocess.run(
            [skopeo, "inspect", "--config", "--raw", source], capture_output=True, check=True
        ).stdout
        assert sha256(config) == registry.rules.content.manifest("1")["config"]["digest"]


# --- being let in, certificates, and what goes wrong ---------------------------------------------------------------------


def test_credentials_in_the_sandbox(registry: Registry) -> None:
    registry.rules.basic = ("reader", "letters")
    auth = base64.b64encode(b"reader:letters").decode()
    variable = json.dumps({"auths": {registry.host: {"auth": auth}}})
    lock = registry.folder / "1.lock.json"
    lock.write_bytes(client(f"{registry.name}:1", {"DOCKER_AUTH_CONFIG": variable}).lock().to_bytes())
    pulled = f"(pullImage {{ lock = {lock}; }}).blobs"
    missing = fails(f"{pulled}.manifest", {"NETRC": "/secret/netrc"})
    assert missing == (
        f"{registry.host}/team/app: not let in (401): there are no credentials for it (NETRC names /secret/netrc, which is "
        "not there): log in, or name a file that has them in REGISTRY_AUTH_FILE, DOCKER_CONFIG or NETRC"
    )
    assert built(f"{pulled}.manifest", {"DOCKER_AUTH_CONFIG": variable}).exists()
    netrc = registry.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login reader password letters\n")
    netrc.chmod(0o644)
    shown = f"/run/netrc={netrc}"
    assert built(
        f"builtins.elemAt {pulled}.layers 0", {"NETRC": "/run/netrc"}, "--option", "extra-sandbox-paths", shown
    ).exists()
    config = registry.folder / "auth.json"
    config.write_text(variable)
    config.chmod(0o644)
    shown = f"/run/auth.json={config}"
    options = ("--option", "extra-sandbox-paths", shown)
    assert built(f"builtins.elemAt {pulled}.layers 1", {"REGISTRY_AUTH_FILE": "/run/auth.json"}, *options).exists()
    digest = sha256(registry.rules.content.manifests["1"][0])
    call = f'imageName = "{registry.name}"; imageDigest = "{digest}"; finalImageName = "base"; hash = ""'
    done = realise(f"pullImage {{ {call}; }}", {"DOCKER_CONFIG": "/run/auth.json"}, *options)
    assert "got:    sha256-" in done.stderr


def test_certificates_in_the_sandbox(registry: Registry, authority: tuple[Path, Path]) -> None:
    ca, pair = authority
    ca.chmod(0o644)
    with served(registry.rules, pair) as host:
        lock = registry.folder / "tls.lock.json"
        lock.write_bytes(client(f"{host}/team/app:1", {"SSL_CERT_FILE": str(ca)}).lock().to_bytes())
        pulled = f"(pullImage {{ lock = {lock}; }}).blobs"
        assert f"{host}: its certificate is not trusted" in fails(f"{pulled}.manifest")
        shown = ("--option", "extra-sandbox-paths", f"/run/ca.pem={ca}")
        assert built(f"{pulled}.manifest", {"SSL_CERT_FILE": "/run/ca.pem"}, *shown).exists()
        assert built(f"builtins.elemAt {pulled}.layers 1", {"NIX_SSL_CERT_FILE": "/run/ca.pem"}, *shown).exists()
        assert built(f"(pullImage {{ lock = {lock}; tlsVerify = false; }}).blobs.layers").exists()
        # A mirror that speaks no TLS, where the registry itself is not trusted
        other = f'(pullImage {{ lock = {lock}; mirrors = [ "http://{registry.host}" ]; }})'
        assert open_image(built(other)).names == [f"{host}/team/app:1"]


def test_what_goes_wrong_is_one_line(registry: Registry) -> None:
    lock = registry.lock("1")
    layer = registry.rules.content.manifest("1")["layers"][0]["digest"]
    pulled = f"builtins.head (pullImage {{ lock = {lock}; }}).blobs.layers"
    where = f"{registry.name}: blob {layer}"
    data = registry.rules.content.blobs[layer]
    wrong = b"x" * len(data)
    registry.rules.fail("/blobs/", replaced(wrong))
    assert fails(pulled) == f"{where}: the bytes that came have another digest, {sha256(wrong)}"
    registry.rules.fail("/blobs/", replaced(b""))
    assert fails(pulled) == f"{where}: 0 bytes, but its descriptor says {len(data)}"
    del registry.rules.content.blobs[layer]
    assert fails(pulled) == f"{where}: no such blob (404 of 127.0.0.1: it is unknown)"
    registry.rules.content.blobs[layer] = data
    assert built(pulled).read_bytes() == data


# --- evaluation ----------------------------------------------------------------------------------------------------------

D = "sha256:" + "0" * 64
MAKE = "make it with `dockertools-py lock IMAGE > IMAGE.lock.json`."
LOCK = "a lock file, as ./alpine.lock.json, made with `dockertools-py lock`"
ERRORS = [
    ("{ }", f"`lock` is missing: write lock = {LOCK}; or imageName, imageDigest and hash."),
    ("{ lock = 7; }", f"`lock` is 7: write null or {LOCK}."),
    ("{ lock = /nowhere.json; }", f"`lock` is /nowhere.json, which is not there: {MAKE}"),
    ("{ lock = { }; }", f"`lock` is not of version 1: {MAKE}"),
    ("{ lock = { version = 2; }; }", f"`lock` is not of version 1: {MAKE}"),
    ("{ lock = { version = 1; image = \"a\"; }; }", f"`lock` lacks a part: {MAKE}"),
    ('{ lock = ./README.md; }', f"`lock` is no JSON object: {MAKE}"),
    ('{ lock = { }; arch = "arm64"; }', "both `lock` and `arch` are given: a lock file has it all; leave one of them out."),
    ('{ imageName = "A b"; }', '`imageName` is "A b": write null or an image name: letters and digits'),
    ('{ imageName = "a"; }', "`imageDigest` is missing: write a digest: \"sha256:\" and 64 hexadecimal digits; a tag may"),
    ('{ imageName = "a"; imageDigest = "latest"; }', '`imageDigest` is "latest": write null or a digest: "sha256:" and 64'),
    (f'{{ imageName = "a"; imageDigest = "{D}"; }}', '`hash` is missing: write hash = ""; and the error of the build says'),
    (f'{{ imageName = "a"; imageDigest = "{D}"; hash = ""; sha256 = ""; }}', "both `hash` and `sha256` are given: write one"),
    ('{ imagename = "a"; }', "unknown argument `imagename`; write `imageName`."),
    ("{ lock = { }; mirrors = \"a\"; }", '`mirrors` is "a": write a list of strings, as in [ "https://mirror.example.org" ].'),
    ("{ lock = { }; tlsVerify = 1; }", "`tlsVerify` is 1: write true or false."),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), ERRORS, ids=[arguments for arguments, _ in ERRORS])
def test_errors_of_evaluation(nix: Nix, arguments: str, message: str) -> None:
    assert f"error: dockerTools.pullImage: {message}" in nix.failure(f"(pullImage {arguments}).drvPath")


def test_evaluation_needs_no_network(nix: Nix) -> None:
    lock = CHECKOUT / "tests/fixtures/alpine.lock.json"
    known = nix.eval(f"let i = pullImage {{ lock = {lock}; }}; in {{ inherit (i) imageRef config; drv = i.drvPath; }}")
    assert known["imageRef"] == "alpine:3.20"
    assert known["config"]["Cmd"] == ["/bin/sh"]
    assert known["drv"].endswith("docker-image-alpine.tar.drv")
    call = f'pullImage {{ imageName = "alpine"; imageDigest = "{D}"; hash = ""; }}'
    assert nix.eval(f"[ ({call}).name ({call}).imageRef ]") == ["docker-image-alpine-latest.tar", "alpine:latest"]


def test_editing_the_fetcher_rebuilds_nothing(nix: Nix, tmp_path: Path) -> None:
    lock = CHECKOUT / "tests/fixtures/alpine.lock.json"
    shutil.copytree(CHECKOUT / "nix", tmp_path / "nix", ignore=shutil.ignore_patterns("hostpkgs"))
    shutil.copytree(CHECKOUT / "dockertools_py", tmp_path / "dockertools_py")

    def outputs() -> Any:
        images = f'[ (pullImage {{ lock = {lock}; }}) (build {{ name = "a"; contents = [ hello ]; }}) ]'
        tools = f"import {tmp_path}/nix/internal/fromPackages.nix pkgs"
        return nix.eval(
            f"with ({tools}); let images = {images}; in {{ out = map toString images; drv = map (i: i.drvPath) images; }}"
        )

    before = outputs()
    for name in ("registry/session.py", "derivations/fetch_blob.py"):
        file = tmp_path / "dockertools_py" / name
        file.write_text(file.read_text() + "# edited\n")
        after = outputs()
        assert after["out"] == before["out"], name
        assert after["drv"][1] == before["drv"][1], name
    file = tmp_path / "dockertools_py/derivations/pulled.py"
    file.write_text(file.read_text() + "# edited\n")
    assert outputs()["out"] != before["out"]
