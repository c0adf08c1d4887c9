"""`copy`, `push` and `attach` as users call them, on archives and layouts: what is told, and that all bytes stay."""

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.image import INDEX, Handmade, descriptor, encode, write_folder, write_tar
from tests.oracle.programs import dockertools
from tests.registry.images import Content, digest, image, layout_files, several_platforms
from tests.registry.served import Rules, redirected, served, status


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Runs a verb on a machine of its own."""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return dockertools(*arguments, env=environment)

    return call


def layout_of(content: Content, folder: Path, root: str) -> Path:
    """What a registry has under a tag, as a layout."""
    files = {f"blobs/sha256/{name[7:]}": data for name, data in content.blobs.items()}
    files |= {f"blobs/sha256/{name[7:]}": data for name, (data, _) in content.manifests.items() if ":" in name}
    data, media_type = content.manifests[root]
    files["oci-layout"] = encode({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(data, media_type)]})
    return write_folder(folder, files)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}  # type: ignore[union-attr]


def by_digest(rules: Rules) -> dict[str, bytes]:
    manifests = {name: data for name, (data, _) in rules.content.manifests.items() if ":" in name}
    return {name[7:]: data for name, data in (rules.content.blobs | manifests).items()}


def test_an_index_goes_round(rules: Rules, host: str, run: Any, tmp_path: Path) -> None:
    """From registry to archive, to another registry, to a layout, and within a registry: always the same bytes."""
    rules.content = several_platforms()
    expected = by_digest(rules)
    root = digest(rules.content.manifests["latest"][0])
    archive, layout, other = tmp_path / "index.tar", tmp_path / "layout", Rules()
    with served(other) as elsewhere:
        for source, target, said in [
            (f"http://{host}/team/app", archive, archive),
            (archive, f"http://{elsewhere}/x/app:1", f"http://{elsewhere}/x/app@{root}"),
            (f"http://{elsewhere}/x/app:1", layout, layout),
            (f"http://{elsewhere}/x/app:1", f"http://{elsewhere}/y/app:1", f"http://{elsewhere}/y/app@{root}"),
            (f"http://{host}/team/app@{root}", f"http://{elsewhere}/z/app:2", f"http://{elsewhere}/z/app@{root}"),
        ]:
            done = run("copy", source, target)
            assert (done.returncode, done.stdout) == (0, f"{said}\n"), done.stderr
        assert by_digest(other) == expected
        written = [r.path for r in other.requests if r.method == "PUT" and "/x/app/manifests/" in r.path]
        assert written[-1].endswith("/1") and len(written) == 3
    found = members(archive)
    assert {name.rpartition("/")[2]: data for name, data in found.items() if "blobs/" in name} == expected
    assert {path.name: path.read_bytes() for path in layout.glob("blobs/sha256/*")} == expected
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry["digest"] == root and entry["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    (docker,) = json.loads(found["manifest.json"])
    amd = json.loads(rules.content.manifests["amd64"][0])
    assert docker["Config"] == "blobs/sha256/" + amd["config"]["digest"][7:]
    assert run("validate", archive, layout).returncode == 0


def test_one_platform(rules: Rules, host: str, run: Any, tmp_path: Path) -> None:
    rules.content = several_platforms()
    arm = digest(rules.content.manifests["arm64"][0])
    layout = layout_of(rules.content, tmp_path / "source", "latest")
    for number, source in enumerate((f"http://{host}/team/app", layout)):
        target = tmp_path / f"{number}.tar"
        assert run("copy", source, target, "--platform", "linux/arm64", "-t", "a/b:1", "-t", "c:2").returncode == 0
        index = json.loads(members(target)["index.json"])["manifests"]
        assert [entry["digest"] for entry in index] == [arm, arm]
        (docker,) = json.loads(members(target)["manifest.json"])
        assert docker["RepoTags"] == ["a/b:1", "c:2"]
    done = run("copy", layout, tmp_path / "x.tar", "--platform", "linux/s390x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing for linux/s390x in it; there is: linux/amd64, linux/arm64/v8" in done.stderr


def test_pushing_what_is_compressed_keeps_its_manifest(host: str, rules: Rules, run: Any, tmp_path: Path) -> None:
    content = several_platforms()
    made = Handmade(compressed=frozenset({0, 1}), names=("one:1",))
    layout = write_folder(tmp_path / "one", layout_files(made))
    done = run(
        "push", layout, f"http://{host}/team/one:1", f"http://{host}/team/one:2", "--digest-file", tmp_path / "digest"
    )
    assert done.returncode == 0, done.stderr
    assert by_digest(rules) == {p.name: p.read_bytes() for p in layout.glob("blobs/sha256/*")}
    assert rules.content.manifests["1"] == rules.content.manifests["2"]
    (name,) = [line.rpartition("@")[2] for line in done.stdout.splitlines()]
    assert (tmp_path / "digest").read_text() == f"{name}\n" == f"{digest(rules.content.manifests['1'][0])}\n"
    # With another form, or with annotations, it is another manifest; the config and the blobs stay.
    config = rules.content.manifest("1")["config"]["digest"]
    done = run("push", layout, f"http://{host}/team/one:3", "--format", "docker", "--annotation", "a=b=c", "--json")
    assert done.returncode == 0, done.stderr
    manifest = rules.content.manifest("3")
    assert manifest["config"]["digest"] == config and manifest["annotations"] == {"a": "b=c"}
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "pushed" and events[-1]["digest"] == digest(rules.content.manifests["3"][0])
    assert (events[-1]["layers"], events[-1]["layersSent"], events[-1]["bytesSent"]) == (2, 0, 0)
    assert {event["event"] for event in events[:-1]} == {"skipped"} and done.stderr == ""
    done = run("push", layout, f"http://{host}/team/one:4", f"http://{host}/team/two:4")
    assert done.stderr.splitlines()[-1].startswith(
        "push: 2 repositories, layers counted in each: 0 of 4 layers sent, 0 B of "
    )
    assert content


def test_pushing_what_is_not_compresses_it(host: str, rules: Rules, run: Any, tmp_path: Path) -> None:
    plain = Handmade()
    for number, archive in enumerate(
        (write_tar(tmp_path / "old.tar", plain.old_files()), write_tar(tmp_path / "both.tar", plain.files()))
    ):
        assert run("push", archive, f"http://{host}/team/app:{number}").returncode == 0
        manifest = rules.content.manifest(str(number))
        assert {entry["mediaType"] for entry in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
        assert json.loads(rules.content.blobs[manifest["config"]["digest"]]) == plain.config_value()
    assert run("push", tmp_path / "both.tar", f"http://{host}/team/app:x", "--compressor", "none").returncode == 0
    index = json.loads(plain.files()["index.json"])
    assert digest(rules.content.manifests["x"][0]) == index["manifests"][0]["digest"]


def test_attach(host: str, rules: Rules, run: Any, tmp_path: Path) -> None:
    rules.content = several_platforms()
    (tmp_path / "sbom.json").write_text("{}")
    done = run("attach", f"http://{host}/team/app", tmp_path / "sbom.json", "--artifact-type", "application/spdx+json")
    assert done.returncode == 0, done.stderr
    pushed = json.loads(rules.content.manifests[done.stdout.strip().rpartition("@")[2]][0])
    assert pushed["subject"]["digest"] == digest(rules.content.manifests["latest"][0])
    arm = ("--platform", "linux/arm64", "--artifact-type", "a/b", "--media-type", "c/d", "--json")
    done = run("attach", f"http://{host}/team/app", tmp_path / "sbom.json", *arm)
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["subject"] == digest(rules.content.manifests["arm64"][0])
    pushed = json.loads(rules.content.manifests[event["digest"]][0])
    assert pushed["artifactType"] == "a/b" and pushed["layers"][0]["mediaType"] == "c/d"
    assert pushed["layers"][0]["annotations"] == {"org.opencontainers.image.title": "sbom.json"}


def test_errors(host: str, rules: Rules, run: Any, tmp_path: Path) -> None:
    """One line, exit code 1, nothing on standard output, nothing half written."""
    one = write_folder(tmp_path / "one", layout_files(image("one")))
    old = write_tar(tmp_path / "old.tar", Handmade().old_files())
    two = dict(layout_files(image("one")))
    entries = json.loads(two["index.json"])["manifests"]
    other = {
        **entries[0],
        "digest": "sha256:" + "0" * 64,
        "annotations": {"io.containerd.image.name": "docker.io/b/c:1"},
    }
    two["index.json"] = encode({"schemaVersion": 2, "manifests": [*entries, other]})
    several = write_folder(tmp_path / "several", two)
    damaged = write_folder(tmp_path / "damaged", layout_files(image("one")))
    (largest,) = sorted(damaged.glob("blobs/sha256/*"), key=lambda path: -path.stat().st_size)[:1]
    data = largest.read_bytes()
    largest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    name = f"http://{host}/team/app:1"
    (tmp_path / "file").touch()
    before = {path.name for path in tmp_path.iterdir()}
    for arguments, why in [
        (["push", one], "REF is missing: write where to push, as in registry.example.org/team/app:1"),
        (["push", one, "--default-reference", "app:1"], "REF is missing"),
        (["push", tmp_path / "none", name], f"{tmp_path}/none: no such file or directory"),
        (["push", one, "http://localhost/Y"], "image name"),
        (["push", one, name, "--annotation", "x"], "--annotation 'x': write KEY=VALUE"),
        (["push", one, name, "--chunk-size", "0"], "--chunk-size '0': write a number of bytes, or one of k, M, G as in 50M"),
        (["push", one, name, "--level", "10"], "compressionLevel is 10: gz has 1 to 9"),
        (["push", one, name, "--ca-file", "/none"], "--ca-file /none: no such file"),
        (["push", one, name, "--reuse", "?"], "image name '?'"),
        (["push", one, f"{name}@sha256:{'0' * 64}", "--compressor", "none"], f"http://{host}/team/app: the image has the"),
        (["push", several, name], f"{several}: 2 images in it: choose one, --choose NAME:TAG; there is: b/c:1, handmade:1"),
        (["push", several, name, "--choose", "x:1"], f"{several}: 0 images called x:1 in it: choose one"),
        (["push", damaged, name, "--compressor", "none"], f"http://{host}/team/app: layer {largest.name[:12]}: 127.0.0.1 ans"),
        (["copy", damaged, tmp_path / "x.tar"], f"blob sha256:{largest.name}: sha256:"),
        (["copy", old, name], f"{old}: no index.json in it, so it has no manifest to be copied: use `push` or `archive`"),
        (["copy", "team/app:1", name], "team/app:1: no such file or directory; for a registry write docker://NAME"),
        (["copy", one, tmp_path / "several"], f"{several} is there already; name a new one, or remove it"),
        (["copy", one, "/none/x.tar"], "/none/x.tar: /none is no directory"),
        (["copy", one, "oci-archive:x.tar"], "oci-archive:x.tar: for an archive write archive:PATH, for a layout oci:PATH"),
        (["copy", "docker-archive:x.tar", one], "docker-archive:x.tar: for an archive write archive:PATH, for a layout oci:P"),
        (["copy", one, "docker-daemon:app:1"], "docker-daemon:app:1: for an archive write archive:PATH, for a layout oci:PA"),
        (["copy", f"http://{host}/team/none:1", tmp_path / "x.tar"], f"http://{host}/team/none: manifest 1: no such tag or"),
        (["copy", one, tmp_path / "x", "--platform", "arm64"], "platform 'arm64': write os/architecture"),
        (["attach", name, "/none", "--artifact-type", "a/b"], "/none: no such file"),
        (["attach", name, one / "index.json", "--artifact-type", "sbom"], "--artifact-type 'sbom': write a media type, as"),
        (["attach", name, one / "index.json", "--artifact-type", "a/b", "--media-type", "x/"], "--media-type 'x/': write"),
        (["attach", name, one / "index.json", "--artifact-type", "a/b"], f"http://{host}/team/app: manifest 1: no such tag"),
    ]:  # fmt: skip
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"dockertools-py {arguments[0]}: {why}"), (why, done.stderr)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not rules.content.manifests
    done = run("push", one, name, "--compressor", "none", "--digest-file", "/none/x")
    assert done.returncode == 1 and done.stderr == "dockertools-py push: --digest-file /none/x: /none is no directory\n"


def test_a_damaged_blob_on_its_way_between_registries(host: str, rules: Rules, run: Any, tmp_path: Path) -> None:
    rules.content.publish(image(size=1 << 20), "1")
    large = max(rules.content.blobs, key=lambda name: len(rules.content.blobs[name]))
    good = rules.content.blobs[large]
    rules.content.blobs[large] = good[:-1] + bytes([good[-1] ^ 1])
    other = Rules()
    with served(other) as elsewhere:
        for target in (f"http://{elsewhere}/x/app:1", tmp_path / "x.tar"):
            done = run("copy", f"http://{host}/team/app:1", target)
            assert done.returncode == 1 and "the bytes that came have another digest" in done.stderr
        assert not other.content.manifests and large not in other.content.blobs
    assert not (tmp_path / "x.tar").exists()


def test_no_secret_is_ever_told(host: str, rules: Rules, run: Any, tmp_path: Path) -> None:
    """Whatever fails: neither the password nor where signed storage is."""
    rules.basic = ("user", "the-password")
    auths = {"auths": {host: {"username": "user", "password": "the-password"}}}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps(auths))
    one = write_folder(tmp_path / "one", layout_files(image("one")))
    with served(Rules(answer=lambda _: (403, {}, b"denied"))) as elsewhere:
        for part, fault in [
            ("POST ", status(403)),
            ("POST ", status(202, Location=f"http://{elsewhere}/x?signature=the-signature")),
            ("HEAD ", redirected(f"http://{elsewhere}/x?signature=the-signature")),
            ("manifests/", status(401)),
        ]:
            rules.faults.clear()
            rules.fail(part, *[fault] * 9)
            done = run("push", one, f"http://{host}/team/app:1", "--compressor", "none")
            assert done.returncode == 1 and done.stderr
            assert "the-" not in done.stderr + done.stdout
    assert all("the-password" not in r.path for r in rules.requests)
