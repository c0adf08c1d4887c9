"""Images on top of images that other programs made: they keep all of these, add ours, and every engine runs them."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.clients.archive import plain, read_layout_names, read_stored
from tests.clients.available import ENGINES as ALL_ENGINES
from tests.clients.available import SUITES, suites_with
from tests.clients.bases import DEBIAN, DEBIAN_OCI, SMALL, Bases
from tests.clients.engines.engine import Engine
from tests.clients.engines.layout import Layout
from tests.clients.foreign import ENV, FILES, LABEL
from tests.clients.need import lack
from tests.conftest import Nix
from tests.nix.building import Outputs, evaluate

# The script puts something at /bin and /etc, a file in the place of a directory, and the reverse.
CHILD = """
build {
  name = "child-%s";
  tag = "1";
  fromImage = %s;
  contents = [ %s ];
  layers = [ bash ];
  extraCommands = ''
    printf '#!${bash}/bin/bash\\necho "put by a script"\\n' > bin/ours
    chmod 755 bin/ours
    mkdir -p etc opt/file
    echo "put beside" > etc/ours
    echo "a file in a directory" > opt/file/inside
    echo "a file" > opt/directory
  '';
  config = { Env = [ "OURS=1" ]; Labels."org.example.child" = "yes"; };
  compressor = "%s";
}
"""
OF_OURS = "hello\n/bin/ours\nput by a script\nput beside\na file in a directory\na file\n"
SHOW_OURS = "/bin/hello -g hello; echo /bin/ours; /bin/ours; cat /etc/ours /opt/file/inside /opt/directory"
HIDDEN = ("opt/directory", "opt/file", "opt/removed", "opt/emptied/file")
KEPT = {name.rstrip("/"): entry for name, entry in FILES.items() if not name.rstrip("/").startswith(HIDDEN)}
SHOW_BASE = f"""
for link in /bin /opt/link /opt/absolute; do readlink $link; done
cd / && stat -c '%a %u:%g %n' {" ".join(KEPT)}
ls -A /opt/emptied
test ! -e /opt/removed && cat /opt/changed /etc/group
"""
OF_BASE = "usr/bin\ndirectory\n/etc/passwd\n"
OF_BASE += "".join(f"{mode:o} {uid}:{gid} {name}\n" for name, (mode, uid, gid, _) in KEPT.items())
OF_BASE += f"changed\n{FILES['etc/group'][3].decode()}"

# Its sh stays dash, no package is broken, and all files of all packages have their checksums still.
SHOW_DEBIAN = """
readlink /bin; readlink /bin/sh; echo $WHO $OURS
dpkg -l dpkg | grep -o '^ii  dpkg'; dpkg --audit; dpkg --verify
stat -c '%a %U:%G %n' /etc /etc/shadow /tmp /var/tmp /var/mail /root
"""
OF_DEBIAN = """\
usr/bin
dash
debian 1
ii  dpkg
755 root:root /etc
640 root:shadow /etc/shadow
1777 root:root /tmp
1777 root:root /var/tmp
2775 root:mail /var/mail
700 root:root /root
"""

ENGINES = ("docker", "podman", "containerd", "crun")
NEWER = tuple(name for name in ALL_ENGINES if name.startswith(("docker-", "containerd-")))
SOME = ("docker.tar", "podman-oci-archive.tar", "skopeo-oci-zstd")
"""For the newer engines one base of each kind: they read what the older ones read."""


def with_engines(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    parameters = [pytest.param(*pair, marks=pytest.mark.xdist_group(pair[0])) for pair in pairs]
    return pytest.mark.parametrize(("engine", "base"), parameters, indirect=["engine"])


# Docker 20.10 reads no zstd.
with_engine = with_engines(
    *((engine, base) for engine in ENGINES for base in SMALL if (engine, base) != ("docker", "skopeo-oci-zstd")),
    *((engine, base) for engine in NEWER for base in SOME),
)
with_debian = with_engines(
    ("docker", DEBIAN), ("containerd", DEBIAN), ("podman", DEBIAN_OCI), *((engine, DEBIAN_OCI) for engine in NEWER)
)
with_each_engine = pytest.mark.parametrize(
    "engine", [pytest.param(engine, marks=pytest.mark.xdist_group(engine)) for engine in ENGINES], indirect=True
)


@dataclass(frozen=True)
class Built:
    """The archives of images on top of bases, by the names of these."""

    outputs: Outputs
    bases: dict[str, Path]


def build(nix: Nix, expressions: dict[str, str]) -> Outputs:
    """What the expressions come to, with one evaluation and one build."""
    paths = evaluate(nix, expressions)
    nix.run("nix-store", "--realise", "--keep-going", *sorted({path for path, _ in paths.values()}), check=False)
    return Outputs(paths)


@cache
def stored(image: Path) -> tuple[dict[str, Any], list[bytes]]:
    return read_stored(image)


def child(name: str, base: Path, contents: str) -> str:
    """An image on top of a base. Its layers are compressed if those of the base are, as crane wants it."""
    lowest = stored(base)[1][0]
    return CHILD % (name, base, contents, "none" if plain(lowest) == lowest else "gz")


@pytest.fixture(scope="session")
def children(nix: Nix) -> Built:
    found = {name: Bases().get(name) for name in SMALL}
    expressions = {name: child(name.partition(".")[0], base, "hello bash") for name, base in found.items()}
    expressions["layout"] = f"({expressions['docker.tar']}).oci"
    part = f'(build {{ name = "part-%s"; fromImage = {found["docker.tar"]}; contents = [ (%s) ]; }})'
    parts = part % ("1", "hello"), part % ("2", 'writeTextDir "etc/second" "of the second\\n"')
    expressions["merged"] = f'mergeImages {{ name = "merged"; tag = "1"; images = [ {" ".join(parts)} ]; }}'
    return Built(build(nix, expressions), found)


@pytest.fixture(scope="session")
def debians(nix: Nix) -> Outputs:
    return build(nix, {name: child("debian", Bases().get(name), "hello") for name in (DEBIAN, DEBIAN_OCI)})


@pytest.mark.parametrize("base", SMALL)
def test_has_the_layers_of_its_base(children: Built, base: str) -> None:
    config, layers = stored(children.bases[base])
    child, child_layers = stored(children.outputs[base])
    count = len(layers)
    assert child["rootfs"]["diff_ids"][:count] == config["rootfs"]["diff_ids"]
    assert len(child["rootfs"]["diff_ids"]) == len(child_layers) > count
    assert child_layers[:count] == layers
    assert any(b".wh.removed\0" in plain(layer) for layer in child_layers[:count])
    assert read_layout_names(children.outputs[base])


@pytest.mark.parametrize("base", SMALL)
def test_has_config_and_history_of_its_base(children: Built, base: str) -> None:
    config, layers = stored(children.bases[base])
    child, child_layers = stored(children.outputs[base])
    # Docker writes what is not set as null.
    theirs = {key: value for key, value in config["config"].items() if value is not None}
    assert (ENV in theirs["Env"], LABEL in theirs["Labels"], theirs["User"]) == (True, True, "1000:1000")
    if base.startswith(("docker", "skopeo-docker", "buildah-docker")):  # the OCI spec has none
        assert theirs["Healthcheck"]["Interval"] == 7_000_000_000
    labels = theirs["Labels"] | {"org.example.child": "yes"}
    assert child["config"] == theirs | {"Env": [*theirs["Env"], "OURS=1"], "Labels": labels}
    assert child["history"][: len(config["history"])] == config["history"]
    assert len(child["history"]) == len(config["history"]) + len(child_layers) - len(layers)


@with_engine
def test_runs(empty_engine: Engine, children: Built, base: str) -> None:
    [reference] = empty_engine.load(children.outputs[base])
    # The command of the base, as its user, in its directory, with its environment.
    assert empty_engine.run(reference) == "1000\n/home/alice\nbase\n"
    script = f"set -e{SHOW_BASE}{SHOW_OURS}"
    script += "; /bin/bash -c 'echo $OURS ${WHO^^}'"
    output = empty_engine.run(reference, ["/bin/busybox", "sh", "-c", script], user="0:0")
    assert output == OF_BASE + OF_OURS + "1 BASE\n"


@with_each_engine
def test_images_with_one_foreign_base_are_merged(empty_engine: Engine, children: Built) -> None:
    config, _ = stored(children.bases["docker.tar"])
    merged, layers = stored(children.outputs["merged"])
    theirs = config["rootfs"]["diff_ids"]
    ours = merged["rootfs"]["diff_ids"]
    assert ours[: len(theirs)] == theirs
    assert len(set(ours)) == len(ours) == len(layers)
    [reference] = empty_engine.load(children.outputs["merged"])
    assert empty_engine.run(reference, ["/bin/sh", "-c", "hello -g $WHO; cat /etc/second"]) == "base\nof the second\n"


@with_debian
def test_debian_stays_a_debian(empty_engine: Engine, debians: Outputs, base: str) -> None:
    [reference] = empty_engine.load(debians[base])
    found = empty_engine.run(reference, ["/bin/sh", "-c", f"set -e{SHOW_DEBIAN}{SHOW_OURS}"])
    assert found == OF_DEBIAN + OF_OURS


@pytest.mark.parametrize("engine", [pytest.param("crun", marks=pytest.mark.xdist_group("crun"))], indirect=True)
def test_skopeo_and_umoci_take_a_layout(engine: Layout, children: Built) -> None:
    assert engine.run(engine.load_layout(children.outputs["layout"]), ["/bin/ours"]) == "put by a script\n"


@pytest.mark.parametrize("base", [name for name in SMALL if not name.endswith("-zstd")] + ["merged"])
def test_crane_validates(children: Built, base: str) -> None:
    """But not of layers in zstd, which it does not read in an archive."""
    if not suites_with("usr/bin/crane"):
        lack("no suite of .cache/suites has crane (it is in Debian sid)")
    crane = SUITES / suites_with("usr/bin/crane")[0] / "root/usr/bin/crane"
    subprocess.run([crane, "validate", "--tarball", children.outputs[base]], check=True)
