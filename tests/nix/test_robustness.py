"""Odd names, large closures, and what happens when a build is killed, a disk is full, or a store path was altered."""

import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix
from tests.nix.building import Build, Outputs, copy_to, evaluate
from tests.nix.opened import Layer, lines, open_image, open_tar

pytestmark = pytest.mark.xdist_group("nix-robustness")

HERE = Path(__file__).parent

# --- names of any bytes

ODD = f"""
  odd = derivation {{
    name = "odd"; builder = "${{python3}}/bin/python3"; args = [ "-IB" {HERE}/odd_tree.py ];
    inherit (python3) system;
  }};
"""


@pytest.fixture(scope="module")
def odd(build_all: Build) -> Outputs:
    expressions = {
        "tree": "odd",
        "layers": 'build { name = "x"; tag = "1"; layers = [ odd ]; compressor = "none"; }',
        "links": 'build { name = "x"; tag = "1"; contents = [ odd ]; }',
        "copies": 'build { name = "x"; tag = "1"; copyToRoot = odd; }',
        "script": 'build { name = "x"; tag = "1"; copyToRoot = odd; extraCommands = ":"; }',
        "tarball": 'mkTarball { drv = odd; compressor = "none"; }',
    }
    return build_all(expressions, ODD)


def on_disk(top: Path) -> dict[bytes, tuple[str, bytes | int]]:
    """name -> kind, and content or target; names are relative, of any bytes."""
    found: dict[bytes, tuple[str, bytes | int]] = {}
    root = os.fsencode(top)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = folder + b"/" + name
            relative = path[len(root) + 1 :]
            if os.path.islink(path):
                found[relative] = "link", os.readlink(path)
            elif os.path.isdir(path):
                found[relative] = "directory", b""
            else:
                found[relative] = (
                    "program" if os.stat(path).st_mode & 0o100 else "file",
                    Path(os.fsdecode(path)).read_bytes(),
                )
    return found


def in_tar(data: bytes, prefix: str = "") -> dict[bytes, tuple[str, bytes | int]]:
    """The same of what a tar has below `prefix`, read by `tarfile`."""
    found: dict[bytes, tuple[str, bytes | int]] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            if not member.name.startswith(prefix):
                continue
            name = os.fsencode(member.name[len(prefix) :])
            if member.issym():
                found[name] = "link", os.fsencode(member.linkname)
            elif member.isdir():
                found[name] = "directory", b""
            else:
                file = tar.extractfile(member)
                assert file is not None
                found[name] = "program" if member.mode & 0o100 else "file", file.read()
    return found


def store_prefix(layer: Layer) -> str:
    (path,) = (name for name in layer.names if re.fullmatch(r"nix/store/[^/]*-odd", name))
    return path + "/"


def test_odd_names_in_the_store(odd: Outputs) -> None:
    expected = on_disk(odd["tree"])
    assert len(expected) > 90 and max(map(len, expected)) > 2000
    (layer,) = open_image(odd["layers"]).layers
    assert in_tar(layer.tar, store_prefix(layer)) == expected
    tarball = open_tar(odd["tarball"])
    assert in_tar(tarball.tar, store_prefix(tarball)) == expected


@pytest.mark.parametrize("form", ["copies", "script"])
def test_odd_names_copied(odd: Outputs, form: str) -> None:
    image = open_image(odd[form])
    assert in_tar(image.layers[-1].tar) == on_disk(odd["tree"])


def test_odd_names_linked(odd: Outputs) -> None:
    top = os.fsencode(odd["tree"])
    expected = {
        name: (kind, b"") if kind == "directory" else ("link", top + b"/" + name)
        for name, (kind, _) in on_disk(odd["tree"]).items()
    }
    assert in_tar(open_image(odd["links"]).layers[-1].tar) == expected


def test_odd_names_are_unpacked_by_tar(odd: Outputs, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", odd["tarball"], "-C", tmp_path], check=True)
    (path,) = (tmp_path / "nix/store").glob("*-odd")
    assert on_disk(path) == on_disk(odd["tree"])
    subprocess.run(["chmod", "-R", "u+w", tmp_path], check=True)


# --- a large closure


def test_a_closure_of_five_thousand_store_paths(nix: Nix, build_all: Build) -> None:
    prelude = """
      node = n: builtins.toFile "n${toString n}" (builtins.concatStringsSep "\\n" (map node (below n)));
      below = n: builtins.filter (i: i < 5000) (builtins.genList (i: 18 * n + i + 1) 18);
      many = node 0;
    """
    built = build_all({"many": 'build { name = "many"; tag = "1"; layers = [ many ]; }'}, prelude)
    image = open_image(built["many"])
    assert len(image.all_store_paths) == 5000
    assert len(image.layers) < 20


# --- killed


def descendants(pid: int) -> list[int]:
    """All processes below a process, which live."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 60) -> bool:
    """Whether it came true while the process was running."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return False


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts nix-store builds of a derivation, whose words are in `log`; whatever is left of them is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(derivation: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("wb") as log:
            command = ["nix-store", "--realise", derivation]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        below = descendants(process.pid)
        process.kill()
        kill(below)
        process.wait()


def is_valid(nix: Nix, path: str) -> bool:
    return nix.run("nix-store", "--check-validity", path, check=False).returncode == 0


@pytest.mark.parametrize("whom", ["nix", "builder"])
@pytest.mark.parametrize(("argument", "kind"), [("extraCommands", "root"), ("runAsRoot", "script")])
def test_killed_while_a_script_runs(
    nix: Nix,
    builds: Callable[[str], subprocess.Popen[bytes]],
    salt: str,
    tmp_path: Path,
    argument: str,
    kind: str,
    whom: str,
) -> None:
    expression = f'build {{ name = "x"; tag = "1"; {argument} = "mkdir {salt}; echo begun; sleep 120"; }}'
    derivation, out = evaluate(nix, {"x": expression})["x"]
    process = builds(derivation)
    assert wait_for(lambda: b"begun" in (tmp_path / "log").read_bytes(), process)
    below = descendants(process.pid)
    assert below
    if whom == "nix":
        process.kill()
    kill(below)
    assert process.wait(timeout=120) != 0
    requisites = nix.run("nix-store", "--query", "--requisites", derivation).stdout.split()
    (layer,) = (path for path in requisites if path.endswith(f"-{kind}-layer.drv"))
    (left,) = nix.run("nix-store", "--query", "--outputs", layer).stdout.split()
    assert not is_valid(nix, left) and not is_valid(nix, out) and not Path(out).exists()
    assert not (Path(left) / "layers.json").exists(), "what is left does not look whole"


def test_killed_while_an_archive_is_written(
    nix: Nix, builds: Callable[[str], subprocess.Popen[bytes]], salt: str
) -> None:
    image = 'build { name = "NAME"; tag = "1"; layers = [ python3 ]; compressor = "none"; }'
    nix.build(f"({image.replace('NAME', 'x')}).description")
    for attempt in range(8):
        name = f"k{salt}{attempt}"
        derivation, out = evaluate(nix, {"x": image.replace("NAME", name)})["x"]
        file = Path(out).name

        def begun(file: str = file, derivation: str = derivation) -> bool:
            # Nix 2.8, and later versions
            roots = (f"{derivation}.chroot/nix/store", f"{derivation}.chroot/root/nix/store", "/nix/store")
            return any(path.exists() and path.stat().st_size > 0 for path in (Path(root) / file for root in roots))

        process = builds(derivation)
        if not wait_for(begun, process):
            continue
        below = descendants(process.pid)
        process.kill()
        kill(below)
        process.wait()
        if is_valid(nix, out):
            continue  # it was faster than we
        nix.run("nix-store", "--realise", derivation)
        assert open_image(Path(out)).names == [f"{name}:1"]
        return
    pytest.fail("never killed in time")


# --- a full disk


def test_a_full_disk_is_said_in_one_line(nix: Nix) -> None:
    stream = nix.build('(build { name = "x"; tag = "1"; layers = [ bash ]; }).stream')
    with open("/dev/full", "wb") as full:
        done = subprocess.run([stream], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    (line,) = lines(done.stderr)
    assert line == "dockertools-py stream: no space left on the device; free some, or write elsewhere"


def test_a_full_disk_leaves_no_file(nix: Nix, tmp_path: Path) -> None:
    need_root()
    description = nix.build('(build { name = "x"; tag = "1"; layers = [ bash ]; }).description')
    script = 'mount -t tmpfs -o size=256k none "$1" && ! "$2" -m dockertools_py archive "$3" -t x:1 -o "$1/x.tar" && ls -A "$1"'
    done = nix.run("unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), sys.executable, str(description))
    assert done.stdout == ""
    (line,) = lines(done.stderr)
    assert line.startswith("dockertools-py archive: no space left on the device")


def test_a_reader_that_goes_is_said_in_one_line(nix: Nix) -> None:
    stream = nix.build('(build { name = "x"; tag = "1"; layers = [ bash ]; }).stream')
    with subprocess.Popen([stream], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1000)
        process.stdout.close()
        (line,) = lines(process.stderr.read().decode())
    assert process.returncode == 1
    assert line == "dockertools-py stream: the reader of our output has gone before its end"


# --- altered


def test_a_store_path_altered_after_it_was_described(nix: Nix, store: Path) -> None:
    """In a store of its own: what was described is not what is there, and no archive comes of it."""
    expression = (
        'build { name = "x"; tag = "1"; layers = [ (builtins.toFile "text" "as described") ]; compressor = "none"; }'
    )
    derivation, out = evaluate(nix, {"x": expression})["x"]
    description, _ = evaluate(nix, {"x": f"({expression}).description"})["x"]
    requisites = nix.run("nix-store", "--query", "--requisites", derivation).stdout.split()
    (program,) = (path for path in requisites if path.endswith("-dockertools-py-builder.drv"))
    copy_to(store, *nix.run("nix-store", "--realise", program, description).stdout.split())
    copy_to(store, *nix.run("nix-store", "--realise", *python_of(nix, program)).stdout.split())
    copy_to(store, "--derivation", derivation)
    (text,) = (store / "nix/store").glob("*-text")
    text.chmod(0o644)
    text.write_text("as altered..")
    text.chmod(0o444)
    done = nix.run("nix-store", "--store", str(store), "--realise", derivation, check=False)
    assert done.returncode != 0 and not (store / out[1:]).exists()
    (line,) = (line for line in lines(done.stderr) if line.startswith("dockertools-py"))
    assert re.fullmatch(
        r"dockertools-py derivation: layer [0-9a-f]{12} \(store: text\): not the bytes that were described; "
        r"changed since then: one of /nix/store/\w+-text: sha256:\w+, but sha256:\w+ was expected",
        line,
    )


def python_of(nix: Nix, program: str) -> list[str]:
    references = nix.run("nix-store", "--query", "--references", program).stdout.split()
    return [path for path in references if re.search(r"-python3-[0-9.]+\.drv$", path)]
