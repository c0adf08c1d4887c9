"""nixpkgs' functions in real engines: the scenarios of the NixOS test of its dockerTools, each by its name."""

import gzip
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.clients.archive import read_images
from tests.clients.conftest import Loaded
from tests.clients.engines.engine import Engine, familiar
from tests.clients.engines.errors import EngineError
from tests.clients.images import Images
from tests.clients.need import need

ENGINES = ("docker", "podman")
pytestmark = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ENGINES], indirect=True
)


class Dropin:
    """The images in an engine, by their name in dropin.nix: loaded when the first test asks, and kept."""

    def __init__(self, engine: Engine, outputs: Path, folder: Path) -> None:
        self.engine, self._outputs, self._folder = engine, outputs, folder
        self._references: dict[str, list[str]] = {}

    def archive(self, name: str) -> Path:
        """The uncompressed archive."""
        file = self._folder / f"{name}.tar"
        if not file.exists():
            data = (self._outputs / name).read_bytes()
            file.write_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        return file

    def references(self, name: str) -> list[str]:
        if name not in self._references:
            # Podman of Debian 12 takes no gzip outside.
            takes_gzip = self.engine.__class__.__name__ == "Docker"
            given = (self._outputs / name).resolve() if takes_gzip else self.archive(name)
            self._references[name] = self.engine.load(given)
        return self._references[name]

    def run(self, name: str, *argv: str, user: str | None = None) -> str:
        return self.engine.run(self.references(name)[0], argv, user=user)


@pytest.fixture(scope="module")
def dropin(
    engine: Engine, images: Images, holding: dict[Engine, Loaded], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dropin]:
    holding.pop(engine, None)
    engine.reset()
    yield Dropin(engine, images.build("dropin"), tmp_path_factory.mktemp("dropin"))


def test_registry_prefix_and_tag(dropin: Dropin) -> None:
    assert dropin.references("plain") == ["registry.example.org/team/plain:Tag-1.0"]


def test_quoting_in_scripts_and_chown_by_root(dropin: Dropin) -> None:
    """#34779"""
    assert dropin.run("plain") == "it is \"quoted\" $HOME \\n\n1 'and' 2\n1000 100\n"


def test_without_a_tag_it_is_a_hash_of_the_store(dropin: Dropin) -> None:
    (reference,) = map(familiar, dropin.references("with-store"))
    assert re.fullmatch(r"with-store:[a-z0-9]{32}", reference)


def test_two_layers_are_complete(dropin: Dropin) -> None:
    """#78744: all that has no layer of its own is in the one that is left."""
    (image,) = read_images(dropin.archive("with-store"))
    assert len(image.diff_ids) == 2
    assert dropin.run("with-store") == "Hello, world!\n"


def test_without_store_paths(dropin: Dropin) -> None:
    """The links are there, and lead to what somebody mounts."""
    assert dropin.run("without-store", "/bin/readlink", "/bin/hello").startswith("/nix/store/")
    with pytest.raises(EngineError):
        dropin.run("without-store")


def test_stable_date(dropin: Dropin) -> None:
    assert dropin.engine.inspect(dropin.references("plain")[0]).created.startswith("1970-01-01T00:00:01")


def test_unstable_date(dropin: Dropin) -> None:
    created = dropin.engine.inspect(dropin.references("now")[0]).created
    seconds = datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp()
    # This run evaluated it, so it is not older than the archive's evaluation by more than a run takes.
    assert abs(time.time() - seconds) < 24 * 3600
    assert dropin.run("now", "/bin/stat", "-c", "%Y", "/bin/busybox") == "1\n", "no date of an image is in its layers"


def test_layered_on_layered(dropin: Dropin) -> None:
    """Env without doubles; layers of the base below, in their order; the number of layers is what was asked for at the most."""
    base, child, sibling = (read_images(dropin.archive(name))[0] for name in ("base", "child", "sibling"))
    assert child.config["config"]["Env"] == ["A=1", "B=2", "PATH=/bin"]
    assert child.diff_ids[: len(base.diff_ids)] == base.diff_ids == sibling.diff_ids[: len(base.diff_ids)]
    assert len(base.diff_ids) < len(child.diff_ids) <= 5
    output = dropin.run("child", "/bin/sh", "-c", "cat /etc/child; echo $A$B; env | grep -c ^A=")
    assert output == "child\n12\n1\n"
    assert dropin.run("sibling", "/bin/cat", "/etc/sibling") == "sibling\n"


@pytest.mark.parametrize("name", ["nix-plain", "nix-layered"])
def test_nix_in_a_container_knows_its_store(dropin: Dropin, name: str) -> None:
    """`nix-store --verify --check-contents` reads every file; the closure in there is that of out here."""
    checked = dropin.run(name, "/bin/bash", "-c", "nix-store --verify --check-contents 2>&1; echo $?")
    lines = [line for line in checked.splitlines() if not line.startswith(("reading", "checking"))]
    assert lines == ["0"]
    inside = dropin.run(name, "/bin/bash", "-c", "nix-store -qR $(realpath /bin/nix-store | cut -d/ -f1-4)").split()
    outside = subprocess.run(
        ["nix-store", "-qR", inside[-1]], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(inside) == set(outside) and "-nix-2" in inside[-1]
    count = dropin.run(name, "/bin/bash", "-c", "ls /nix/store | wc -l; ls -d /nix/store/*hello* 2>/dev/null | wc -l")
    assert int(count.split()[0]) > 10 and int(count.split()[1]) == (name == "nix-layered")


def test_the_store_is_open_to_any_user(dropin: Dropin) -> None:
    """#38835, #94243"""
    output = dropin.run("child", "/bin/sh", "-c", "stat -c %a /nix /nix/store; cat /etc/child; id -u", user="1000:1000")
    assert output == "755\n755\nchild\n1000\n"


def test_another_architecture(dropin: Dropin) -> None:
    assert dropin.engine.inspect(dropin.references("arm")[0]).architecture == "arm64"


def test_a_user_that_is_not_root(dropin: Dropin) -> None:
    """#116749: what was given away stays so; #257172: certificates and users are there."""
    script = "id -u; pwd; stat -c '%a %u' .; touch here && ls; wc -l < /etc/passwd; grep -c BEGIN /etc/ssl/certs/ca-bundle.crt"
    lines = dropin.run("users", "/bin/sh", "-c", script).splitlines()
    assert lines[:5] == ["1000", "/home/app", "700 1000", "here", "3"]
    assert int(lines[5]) > 50


def test_fakechroot(dropin: Dropin) -> None:
    """#268458"""
    assert dropin.run("fakechroot") == "in the root\n5 6\n"


def test_a_store_path_that_is_a_link_stays_one(dropin: Dropin) -> None:
    """#107021"""
    script = "for p in /nix/store/*-link; do test -L $p && readlink $p; cat $p/dir/target; done; cat /dir/target"
    lines = dropin.run("symlink", "/bin/sh", "-c", script).splitlines()
    assert lines[0].startswith("/nix/store/") and lines[1:] == ["the target", "the target"]


def test_nix_shell(dropin: Dropin) -> None:
    assert dropin.run("nix-shell") == "hello yes /build\nhello\n"


def test_minimal_root(dropin: Dropin) -> None:
    """#257172, nix #5851"""
    script = "stat -c '%a %u' /tmp /var/empty; test -s /etc/ssl/certs/ca-bundle.crt; /usr/bin/env true; echo > /tmp/x; echo $?"
    assert dropin.run("minimal", "/bin/sh", "-c", script, user="1000:1000") == "1777 0\n555 0\n0\n"


ETC = """\
motd 777 0:0 /etc/static/motd
app 755 0:0
app/conf.d 755 0:0
app/conf.d/one 777 0:0 /etc/static/app/conf.d/one
app/key 440 1000:7
localtime 777 0:0 ../usr/share/zoneinfo/UTC
/nix/store/HASH-etc/etc
welcome
one
secret
engines put their own hosts in place
app:
conf.d
key

app/conf.d:
one
"""


@pytest.mark.parametrize("name", ["etc-plain", "etc-layered"])
def test_etc_is_filled_as_NixOS_does(dropin: Dropin, name: str) -> None:
    """By a program that a script runs as root; the store paths that its links lead to come along."""
    shown = re.sub(r"/nix/store/[a-z0-9]{32}-", "/nix/store/HASH-", dropin.run(name))
    assert [line.rstrip() for line in shown.splitlines()] == ETC.splitlines()


def test_merged_images_of_several_compressors(dropin: Dropin) -> None:
    names = sorted(map(familiar, dropin.references("merged")))
    assert names[:2] == ["one:1", "three:3"] and re.fullmatch(r"two:[a-z0-9]{32}", names[2])
    for reference in dropin.references("merged"):
        assert dropin.engine.run(reference, ["/bin/echo", "runs"]) == "runs\n"


def test_skopeo_reads_what_is_compressed_as_a_whole(dropin: Dropin) -> None:
    need("skopeo")
    source = f"docker-archive:{dropin.archive('child')}"
    found = subprocess.run(["skopeo", "inspect", "--config", source], capture_output=True, text=True, check=True).stdout
    assert '"B=2"' in found
