"""Podman and containerd as programs: what is made of their words, and what becomes of an archive that nobody wants."""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from dockertools_py.engines.containerd import Containerd
from dockertools_py.engines.engine import Refused, Write
from dockertools_py.engines.loading import plan
from dockertools_py.engines.podman import WORTH_SEARCHING, Podman
from dockertools_py.engines.programs import answer, ask, feed
from dockertools_py.engines.record import Record
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from tests.engines.loaded import image, layer, wanted

Script = Callable[[str], list[str]]
A = Reference("app", "1")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A program with that text."""

    def make(text: str) -> list[str]:
        (tmp_path / "program").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "program").chmod(0o755)
        return [str(tmp_path / "program")]

    return make


def archive(size: int) -> Callable[[Write], None]:
    def write(take: Write) -> None:
        for _ in range(size >> 16):
            take(bytes(1 << 16))

    return write


def test_what_the_machine_of_an_engine_runs(script: Script) -> None:
    """Podman's may be elsewhere, by CONTAINER_HOST, and a node of kind where its Docker is."""
    podman = Podman(script('[ "$*" = "info --format {{.Host.Arch}}" ] && echo arm64'))
    assert str(podman.platform()) == "linux/arm64"
    here = Platform.of_machine(os.uname().machine)
    assert Containerd(["ctr"], "containerd").platform() == here
    assert str(Containerd(["ctr"], "kind node", machine_command=script("echo aarch64")).platform()) == "linux/arm64"


def test_what_containerd_does_not_take_is_not_sent(script: Script, tmp_path: Path) -> None:
    made = replace(wanted(image(layer(tmp_path, "a")), "app:1"), platform=Platform("s390x"))
    node = Containerd(["ctr"], "kind node", machine_command=script("echo aarch64"))
    with pytest.raises(DockertoolsError, match=r"^kind node: takes images for linux/arm64, and this one is for linux/s390x: "):
        plan(node, made)
    other = Containerd(script("true"), "kind node", machine_command=["echo", "s390x"])
    assert other.lacks(A, made) == "there is no image of that name"


def test_an_archive_goes_through_whole(script: Script, tmp_path: Path) -> None:
    feed(script(f"cat > {tmp_path}/got"), archive(3 << 20))
    assert (tmp_path / "got").stat().st_size == 3 << 20


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat > /dev/null; echo one; echo two >&2; exit 3", "one; two"),
        ("cat > /dev/null; exit 3", "exit code 3"),
        ("head -c 100000 > /dev/null; echo enough; exit 1", "enough"),
        ("head -c 100000 > /dev/null; exit 0", "exit code 0"),  # it ended well, and did not read all of it
        ("seq 1000; exit 1", "; 999; 1000"),
    ],
)
def test_an_archive_that_is_refused(script: Script, text: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        feed(script(text), archive(8 << 20))
    assert str(caught.value).endswith(words)
    assert len(str(caught.value)) <= 1000


def test_a_program_ends_with_the_archive_that_cannot_be_made(script: Script, tmp_path: Path) -> None:
    def write(take: Write) -> None:
        take(bytes(100_000))
        raise DockertoolsError("gone")

    with pytest.raises(DockertoolsError, match="gone"):
        feed(script(f"trap 'touch {tmp_path}/ended; exit 1' TERM; exec 3<&0; cat <&3 > {tmp_path}/got & wait"), write)
    assert (tmp_path / "ended").exists()


def test_a_program_that_will_not_end_is_made_to(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockertools_py.engines.programs.TERMINATED_SECONDS", 0.2)

    def write(take: Write) -> None:
        time.sleep(0.2)  # until the shell overlooks the signal
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feed(script("trap '' TERM; exec sleep 600"), write)


def test_output_is_bounded(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockertools_py.engines.programs.MAX_OUTPUT", 1000)
    with pytest.raises(DockertoolsError, match="more than 1000 bytes of output"):
        ask(script("seq 1000"))


def test_a_program_that_fails_says_why(script: Script) -> None:
    with pytest.raises(DockertoolsError, match=r"program x: no; really$"):
        answer([*script("echo no >&2; echo really >&2; exit 1"), "x"])
    with pytest.raises(DockertoolsError, match=r"program x: exit code 4$"):
        answer([*script("exit 4"), "x"])
    with pytest.raises(DockertoolsError, match="no program /absent/ctr is on PATH"):
        answer(["/absent/ctr"])


HEADER = "echo REF TYPE DIGEST STATUS SIZE UNPACKED;"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("", "there is no image of that name"),
        ("echo docker.io/library/app:1 t {} 'complete (3/3)' 1.9 MiB/1.9 MiB true", None),
        ("echo docker.io/library/app:1 t {} 'complete (3/3)' 1.9 MiB/1.9 MiB false", "it is not unpacked"),
        (
            "echo docker.io/library/app:1 t {} 'incomplete (2/3)' 1 KiB/1.9 MiB false",
            "it is not complete: incomplete (2/3) 1 KiB/1.9 MiB",
        ),
        ("echo docker.io/library/app:1 t sha256:0 'complete (3/3)' 1 B/1 B true", "that name has another image, sha256:0"),
    ],
)
def test_what_ctr_says_of_an_image(script: Script, tmp_path: Path, row: str, problem: str | None) -> None:
    made = wanted(image(layer(tmp_path, "a")), "app:1")
    engine = Containerd(script(HEADER + row.format(made.manifest)), "containerd")
    assert engine.lacks(A, made) == problem
    assert engine.elsewhere(made) == ("docker.io/library/app:1" if problem is None or "another" in problem else None)


def test_nonsense_of_ctr(script: Script, tmp_path: Path) -> None:
    made = wanted(image(layer(tmp_path, "a")), "app:1")
    with pytest.raises(DockertoolsError, match="containerd: no line of `ctr images check`: what is this"):
        Containerd(script(HEADER + "echo what is this"), "containerd").lacks(A, made)
    assert Containerd(script("seq 100; printf '\\377'"), "containerd").held(made).layers == {}


def test_what_podman_says(script: Script, tmp_path: Path) -> None:
    made = wanted(image(layer(tmp_path, "a"), layer(tmp_path, "b")), "app:1")
    a = str(made.diff_ids[0])
    name = A.normalised()

    def said(*images: tuple[str, list[str]]) -> tuple[str | None, str | None]:
        output = json.dumps([{"Id": image_id, "RepoTags": names} for image_id, names in images])
        podman = Podman(script(f"[ \"$*\" = 'image inspect {name} {made.image_id.hex}' ] && echo '{output}'"))
        return podman.lacks(A, made), podman.elsewhere(made)

    own, none = made.image_id.hex, "there is no image of that name"
    assert said((own, [name, "localhost/other:1"])) == (None, own)
    assert said((own, ["localhost/other:1"])) == (none, own)
    assert said((own, [])) == (none, own)
    assert said(("5", [name])) == ("that name has another image, 5", None)
    assert said(("5", [name]), (own, ["localhost/other:1"])) == ("that name has another image, 5", own)
    assert said() == (none, None)
    unknown = "echo '[]'; echo 'Error: inspecting object: app:1: image not known' >&2; exit 125"
    assert Podman(script(unknown)).lacks(A, made) == "there is no image of that name"
    odd: list[object] = [3, {"RootFS": []}, {"RootFS": {"Layers": 3}, "RepoTags": 3}]
    listed = json.dumps([*odd, {"Id": "5", "RepoTags": 3, "RootFS": {"Layers": [a, 7, [], {}]}}])
    held = Podman(script(f"if [ \"$1\" = images ]; then echo 5; else echo '{listed}'; fi")).held(made)
    assert held.layers == {Digest.parse(a): "in 5"}
    assert Podman(script("true")).held(made).layers == {}
    for text in ("echo storage is locked >&2; exit 125", "echo '[]'; echo storage is locked >&2; exit 125"):
        with pytest.raises(DockertoolsError, match="podman image inspect: storage is locked"):
            Podman(script(text)).lacks(A, made)
    with pytest.raises(DockertoolsError, match="no list of images came"):
        Podman(script("echo '{}'")).lacks(A, made)


def test_podman_is_asked_for_the_images_that_it_had_last(script: Script, tmp_path: Path) -> None:
    base, record = layer(tmp_path, "base"), Record(tmp_path / "cache")
    made = wanted(image(base, layer(tmp_path, "new")), "app:2")
    ids = [Digest.of(bytes([number])) for number in range(4)]
    for number, image_id in enumerate(ids):
        record.add(image_id)
        os.utime(tmp_path / "cache" / image_id.hex, (number, number))
    layers = {"RootFS": {"Layers": [str(base.diff_id)]}, "RepoTags": ["localhost/app:1"]}
    calls = tmp_path / "calls"

    def asked(size_of_the_rest: int, *known: Digest) -> tuple[Mapping[Digest, str], list[str]]:
        """What is held, and all that was asked."""
        calls.write_text("")
        answers = "".join(f"*{one.hex}*) echo '{json.dumps([{'Id': one.hex, **layers}])}';;\n" for one in known)
        program = f'echo $* >> {calls}\ncase "$*" in images*) echo 9;;\n{answers}*) echo "[]";;\nesac'
        podman = Podman(script(program), record)
        whole = [replace(one, size=size_of_the_rest) if one is not made.layers[0] else one for one in made.layers]
        assert podman.lacks(A, made) == "there is no image of that name"
        assert podman.elsewhere(made) is None
        return podman.held(replace(made, layers=tuple(whole))).layers, calls.read_text().splitlines()

    first = f"image inspect {A.normalised()} {made.image_id.hex} {ids[3].hex} {ids[2].hex}"
    every = ["images --all --quiet --no-trunc", "image inspect 9"]
    assert asked(1000, ids[3]) == ({base.diff_id: "in localhost/app:1"}, [first])
    assert asked(1000, ids[2]) == ({base.diff_id: "in localhost/app:1"}, [first])
    assert asked(WORTH_SEARCHING, ids[3]) == ({}, [first, *every]), "so much may be somewhere else"
    assert asked(1000, ids[1]) == ({}, [first]), "it is sent sooner than looked for"
    assert asked(WORTH_SEARCHING, ids[1]) == ({}, [first, *every])


def test_a_damaged_image_is_no_matter_of_another_one(script: Script, tmp_path: Path) -> None:
    made, record, damaged = wanted(image(layer(tmp_path, "a")), "app:1"), Record(tmp_path / "cache"), Digest.of(b"5")
    record.add(damaged)
    there = json.dumps([{"Id": made.image_id.hex, "RepoTags": [A.normalised()]}])
    program = script(f"case \"$*\" in *{damaged.hex}*) echo layer is damaged >&2; exit 125;; *) echo '{there}';; esac")
    assert Podman(program, record).lacks(A, made) is None
    assert record.newest()[0] == made.image_id


def test_nothing_is_left_open(script: Script) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for text in ("cat > /dev/null", "exit 1"):
        with suppress(Refused):
            feed(script(text), archive(1 << 20))
        ask(script(text))
    assert len(os.listdir("/proc/self/fd")) == before
