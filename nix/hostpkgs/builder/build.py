"""Builder of one package of hostpkgs: the files of Debian packages, made into a Nix store path that works by itself.

Debian's programs expect their libraries, data and interpreters below /usr. Here each file goes to $out, and whatever names a
place in /usr is turned to the store: symbolic links, the interpreter and RPATH of ELF files, `#!` lines, and a few special
cases at the end of this file. An ELF file gets as RPATH just those directories that hold a library it needs, so that Nix
finds exact references; a library that is nowhere fails the build.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from elf import Elf

OUT = Path(os.environ["out"])
PNAME = os.environ["pname"]
MULTIARCH = os.environ["multiarch"]
LOADER = os.environ["loader"]
DEPS = [Path(dep) for dep in os.environ["deps"].split()]
SOURCES = [Path(source) for source in os.environ["sources"].split()]

# What no image needs, by its place in $out. Python's module nis, gone in 3.13, would bring in libtirpc and Kerberos.
JUNK = re.compile(
    r"(etc|var|run|lib64|lib/(systemd|tmpfiles\.d|sysusers\.d|udev|init|mime)"
    r"|share/(doc|doc-base|man|info|locale|lintian|bug|menu|applications|pixmaps|icons|bash-completion|fish|zsh|debconf))(/|$)"
    r"|lib/python3\.11/lib-dynload/nis\.|share/perl/5\.\d+/.*\.pod$"
)
# Of these packages only what matches.
ONLY = {
    "cacert": re.compile(r"share/ca-certificates/"),
    "getopt": re.compile(r"bin/getopt$"),
    "nginx": re.compile(r"bin/|conf/|share/nginx/"),
    "shadow": re.compile(r"bin/(chage|chpasswd|gpasswd|group\w+|grpck|newusers|passwd|pwck|user\w+)$|lib/"),
    "tzdata": re.compile(r"share/zoneinfo/"),
}


@dataclass(frozen=True)
class Found:
    """A file (`data`) or symbolic link (`target`) of a Debian package; `path` is relative to its root."""

    path: str
    data: bytes = b""
    executable: bool = False
    target: str | None = None


# --- reading Debian packages -------------------------------------------------------------------------------------------------


def read_deb(deb: Path) -> Iterator[Found]:
    """Yields what a .deb holds: an `ar` archive with a tar of the files in it."""
    rest = deb.read_bytes()[8:]
    while rest:
        name, size = rest[:16].decode().strip(" /"), int(rest[48:58])
        if name.startswith("data.tar"):
            yield from read_tar(io.BytesIO(rest[60 : 60 + size]))
        rest = rest[60 + size + size % 2 :]


def read_tar(stream: io.BytesIO) -> Iterator[Found]:
    with tarfile.open(fileobj=stream) as tar:
        for member in tar:
            path = normpath(member.name)
            if member.issym():
                yield Found(path, target=member.linkname)
            elif member.isfile() or member.islnk():
                file = tar.extractfile(member)
                assert file is not None
                yield Found(path, file.read(), executable=bool(member.mode & 0o111))


def read_installed(usr: Path) -> Iterator[Found]:
    """Yields the files below `usr`, a copy of a part of /usr."""
    for root, dirs, files in os.walk(usr):
        for name in dirs + files:
            file = Path(root, name)
            path = join("usr", file.relative_to(usr))
            if file.is_symlink():
                yield Found(path, target=os.readlink(file))
            elif file.is_file():
                yield Found(path, file.read_bytes(), executable=os.access(file, os.X_OK))


def read_sources() -> Iterator[Found]:
    for source in SOURCES:
        yield from read_installed(source) if source.is_dir() else read_deb(source)


# --- laying them out in $out -------------------------------------------------------------------------------------------------


def place(path: str) -> str | None:
    """Returns where a file of Debian's tree goes in $out, None if nowhere."""
    path = re.sub(r"^usr/", "", path)
    path = re.sub(r"^sbin/", "bin/", path)
    path = re.sub(rf"^lib/{MULTIARCH}/", "lib/", path)
    if PNAME == "nginx":
        path = re.sub(r"^etc/nginx/", "conf/", path)  # nixpkgs' name
    if JUNK.match(path) or (PNAME in ONLY and not ONLY[PNAME].match(path)):
        return None
    return path


def lay_out() -> None:
    links: dict[str, str] = {}
    for found in read_sources():
        to = place(found.path)
        if to is None:
            continue
        if found.target is None:
            write(OUT / to, found.data, executable=found.executable)
            continue
        target = place(normpath(join("/", dirname(found.path), found.target)).lstrip("/"))
        if target is not None and target != to:
            links[to] = target
    for to, target in links.items():
        if resolves(target, links):
            (OUT / to).parent.mkdir(parents=True, exist_ok=True)
            (OUT / to).symlink_to(relpath(target, dirname(to)))


def resolves(path: str, links: dict[str, str]) -> bool:
    """Says whether `path` is in $out, perhaps over further links: those that Debian points elsewhere are left out."""
    for _ in range(8):
        if (OUT / path).exists():
            return True
        if path not in links:
            return False
        path = links[path]
    return False


def write(file: Path, data: bytes, *, executable: bool = False) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "xb") as stream:  # x: two Debian packages with the same file would be a mistake in the table
        stream.write(data)
    file.chmod(0o755 if executable else 0o644)


# --- turning them to the store -----------------------------------------------------------------------------------------------


def link_libraries() -> None:
    """Gives each dynamic ELF file its interpreter and RPATH."""
    elves = {file: elf for file in files_below(OUT) if (elf := Elf.parse(file.read_bytes())) is not None}
    own = sorted({file.parent for file in elves if ".so" in file.name}, key=lambda d: (d != OUT / "lib", d))
    libraries = own + [dep / "lib" for dep in DEPS]
    interpreter = next((str(d / LOADER) for d in libraries if (d / LOADER).exists()), None)
    for file, elf in elves.items():
        missing = [soname for soname in elf.needed if not any((d / soname).exists() for d in libraries)]
        if missing:
            sys.exit(f"hostpkgs: {file.relative_to(OUT)} needs {' '.join(missing)}, which no package before {PNAME} has")
        used = [str(d) for d in libraries if any((d / soname).exists() for soname in elf.needed)]
        if used:
            linked = elf.set_paths(interpreter=interpreter if elf.has_interpreter else None, rpath=":".join(used))
            file.write_bytes(linked)


def turn_scripts() -> None:
    """Makes `#!` lines name the interpreter in the store."""
    places = [OUT / "bin", *(dep / "bin" for dep in DEPS)]
    for script in files_below(OUT / "bin"):
        text = script.read_bytes()
        line = re.match(rb"#! *(?:/usr)?/bin/(?:env +)?([\w.-]+)", text)
        if line is None:
            continue
        program = next((d / line[1].decode() for d in places if (d / line[1].decode()).exists()), None)
        if program is not None:
            script.write_bytes(b"#!" + bytes(program) + text[line.end() :])


def files_below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


# --- special cases: what Debian's maintainer scripts do, and paths that are fixed in programs --------------------------------


def bash() -> None:
    (OUT / "bin/sh").symlink_to("bash")


def busybox() -> None:
    """Adds a link per applet, as nixpkgs' busybox has."""
    for applet in subprocess.run([OUT / "bin/busybox", "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split():
        if applet != "busybox":
            (OUT / "bin" / applet).symlink_to("busybox")


def cacert() -> None:
    certificates = sorted((OUT / "share/ca-certificates").rglob("*.crt"))
    bundle = OUT / "etc/ssl/certs/ca-bundle.crt"
    write(bundle, b"".join(certificate.read_bytes() for certificate in certificates))
    bundle.with_name("ca-certificates.crt").symlink_to(bundle.name)
    shutil.rmtree(OUT / "share")


def fakeroot() -> None:
    script = OUT / "bin/fakeroot-sysv"
    text = script.read_text().replace(f"/usr/lib/{MULTIARCH}", f"{OUT}/lib").replace("/usr/bin", f"{OUT}/bin")
    tools = ":".join(str(dep / "bin") for dep in DEPS if any((dep / "bin" / t).exists() for t in ("getopt", "sed", "rm")))
    script.write_text(text.replace("\n", f"\nPATH=$PATH:{tools}\n", 1))
    (OUT / "bin/fakeroot").symlink_to("fakeroot-sysv")


def gawk() -> None:
    (OUT / "bin/awk").symlink_to("mawk")


def perl() -> None:
    """Perl's search path is compiled in."""
    (OUT / "bin/perl").rename(OUT / "bin/.perl")
    libraries = [OUT / "lib/perl-base", *sorted(OUT.glob("lib/perl/5.??")), *sorted(OUT.glob("share/perl/5.??"))]
    path = ":".join(map(str, libraries))
    wrap("perl", OUT / "bin/.perl", f"export PERL5LIB=${{PERL5LIB:+$PERL5LIB:}}{path}\n")


def python3() -> None:
    """Python finds its library by argv[0], which is a bare name when Nix runs it as a builder: hence the wrapper.

    Debian's packages hold no byte code, without which each start takes 0.1 s longer; and a root user's python would write it
    into the store. Unchecked: the source's time stamp, 1 in the store, tells nothing.
    """
    (program,) = OUT.glob("bin/python3.??")
    wrap("python3", program)
    # -B: what compileall imports would else be written with time stamps, and kept. One after the other: the bytes that a
    # process writes for a file follow, here and there, what it compiled before.
    compile_all = ["compileall", "-q", "--invalidation-mode", "unchecked-hash", str(OUT / "lib" / program.name)]
    subprocess.run([program, "-IB", "-m", *compile_all], check=True)


def wrap(name: str, program: Path, settings: str = "") -> None:
    shell = next(dep / "bin/bash" for dep in DEPS if (dep / "bin/bash").exists())
    write(OUT / "bin" / name, f'#!{shell}\n{settings}exec {program} "$@"\n'.encode(), executable=True)


SPECIAL = {f.__name__: f for f in (bash, busybox, cacert, fakeroot, gawk, perl, python3)}


def main() -> None:
    os.umask(0o022)
    OUT.mkdir()
    lay_out()
    if PNAME != "glibc":  # it needs nothing, and is best left alone
        link_libraries()
    turn_scripts()
    if PNAME in SPECIAL:
        SPECIAL[PNAME]()


main()
