"""What goes wrong for a user: exit code 1, one line that says it, nothing half written, nothing left behind."""

import errno
import gzip
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.formats.images import description
from tests.oracle.image import Handmade, encode, layer_of, write_tar
from tests.oracle.programs import CHECKOUT, dockertools, lack, need

PROGRAM = [sys.executable, "-m", "dockertools_py"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return description(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 48 MB in two layers: more than any pipe or small disk holds."""
    return description(tmp_path_factory.mktemp("large"), size=24 << 20, random=True)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 4 MB."""
    if os.geteuid() != 0:
        lack("only root mounts a small disk")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False
        )
        if done.returncode:
            lack("no tmpfs can be mounted here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def failure(*arguments: object, **options: object) -> str:
    """The one line on standard error, without the program's name."""
    done = dockertools(*arguments, **options)
    assert done.returncode == 1, done
    assert not done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    prefix = f"dockertools-py {arguments[0]}: "
    assert done.stderr.startswith(prefix)
    return done.stderr.removeprefix(prefix).rstrip("\n")


@pytest.mark.parametrize("verb", ["archive", "layout", "stream", "inspect", "validate"])
def test_a_file_that_is_not_there(tmp_path: Path, verb: str) -> None:
    output = ["-o", tmp_path / "out"] if verb in ("archive", "layout") else []
    assert failure(verb, tmp_path / "absent.tar", *output) == f"{tmp_path}/absent.tar: no such file or directory"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("verb", ["inspect", "validate"])
def test_a_pipe_in_the_place_of_a_file(tmp_path: Path, verb: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = failure(verb, tmp_path / "pipe")
    assert text == f"{tmp_path}/pipe: not a file that can be read twice, such as a pipe: save it first"


@pytest.mark.parametrize("verb", ["archive", "inspect", "validate"])
def test_a_compressed_archive(tmp_path: Path, verb: str) -> None:
    path = write_tar(tmp_path / "a.tar", Handmade().files())
    path.write_bytes(gzip.compress(path.read_bytes()))
    output = ["-o", tmp_path / "out"] if verb == "archive" else []
    assert failure(verb, path, *output) == (
        f"{path}: compressed by gz; uncompress it first, so that what is inside can be reached"
    )


@pytest.mark.parametrize("verb", ["archive", "inspect", "validate"])
def test_a_file_that_is_no_tar(tmp_path: Path, verb: str) -> None:
    (tmp_path / "text").write_text("This is no tar at all.\n" * 40)
    output = ["-o", tmp_path / "out"] if verb == "archive" else []
    assert failure(verb, tmp_path / "text", *output) == (
        f"{tmp_path}/text: no image: it is no tar, but begins with This is "
    )


@pytest.mark.parametrize("verb", ["inspect", "validate"])
def test_zstd_without_a_program(tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that cannot be read is not one with mismatches; and the file is named once."""
    made = Handmade([layer_of("f")])
    zstd = subprocess.run([need("zstd"), "-c"], input=made.layers[0], capture_output=True, check=True).stdout
    config = encode(made.config_value())
    listed = encode([{"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"]}])
    path = write_tar(tmp_path / "a.tar", {"manifest.json": listed, "config.json": config, "layer.tar": zstd})
    if sys.version_info >= (3, 14):
        assert dockertools(verb, path).returncode == 0
        return
    assert dockertools(verb, path).returncode == 0
    way_out = "give the program: `zstd` in Nix; by hand one on PATH, or --zstd"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert failure(verb, path) == (
        f"{path}: layer.tar: compressed by zstd, which this Python cannot read (3.14 can): {way_out}"
    )


def test_a_folder_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "folder/src").mkdir(parents=True)
    (tmp_path / "folder/src/x").touch()
    assert failure("inspect", tmp_path / "folder") == (
        f"{tmp_path}/folder: no image: neither manifest.json nor index.json in it, but src"
    )
    assert failure("validate", tmp_path / "folder") == (
        f"{tmp_path}/folder: neither index.json nor manifest.json in it: no image"
    )


NO_ZSTD = "/absent/zstd"
ABSENT_ZSTD = f"No such file or directory: {NO_ZSTD}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tag", "Upper:1"], "image name 'Upper': write lower-case letters and digits"),
        (["--tag", "a:-1"], "image tag '-1': write up to 128 letters"),
        (["--compressor", "gz", "--level", "12"], "compressionLevel is 12: gz has 1 to 9"),
        (["--choose", "b:2"], "no image b:2 in it; there is: docker.io/library/handmade:1"),
        # From 3.14 on Python compresses itself, and the program is never looked for.
        *([] if sys.version_info >= (3, 14) else [(["--compressor", "zstd", "--zstd", NO_ZSTD], ABSENT_ZSTD)]),
    ],
)
def test_arguments_that_are_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    path = write_tar(tmp_path / "a.tar", Handmade().files())
    text = failure("archive", path, "-o", tmp_path / "out", *arguments)
    assert message.replace("docker.io/library/", "") in text.replace("docker.io/library/", "")
    assert os.listdir(tmp_path) == ["a.tar"]


def test_an_output_that_is_no_file(tmp_path: Path, image: Path) -> None:
    # Renamed onto, a device or a pipe would be gone.
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        before = os.lstat(tmp_path / name).st_ino
        assert failure("archive", image, "-o", tmp_path / name) == (
            f"--output: {tmp_path}/{name} is there and no file: name a file, or use `stream`"
        )
        assert os.lstat(tmp_path / name).st_ino == before
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_an_output_that_is_a_link_stays_one(tmp_path: Path, image: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/old").write_bytes(b"old")
    for name, target in (("link", "disk/old"), ("dangling", "disk/new")):
        (tmp_path / name).symlink_to(target)
        assert dockertools("archive", image, "-o", tmp_path / name).stdout == f"{tmp_path}/{name}\n"
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "disk/old").read_bytes() == (tmp_path / "disk/new").read_bytes() != b"old"
    assert sorted(os.listdir(tmp_path / "disk")) == ["new", "old"]
    assert sorted(os.listdir(tmp_path)) == ["dangling", "disk", "link"]


def test_an_output_that_is_a_link_into_the_store(tmp_path: Path, image: Path) -> None:
    """What nix-build leaves: root could replace what it leads to."""
    (tmp_path / "result").symlink_to("/nix/store/image.tar")
    assert failure("archive", image, "-o", tmp_path / "result") == (
        f"--output: {tmp_path}/result is a link to /nix/store/image.tar, which nobody may change: name another file"
    )


@pytest.mark.parametrize("verb", ["archive", "layout"])
def test_an_output_in_a_folder_that_is_not_there(tmp_path: Path, image: Path, verb: str) -> None:
    assert failure(verb, image, "-o", tmp_path / "absent/out") == f"{tmp_path}/absent/out: {tmp_path}/absent is no directory"


def test_a_terminal_is_no_place_for_an_archive(image: Path) -> None:
    leader, follower = pty.openpty()
    try:
        done = dockertools("stream", image, capture_output=False, stdout=follower, stderr=subprocess.PIPE)
        os.close(follower)
        assert (done.returncode, done.stderr) == (
            1,
            "dockertools-py stream: standard output is a terminal; pipe it, as in `… | docker load`\n",
        )
        with pytest.raises(OSError) as caught:  # nothing was written
            os.read(leader, 1)
        assert caught.value.errno == errno.EIO
    finally:
        os.close(leader)


def test_a_standard_output_that_is_closed(image: Path) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "stream", str(image)]
    done = subprocess.run(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "dockertools-py stream: standard output is closed\n")


def test_a_standard_error_that_is_closed(tmp_path: Path, image: Path) -> None:
    """What is said goes nowhere, and not into a file that has got its number."""
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *PROGRAM, "archive"]
    for output, code in ((tmp_path / "out.tar", 0), (tmp_path / "absent/out.tar", 1)):
        done = subprocess.run([*command, str(image), "-o", str(output)], cwd=CHECKOUT, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (code, b"")
    succeeded = subprocess.run([*PROGRAM, "validate", str(tmp_path / "out.tar")], cwd=CHECKOUT, check=False)
    assert succeeded.returncode == 0


def test_a_reader_that_goes_away(large: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "stream", str(large)], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        text = process.stderr.read().decode()
    assert (process.returncode, text) == (
        1,
        "dockertools-py stream: the reader of our output has gone before its end\n",
    )


@pytest.mark.parametrize("arguments", [["inspect"], ["inspect", "--json"], ["validate"], ["--help"], ["inspect", "-h"]])
def test_text_for_a_reader_that_has_gone(tmp_path: Path, arguments: list[str]) -> None:
    path = write_tar(tmp_path / "a.tar", Handmade().files())
    reading, writing = os.pipe()
    os.close(reading)
    operands = [path] if arguments[0] != "--help" and "-h" not in arguments else []
    done = dockertools(*arguments, *operands, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (
        1,
        f"dockertools-py {arguments[0]}: the reader of our output has gone before its end\n",
    )


@pytest.mark.parametrize("verb", ["archive", "layout"])
@pytest.mark.parametrize("compressor", ["none", "gz"])
def test_a_full_disk(small_disk: Path, tmp_path: Path, verb: str, compressor: str) -> None:
    source = description(tmp_path, size=8 << 20, random=True)
    text = failure(verb, source, "-o", small_disk / "out", "--compressor", compressor)
    assert text.startswith("no space left on the device")
    assert text.endswith("; free some, or write elsewhere")
    assert os.listdir(small_disk) == []


def test_a_full_standard_output(image: Path) -> None:
    for verb in ("stream", "inspect"):
        with open("/dev/full", "wb") as full:
            done = dockertools(verb, image, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1
        assert done.stderr == f"dockertools-py {verb}: no space left on the device; free some, or write elsewhere\n"


def started_writing(large: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """A process in the middle of writing an archive: it has written something, and is far from the end."""
    arguments = ["archive", str(large), "-o", str(folder / "out.tar"), "--compressor", "gz", "--level", "9"]
    process = subprocess.Popen(
        # Whoever runs the tests in the background has them overlook SIGINT, and so all that they start.
        ["env", "--default-signal=INT", *PROGRAM, *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None and not any(p.is_file() and p.stat().st_size for p in folder.rglob("*")):
        time.sleep(0.005)
    return process


def test_killed_in_the_middle(large: Path, tmp_path: Path) -> None:
    process = started_writing(large, tmp_path)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it had ended before it was killed"
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(large: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = started_writing(large, tmp_path)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == 128 + number, "it had ended before it was interrupted"
    assert stderr == b"dockertools-py archive: interrupted\n"
    assert os.listdir(tmp_path) == []


def test_a_store_path_that_changed(tmp_path: Path) -> None:
    source = description(tmp_path)
    next(tmp_path.glob("*-p1")).joinpath("share/data").write_bytes(b"\xee" * 3000)
    text = failure("archive", source, "-o", tmp_path / "out.tar")
    assert text.startswith("layer ")
    assert "(store: p1): not the bytes that were described; changed since then: one of " in text
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".*"))


def test_a_store_path_that_is_gone(tmp_path: Path) -> None:
    source = description(tmp_path)
    gone = next(tmp_path.glob("*-p1"))
    gone.rename(tmp_path / "elsewhere")
    assert failure("archive", source, "-o", tmp_path / "out.tar") == f"No such file or directory: {gone}"


def test_names_that_cannot_be_printed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.tar"
    assert failure("inspect", path).endswith("no such file or directory")
    files = Handmade().files()
    write_tar(tmp_path / "a.tar", files | {"blobs/sha256/\udcff\n": b"x"})
    done = dockertools("validate", tmp_path / "a.tar")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 2)


def test_the_verb_for_nix_by_hand() -> None:
    text = failure("derivation", env={"PATH": os.environ["PATH"]})
    assert text == "derivation: this verb runs inside a Nix build only; use `archive` or `stream` by hand"


def test_a_bug_shows_its_traceback(tmp_path: Path) -> None:
    source = description(tmp_path)
    (source / "image.json").write_text('{"layers": [{}]}')
    done = dockertools("inspect", source)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_no_program_is_needed_but_python(tmp_path: Path, image: Path) -> None:
    need("true")
    done = dockertools("archive", image, "-o", tmp_path / "a.tar", "--compressor", "gz", env={"PATH": "/absent"})
    assert done.returncode == 0


def test_transfers_that_nobody_waits_for_end_with_the_program(tmp_path: Path) -> None:
    """One of them in a call that never returns, as in a registry that has stalled: what was said is there all the same."""
    (tmp_path / "stalled.py").write_text(
        "import sys, threading, runpy\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "import atexit; atexit.register(print, 'Python was taken down')\n"
        "sys.argv = ['dockertools_py', 'inspect', '/none']\n"
        "runpy.run_module('dockertools_py', run_name='__main__')\n"
    )
    command = [sys.executable, "-B", str(tmp_path / "stalled.py")]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "dockertools-py inspect: /none: no such file or directory\n"
