"""The embedded package set: its programs run from nothing but their closure, and it evaluates fast and always the same."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SET = ROOT / "nix/hostpkgs"
NOTE = ROOT / ".cache/hostpkgs.json"

# One worker: each test builds with Nix, on a machine of few cores.
pytestmark = [
    pytest.mark.xdist_group("hostpkgs"),
    pytest.mark.skipif(
        not os.environ.get("CI") and not (shutil.which("bwrap") and shutil.which("nix-build")),
        reason="bwrap or nix-build is missing",
    ),
]


def run(*command: str | Path, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, cwd=ROOT)
    assert not check or done.returncode == 0, done.stderr
    return done


def evaluate(expression: str, *arguments: str) -> object:
    """The value of an expression in which `pkgs` is the set."""
    code = f"{{ pkgs }}: {expression}"
    # Not read-only: derivations that the value names are then in the store.
    options = ["--eval", "--strict", "--json", "--read-write-mode", *arguments]
    return json.loads(run("nix-instantiate", *options, "-E", f"({code}) {{ pkgs = import {SET} {{ }}; }}").stdout)


def build(expression: str, set_arguments: str = "{ }") -> Path:
    return Path(
        run("nix-build", "--no-out-link", "-E", f"with import {SET} {set_arguments}; {expression}").stdout.strip()
    )


def build_error(expression: str) -> str:
    done = run("nix-build", "--no-out-link", "-E", f"with import {SET} {{ }}; {expression}", check=False)
    assert done.returncode != 0
    return done.stderr


@cache
def package(name: str) -> Path:
    return build(name)


@cache
def closure(path: Path) -> list[str]:
    return run("nix-store", "--query", "--requisites", path).stdout.split()


def names(paths: list[str]) -> set[str]:
    """`/nix/store/HASH-NAME-VERSION` -> NAME"""
    return {path[len("/nix/store/") + 33 :].rsplit("-", 1)[0] for path in paths}


def confined(*packages: Path, writable: Path | None = None) -> list[str]:
    """A command that runs another where nothing is but the closures of `packages`, and no variables but HOME and USER."""
    command = ["bwrap", "--die-with-parent", "--unshare-all", "--uid", "1000", "--gid", "1000"]
    command += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    command += ["--clearenv", "--setenv", "HOME", "/tmp", "--setenv", "USER", "user"]
    for path in sorted({path for root in packages for path in closure(root)}):
        command += ["--ro-bind", path, path]
    if writable is not None:
        command += ["--bind", str(writable), "/data"]
    return command


IMPORTS = (
    "import bz2, ctypes, curses, decimal, hashlib, json, lzma, readline, sqlite3, ssl, tarfile, uuid, xml.parsers.expat, zlib;"
    "print(hashlib.new('sha512_256').name, ssl.OPENSSL_VERSION)"
)
USES = "use POSIX; use Socket; use DB_File; use JSON::PP; print JSON::PP->new->encode([POSIX::floor(2.5)])"

COMMANDS = {
    "bash": (["-c", "echo $((1 + 2)) >/tmp/x; read -r x </tmp/x; echo $BASH_VERSION $x"], " 3"),
    "busybox": (["sh", "-c", "echo a b | awk '{ print $2 }'"], "b"),
    "diff": (["--version"], "diffutils"),
    "fakeroot": (["--", "@coreutils@/bin/id", "-u"], "0\n"),
    "find": (["/nix/store", "-maxdepth", "0"], "/nix/store"),
    "getopt": (["a:", "-a", "1"], "-a 1 --"),
    "grep": (["-P", "a(?=b)", "/dev/stdin"], "ab"),
    "gzip": (["--version"], "gzip"),
    "hello": ([], "Hello, world!"),
    "awk": (["BEGIN { print 6 * 7 }"], "42"),
    "nginx": (["-v"], "nginx/"),
    "nix-instantiate": (["--eval", "-E", "1 + 1"], "2"),
    "perl": (["-e", USES], "[2"),
    "python3": (["-c", IMPORTS], "sha512_256 OpenSSL"),
    "redis-server": (["--version"], "Redis server"),
    "sed": (["--version"], "sed"),
    "sort": (["--version"], "coreutils"),
    "tar": (["--version"], "tar"),
    "zstd": (["--version"], "Zstandard"),
}
PACKAGE_OF = {
    "awk": "gawk",
    "diff": "diffutils",
    "find": "findutils",
    "grep": "gnugrep",
    "nix-instantiate": "nix",
    "redis-server": "redis",
    "sed": "gnused",
    "sort": "coreutils",
    "tar": "gnutar",
}


@pytest.mark.parametrize("program", COMMANDS)
def test_program_runs_from_its_closure(program: str) -> None:
    arguments, expected = COMMANDS[program]
    owner = package(PACKAGE_OF.get(program, program))
    arguments = [argument.replace("@coreutils@", str(package("coreutils"))) for argument in arguments]
    done = run(*confined(owner), owner / "bin" / program, *arguments, stdin="ab\n")
    assert expected in done.stdout + done.stderr


def test_every_program_and_library_finds_its_libraries_in_the_store() -> None:
    packages = [Path(path) for path in evaluate("map toString (builtins.attrValues pkgs.hostpkgs.packages)")]  # type: ignore[attr-defined]
    loader = next(package("glibc").glob("lib/ld-linux*"))
    elf = [
        str(file)
        for root in packages
        if root not in (package("glibc"), package("busybox"))
        for file in sorted(root.rglob("*"))
        if file.is_file() and not file.is_symlink() and file.open("rb").read(4) == b"\x7fELF"
    ]
    assert len(elf) > 300
    script = f'while read -r file; do echo "$file:"; {loader} --list "$file" || echo failed; done'
    command = [*confined(*packages), str(package("bash") / "bin/bash"), "-c", script]
    lines = run(*command, stdin="\n".join(elf) + "\n").stdout.splitlines()
    allowed = (str(loader), "linux-vdso", "statically linked")
    wrong = [
        line
        for line in lines
        if not line.endswith(":")
        and "=> /nix/store/" not in line
        and not line.strip().startswith(("/nix/store/", *allowed))
    ]
    assert not wrong
    assert sum(line.endswith(":") for line in lines) == len(elf)


def test_references_are_exact() -> None:
    assert names(closure(package("glibc"))) == {"glibc"}
    assert names(closure(package("busybox"))) == {"busybox"}
    assert names(closure(package("cacert"))) == {"cacert"}
    assert names(closure(package("hello"))) == {"hello", "glibc"}
    assert names(closure(package("bash"))) == {"bash", "ncurses", "glibc"}
    python = names(closure(package("python3")))
    assert python >= {
        "python3",
        "bash",
        "openssl",
        "sqlite",
        "zlib",
        "bzip2",
        "xz",
        "libffi",
        "expat",
        "readline",
        "ncurses",
    }
    assert not python & {"perl", "krb5", "libsystemd", "coreutils"}


def test_glibc_has_the_library_that_it_opens_by_name() -> None:
    cancel = "import threading, ctypes; ctypes.CDLL('libgcc_s.so.1'); print('found')"
    assert run(*confined(package("python3")), package("python3") / "bin/python3", "-c", cancel).stdout == "found\n"


def test_python_is_a_builder_by_itself() -> None:
    """Nix starts it with a bare argv[0] and a PATH that leads nowhere, and it must not look into /usr."""
    script = "import os, sys, json, ssl; open(os.environ['out'], 'w').write(json.dumps([sys.prefix, sys.path]))"
    made = build(f"""derivation {{
      name = "by-python"; inherit system; builder = "${{python3}}/bin/python3"; args = [ "-c" {json.dumps(script)} ];
    }}""")
    prefix, path = json.loads(made.read_text())
    assert prefix == str(package("python3"))
    assert all(not entry or entry.startswith(prefix) for entry in path)


def test_python_has_byte_code_and_writes_none() -> None:
    sources = [file for file in package("python3").glob("lib/python3.*/*.py") if file.is_file()]
    assert len(sources) > 150
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*[0-9].pyc")
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", (
            "not unchecked-hash, which alone never asks for the time stamp"
        )


@contextmanager
def served(*command: str | Path, socket_file: Path) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            deadline = time.monotonic() + 60
            while not socket_file.is_socket():
                assert server.poll() is None, server.communicate()[0]
                assert time.monotonic() < deadline, f"no {socket_file}"
                time.sleep(0.02)
            yield
        finally:
            server.terminate()


def test_redis_serves(tmp_path: Path) -> None:
    redis = package("redis")
    sandbox = confined(redis, writable=tmp_path)
    server = [
        *sandbox,
        redis / "bin/redis-server",
        "--port",
        "0",
        "--unixsocket",
        "/data/s",
        "--save",
        "",
        "--dir",
        "/data",
    ]
    with served(*server, socket_file=tmp_path / "s"):
        client = [*sandbox, redis / "bin/redis-cli", "-s", "/data/s"]
        assert run(*client, "set", "key", "value").stdout == "OK\n"
        assert run(*client, "get", "key").stdout == "value\n"


def test_nginx_serves(tmp_path: Path) -> None:
    nginx = package("nginx")
    (tmp_path / "index.html").write_text("served by nginx")
    (tmp_path / "conf").write_text(f"""
      daemon off; master_process off; error_log stderr; pid /data/pid;
      events {{ }}
      http {{
        include {nginx}/conf/mime.types; access_log off;
        client_body_temp_path /data/t1; proxy_temp_path /data/t2; fastcgi_temp_path /data/t3;
        uwsgi_temp_path /data/t4; scgi_temp_path /data/t5;
        server {{ listen unix:/data/s; root /data; }}
      }}""")
    command = [*confined(nginx, writable=tmp_path), nginx / "bin/nginx", "-e", "stderr", "-c", "/data/conf"]
    with served(*command, socket_file=tmp_path / "s"):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(tmp_path / "s"))
        connection.request("GET", "/index.html")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"served by nginx")
        assert answer.headers["Content-Type"] == "text/html"


def test_certificates_and_zones() -> None:
    assert (package("cacert") / "etc/ssl/certs/ca-bundle.crt").read_text().count("BEGIN CERTIFICATE") > 50
    assert (package("tzdata") / "share/zoneinfo/Europe/Berlin").read_bytes()[:4] == b"TZif"


# --- evaluation --------------------------------------------------------------------------------------------------------------


def test_attributes_are_those_of_packages() -> None:
    some = "inherit (pkgs.bash) name pname version type outputName outputs; inherit (pkgs.bash.meta) mainProgram;"
    bash = evaluate(f"{{ {some} }}")
    assert isinstance(bash, dict)
    assert bash["name"] == f"bash-{bash['version']}"
    assert bash["version"].startswith("5.")
    assert (bash["pname"], bash["mainProgram"]) == ("bash", "bash")
    assert (bash["type"], bash["outputName"], bash["outputs"]) == ("derivation", "out", ["out"])
    assert evaluate("pkgs.bashInteractive == pkgs.bash && pkgs.bash.out.outPath == pkgs.bash.outPath") is True
    assert evaluate("pkgs.stdenv.hostPlatform.system == pkgs.system && pkgs.stdenv.hostPlatform.isLinux") is True


def test_remembered_and_evaluated_are_the_same_derivations() -> None:
    """Also for what is built on them, so that nothing is built twice."""
    value = 'map (p: p.drvPath) (builtins.attrValues set.hostpkgs.packages ++ [ (set.writeText "x" "${set.perl}") ])'
    in_earnest = evaluate(f"let set = import {SET} {{ remembered = null; }}; in {value}")
    assert evaluate(f"let set = pkgs; in {value}") == in_earnest
    assert isinstance(in_earnest, list)
    assert len(in_earnest) > 40


def test_what_is_remembered_is_taken(tmp_path: Path) -> None:
    note = json.loads(NOTE.read_text())
    note["packages"]["bash"]["name"] = "bash-0"
    (tmp_path / "note").write_text(json.dumps(note))
    bash = f"(import {SET} {{ remembered = {tmp_path}/note; }}).bash"
    assert evaluate(f"{bash}.version") == "0"
    assert run("nix-build", "--no-out-link", "-E", bash).stdout.strip() == str(package("bash"))
    # not when the sources are others than they were, nor when the path is gone
    (tmp_path / "note").write_text(json.dumps({**note, "key": "other"}))
    assert evaluate(f"{bash}.version") != "0"
    note["packages"]["bash"]["out"] = "/nix/store/" + "0" * 32 + "-bash-0"
    (tmp_path / "note").write_text(json.dumps(note))
    assert evaluate(f"{bash}.version") != "0"
    assert evaluate(f"(import {SET} {{ remembered = {tmp_path}/absent; }}).bash.version") != "0"


def test_evaluation_is_little_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """37 calls with a note and 14 021 without, on Debian 12: 16 ms and 67 ms."""
    monkeypatch.setenv("NIX_SHOW_STATS", "1")
    monkeypatch.setenv("NIX_SHOW_STATS_PATH", str(tmp_path / "stats"))
    for arguments, most in (("", 200), ("remembered = null;", 50_000)):
        run("nix-instantiate", "--eval", "-E", f"(import {SET} {{ {arguments} }}).bash.outPath")
        assert 0 < json.loads((tmp_path / "stats").read_text())["nrFunctionCalls"] < most


def test_files_that_are_installed_do_as_well() -> None:
    """Without .debs, the set is made of what dpkg has installed: bash and what it needs is so on any Debian."""
    bash = build("bash", "{ debs = null; remembered = null; }")
    assert run(*confined(bash), bash / "bin/bash", "-c", "echo $((6 * 7))").stdout == "42\n"


def test_missing_debian_packages_are_named() -> None:
    other = {"12": "13", "13": "12"}[str(evaluate("(import ./nix/hostpkgs { }).hostpkgs.release"))]
    message = run(
        "nix-instantiate", SET, "--argstr", "release", other, "--arg", "debs", "null", "-A", "openssl", check=False
    ).stderr
    assert "hostpkgs: openssl needs Debian packages that are neither installed nor in" in message
    assert "libssl3" in message
    assert "./dev setup" in message


def test_other_systems_say_what_to_do() -> None:
    def message(name: str, value: str) -> str:
        return run("nix-instantiate", SET, "--arg", "remembered", "null", "--argstr", name, value, check=False).stderr

    assert "hostpkgs knows no Debian packages for m68k-linux; give an own `pkgs`" in message("system", "m68k-linux")
    assert "hostpkgs knows Debian 12 and 13, not 11; give an own `pkgs`" in message("release", "11")


def test_flakes(tmp_path: Path) -> None:
    """A flake is evaluated in a copy of git's files, without .cache: the one of the current directory serves."""
    shutil.copytree(SET, tmp_path / "nix/hostpkgs")
    (tmp_path / "flake.nix").write_text("{ outputs = _: { bash = (import ./nix/hostpkgs { }).bash.outPath; }; }")
    command = ["nix", "--extra-experimental-features", "nix-command flakes", "eval", f"path:{tmp_path}#bash"]
    assert "use --impure, or give an own `pkgs`" in run(*command, check=False).stderr
    assert json.loads(run(*command, "--impure", "--json").stdout) == str(package("bash"))


def test_builds_are_deterministic() -> None:
    """Nix builds everything again and compares."""
    run("nix-build", SET, "--no-out-link", "-A", "hostpkgs.packages", "--check", "-j2")


# --- nixpkgs' trivial builders -----------------------------------------------------------------------------------------------


def test_run_command() -> None:
    made = build(
        'runCommand "made" { word = "hi"; nativeBuildInputs = [ hello ]; passthru.extra = 1; } '
        '"hello | sed s/Hello/$word/ >$out; false | true || echo failed >>$out"'
    )
    assert made.name.endswith("-made")
    assert made.read_text() == "hi, world!\nfailed\n", "scripts run with pipefail, as in nixpkgs"
    assert evaluate('(pkgs.runCommand "made" { passthru.extra = 1; meta.mainProgram = "m"; } "").extra') == 1
    assert build_error('runCommand "made" { } "false; touch $out"')


def test_texts(tmp_path: Path) -> None:
    assert build('writeText "name" "it\'s ${bash} $x\\n"').read_text() == f"it's {package('bash')} $x\n"
    folder = build('writeTextDir "etc/a/b" "text"')
    assert (folder / "etc/a/b").read_text() == "text"
    assert build('writeTextFile { name = "f"; text = "t"; destination = "/d/f"; }').joinpath("d/f").read_text() == "t"
    assert {str(package("hello")), str(package("glibc"))} < set(closure(build('writeText "t" "${hello}"')))
    big = "x" * 200_000  # too much for a variable
    (tmp_path / "big").write_text(big)
    assert build(f'writeText "big" (builtins.readFile {tmp_path}/big)').read_text() == big


def test_scripts() -> None:
    script = build('writeScript "s" "#!${bash}/bin/bash\\necho $1\\n"')
    assert run(script, "one").stdout == "one\n"
    assert run(build('writeScriptBin "s" "#!${bash}/bin/bash\\necho $1\\n"') / "bin/s", "two").stdout == "two\n"
    assert run(build('writeShellScript "s" "echo $1"'), "three").stdout == "three\n"
    assert run(build('writeShellScriptBin "s" "echo $1"') / "bin/s", "four").stdout == "four\n"
    assert evaluate('pkgs.lib.getExe (pkgs.writeShellScriptBin "s" "")').endswith("/bin/s")  # type: ignore[attr-defined]
    assert "syntax error" in build_error('writeShellScript "s" "if"')


def test_shell_application() -> None:
    application = build("""writeShellApplication {
      name = "app"; runtimeInputs = [ hello ]; runtimeEnv.WORD = "it's"; text = "hello; echo $WORD; echo $UNSET"; }""")
    done = run(application / "bin/app", check=False)
    assert done.stdout == "Hello, world!\nit's\n"
    assert "unbound variable" in done.stderr


def test_symlink_join() -> None:
    paths = '(writeTextDir "d/a" "1") (writeTextDir "d/a" "2") (writeTextDir "d/b" "3")'
    joined = build(f'symlinkJoin {{ name = "joined"; paths = [ {paths} ]; postBuild = "ln -s a $out/d/c"; }}')
    assert sorted(os.listdir(joined / "d")) == ["a", "b", "c"]
    assert [(joined / "d" / name).read_text() for name in "abc"] == ["1", "3", "1"]
    assert not (joined / "d").is_symlink()
    assert (joined / "d/a").is_symlink()


def test_build_env() -> None:
    env = build(
        'buildEnv { name = "env"; paths = [ bash coreutils tzdata ]; pathsToLink = [ "/bin" "/share/zoneinfo" ]; }'
    )
    assert sorted(os.listdir(env)) == ["bin", "share"]
    assert {"bash", "ls"} <= set(os.listdir(env / "bin"))
    assert (env / "share/zoneinfo").is_symlink(), "a directory that one path has is one link"
    two = '[ (writeTextDir "a" "1") (writeTextDir "a" "2") ]'
    assert "collision between" in build_error(f'buildEnv {{ name = "env"; paths = {two}; }}')
    assert (build(f'buildEnv {{ name = "env"; paths = {two}; ignoreCollisions = true; }}') / "a").read_text() == "1"
    same = '[ (writeTextDir "a" "1") (symlinkJoin { name = "j"; paths = [ (writeTextDir "a" "1") ]; }) ]'
    assert (build(f'buildEnv {{ name = "env"; paths = {same}; extraPrefix = "/p"; }}') / "p/a").read_text() == "1"
