"""Every engine loads our images, runs what is in them, and describes them as we do."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.archive import read_images, read_layout_names
from tests.clients.available import SUITES, engine_parameters, suites_with
from tests.clients.conftest import Loaded
from tests.clients.engines.engine import familiar
from tests.clients.engines.layout import Layout
from tests.clients.images import Images
from tests.clients.need import lack, need

PROGRAMS = {
    "bash-python": ("bash", "python3"),
    "bash-python-perl": ("bash", "python3", "perl"),
    "just-python": ("python3",),
    "merged": ("bash", "python3"),
}
# What a program prints, and nothing else could: it shows that its libraries and modules are there and fit.
PYTHON = """
import ssl, sqlite3, json
[answer] = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()
print(json.dumps({"answer": answer, "tls": ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED}))
"""
CALLS = {
    "bash": (["-c", 'printf "%s\\n" "$((6 * 7)) ${0^^}"', "bash"], "42 BASH\n"),
    "python3": (["-c", PYTHON], '{"answer": 42, "tls": true}\n'),
    "perl": (["-MPOSIX=floor", "-MData::Dumper", "-e", "print floor(42.5), $/"], "42\n"),
}
# Opens every file of the closure, as a user that owns none of them.
READ_STORE = """
import os
def walk(path):
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
        elif entry.is_file(follow_symlinks=False):
            open(entry.path, "rb").close()
            yield entry.path
modes = (oct(os.stat(path).st_mode & 0o7777) for path in ("/nix", "/nix/store"))
print(os.getuid(), *modes, len(list(walk("/nix"))) > 0)
"""

# The engine runc reads archives as OCI layouts and unpacks them slowly: that one image shows it all.
with_programs = pytest.mark.parametrize(
    ("engine", "image"),
    [case for name in PROGRAMS for case in engine_parameters(name, without=() if name == "bash-python" else ("runc",))],
    indirect=True,
)


@with_programs
@pytest.mark.parametrize("user", [None, "1000:1000"])
def test_runs_its_programs(loaded: Loaded, user: str | None) -> None:
    for program in PROGRAMS[loaded.image.name]:
        arguments, expected = CALLS[program]
        assert loaded.engine.run(loaded.references[0], [_path(loaded, program), *arguments], user=user) == expected


@with_programs
def test_any_user_reads_the_closure(loaded: Loaded) -> None:
    python = _path(loaded, "python3")
    output = loaded.engine.run(loaded.references[0], [python, "-c", READ_STORE], user="1000:1000")
    assert output == "1000 0o755 0o755 True\n"


@with_programs
def test_is_described_as_given(loaded: Loaded) -> None:
    [image] = loaded.archived
    found = loaded.engine.inspect(loaded.references[0])
    assert found.created == image.config["created"] == "1970-01-01T00:00:01Z"
    assert found.architecture == image.config["architecture"]
    assert _given(found.config) == _given(image.config.get("config", {}))
    assert found.diff_ids == image.diff_ids
    steps = [step.get("created_by", "") for step in image.config["history"]]
    assert [step.get("created_by", "") for step in found.history] == steps
    assert len(steps) == len(image.diff_ids) > 0


@with_programs
def test_has_the_name_of_its_value(loaded: Loaded) -> None:
    value = loaded.image.value
    assert value["imageRef"] == f"{value['imageName']}:{value['imageTag']}"
    assert [familiar(reference) for reference in loaded.references] == [value["imageRef"]]


@pytest.mark.parametrize("name", PROGRAMS)
def test_holds_what_its_value_says(images: Images, name: str) -> None:
    built = images.get(name)
    value = built.value
    [image] = read_images(built.archive)
    assert image.references == [value["imageRef"]]
    assert image.layer_diff_ids == image.diff_ids
    assert read_layout_names(built.archive) == [(f"docker.io/library/{value['imageRef']}", value["imageTag"])]
    assert image.config.get("config", {}) == value["config"]


def test_merged_image_says_what_its_parts_say(images: Images) -> None:
    [image] = read_images(images.build("merged"))
    command = images.value("just-python")["config"]["Cmd"]
    assert command
    assert image.config["config"]["Cmd"] == command


@pytest.mark.parametrize(("engine", "image"), engine_parameters("bundle", without=("runc",)), indirect=True)
def test_bundle_has_both_images(loaded: Loaded, images: Images) -> None:
    names = {images.value(name)["imageRef"]: name for name in ("hello", "bash")}
    references = {names[familiar(reference)]: reference for reference in loaded.references}
    assert loaded.engine.run(references["hello"], [_path(loaded, "hello")]).startswith("Hello, world!")
    arguments, expected = CALLS["bash"]
    assert loaded.engine.run(references["bash"], [_path(loaded, "bash"), *arguments]) == expected


@pytest.mark.parametrize(("engine", "image"), engine_parameters("bash-python"), indirect=True)
def test_what_an_engine_saves_is_the_image(loaded: Loaded, tmp_path: Path) -> None:
    saved = tmp_path / "saved.tar"
    loaded.engine.save(loaded.references[0], saved)
    _validate(saved)
    if loaded.engine.saves_config_as_loaded:
        [image] = read_images(saved)
        assert image.image_id == loaded.archived[0].image_id
        assert image.layer_diff_ids == loaded.archived[0].diff_ids
        need("skopeo")
        source, target = f"docker-archive:{saved}", f"dir:{tmp_path / 'copied'}"
        loaded.engine.namespace.run(["skopeo", "--insecure-policy", "copy", source, target])


@pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("crun", "runc")], indirect=True
)
def test_layout_is_copied_and_unpacked(engine: Layout, images: Images) -> None:
    layout = images.build("bash-python.oci")
    _validate(layout)
    reference = engine.load_layout(layout)
    arguments, expected = CALLS["python3"]
    assert engine.run(reference, ["/bin/python3", *arguments]) == expected


@pytest.mark.parametrize("name", [*PROGRAMS, "bundle"])
def test_own_archive_validates(images: Images, name: str) -> None:
    _validate(images.build(name))


@pytest.mark.parametrize("name", PROGRAMS)
def test_crane_validates(images: Images, name: str) -> None:
    if not suites_with("usr/bin/crane"):
        lack("no suite of .cache/suites has crane (it is in Debian sid)")
    crane = SUITES / suites_with("usr/bin/crane")[0] / "root/usr/bin/crane"
    subprocess.run([crane, "validate", "--tarball", images.build(name)], check=True)


def _path(loaded: Loaded, program: str) -> str:
    """Where an image has a program: what its command names, or a file that is visible at the root."""
    command = loaded.archived[0].config.get("config", {}).get("Cmd") or [""]
    return command[0] if Path(command[0]).name == program else f"/bin/{program}"


def _given(config: dict[str, Any]) -> dict[str, Any]:
    """What an image config says: some engines list all that it could say."""
    return {key: value for key, value in config.items() if value}


def _validate(image: Path) -> None:
    argv = [sys.executable, "-m", "dockertools_py", "validate", str(image)]
    result = subprocess.run(argv, cwd=SUITES.parents[1], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
