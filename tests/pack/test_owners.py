"""Owners, modes and capabilities of the layer at `/` and of what lies below it."""

import os
import random
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.account import Group, User
from dockertools_py.model.capability import XATTR, encode
from dockertools_py.model.entry import ROOT, Entry, Kind, Owner
from dockertools_py.model.permission import Permission
from dockertools_py.pack.owners import Owners, with_owners
from dockertools_py.pack.permissions import pattern
from dockertools_py.pack.tree import Node, Tree
from tests.clients.need import need_root

BIND = encode("cap_net_bind_service+ep")


def directory(name: str, mode: int = 0o755, owner: Owner = ROOT) -> Entry:
    return Entry(name.encode() + b"/", Kind.DIRECTORY, mode, owner)


def file(name: str, data: bytes = b"x", mode: int = 0o644, owner: Owner = ROOT) -> Entry:
    return Entry(name.encode(), Kind.FILE, mode, owner, size=len(data), data=data)


def link(name: str, target: str) -> Entry:
    return Entry(name.encode(), Kind.SYMLINK, 0o777, link=target.encode())


def hard(name: str, target: str, mode: int = 0o644) -> Entry:
    return Entry(name.encode(), Kind.HARDLINK, mode, link=target.encode())


class Below:
    """A base whose files are in memory; what is copied is noted."""

    def __init__(self, *entries: Entry, store: dict[bytes, bytes] | None = None) -> None:
        self.tree = Tree()
        self.tree.apply((entry, 0) for entry in entries)
        self.store = store or {}
        self.taken: list[bytes] = []

    def read(self, node: Node) -> bytes:
        return node.entry.data

    def stored(self, name: bytes) -> bytes | None:
        return self.store.get(name)

    def copied(self, node: Node) -> tuple[bytes, int]:
        self.taken.append(node.entry.name)
        return b"/copy/of/" + node.entry.name, node.entry.size


def layer(
    placed: Sequence[Entry],
    *permissions: Permission,
    below: Below | None = None,
    users: tuple[User, ...] = (),
    groups: tuple[Group, ...] = (),
    owner: Owner = ROOT,
) -> list[Entry]:
    below = below or Below()
    owners = Owners(users, groups, permissions)
    return list(with_owners(placed, below.tree, owners, below, owner=owner, mtime=9))


def said(entries: list[Entry]) -> list[tuple[str, int, Owner]]:
    return [(entry.name.decode(), entry.mode, entry.owner) for entry in entries]


def failure(*args: object, **options: object) -> str:
    with pytest.raises(DockertoolsError) as caught:
        layer(*args, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_without_anything_asked_for_nothing_changes() -> None:
    entries = [directory("bin"), file("bin/a"), link("lib", "bin")]
    assert layer(entries) == entries


def test_mode_owner_and_capabilities_of_a_file() -> None:
    assert layer(
        [directory("bin"), file("bin/a")],
        Permission("/bin/a", mode=0o4750, uid=5, gid=6),
        Permission("/bin/a", capabilities=BIND),
    ) == [directory("bin"), file("bin/a", mode=0o4750, owner=Owner(5, 6))._replace(xattrs=((XATTR, BIND),))]
    entries = layer([file("a")._replace(xattrs=((XATTR, BIND), ("user.x", b"1")))], Permission("/a", capabilities=b""))
    assert entries[0].xattrs == (("user.x", b"1"),)


def test_what_is_not_said_stays() -> None:
    entries = layer([file("a", mode=0o4711, owner=Owner(1, 2))], Permission("/a", gid=7))
    assert said(entries) == [("a", 0o4711, Owner(1, 7))]


def test_later_items_count() -> None:
    entries = layer([file("a")], Permission("/a", mode=0o600, uid=1), Permission("/a", mode=0o640))
    assert said(entries) == [("a", 0o640, Owner(1, 0))]


def test_directories_are_made_where_nothing_is() -> None:
    made = [
        Permission("/tmp", mode=0o1777, creates=True),
        Permission("/var/lib/app", uid=5, creates=True),
        Permission("/var/lib/app", gid=6, creates=True),
    ]
    assert said(layer([], *made, owner=Owner(3, 4))) == [
        ("tmp/", 0o1777, Owner(3, 4)),
        ("var/", 0o755, ROOT),
        ("var/lib/", 0o755, ROOT),
        ("var/lib/app/", 0o755, Owner(5, 6)),
    ]
    assert {entry.mtime for entry in layer([], *made)} == {9}


def test_links_on_the_way_are_followed_and_those_below_are_not() -> None:
    entries = [
        directory("usr"),
        directory("usr/bin"),
        file("usr/bin/a"),
        link("bin", "usr/bin"),
        link("usr/bin/b", "/none"),
    ]
    assert said(layer(entries, Permission("/bin/a", uid=5))) == [
        ("bin", 0o777, ROOT),
        ("usr/", 0o755, ROOT),
        ("usr/bin/", 0o755, ROOT),
        ("usr/bin/a", 0o644, Owner(5, 0)),
        ("usr/bin/b", 0o777, ROOT),
    ]
    assert said(layer(entries, Permission("/bin", uid=5, mode=0o700, capabilities=BIND, recursive=True))) == [
        ("bin", 0o777, ROOT),
        ("usr/", 0o755, ROOT),
        ("usr/bin/", 0o700, Owner(5, 0)),
        ("usr/bin/a", 0o700, Owner(5, 0)),
        ("usr/bin/b", 0o777, Owner(5, 0)),
    ]


def test_all_names_of_a_file_are_one_file() -> None:
    entries = [file("a"), hard("b", "a"), hard("c", "a"), file("d")]
    for name in ("/a", "/b", "/c"):
        assert said(layer(entries, Permission(name, mode=0o600, uid=5))) == [
            ("a", 0o600, Owner(5, 0)),
            ("b", 0o600, Owner(5, 0)),
            ("c", 0o600, Owner(5, 0)),
            ("d", 0o644, ROOT),
        ]


def test_a_file_of_the_base_comes_with_its_content_and_its_directories_with_theirs() -> None:
    below = Below(
        directory("srv", 0o750, Owner(7, 7)),
        file("srv/a", b"abc", owner=Owner(8, 8))._replace(mtime=77, xattrs=(("user.x", b"1"),)),
        file("srv/empty", b""),
        file("srv/other"),
        hard("srv/second", "srv/a"),
        link("srv/l", "a"),
    )
    found = layer([], Permission("/srv/l", mode=0o600), Permission("/srv/empty", uid=5), below=below)
    copy = Entry(b"srv/a", Kind.FILE, 0o600, Owner(8, 8), 77, 3, path=b"/copy/of/srv/a", data=b"abc")
    assert found == [
        directory("srv", 0o750, Owner(7, 7)),
        copy._replace(xattrs=(("user.x", b"1"),)),
        file("srv/empty", b"", owner=Owner(5, 0)),
    ]
    assert below.taken == [b"srv/a"]


def test_a_directory_of_the_base_comes_alone() -> None:
    below = Below(directory("srv"), file("srv/a"), directory("srv/d"))
    assert said(layer([], Permission("/srv", mode=0o700), below=below)) == [("srv/", 0o700, ROOT)]
    assert below.taken == []


def test_the_top_is_first() -> None:
    entries = layer([file("+x"), file("a")], Permission("/", mode=0o711, uid=5))
    assert said(entries) == [("./", 0o711, Owner(5, 0)), ("+x", 0o644, ROOT), ("a", 0o644, ROOT)]


def test_the_store_is_left_alone() -> None:
    below = Below(directory("nix"), directory("nix/store"), directory("srv"))
    placed = [directory("bin"), link("bin/a", "/nix/store/hash-a/bin/a")]
    everything = layer(placed, Permission("/", uid=5, recursive=True), below=below)
    assert {entry.name for entry in everything} == {b"./", b"bin/", b"bin/a", b"srv/"}
    assert failure(placed, Permission("/bin/a", mode=0o755)) == (
        "perms: /bin/a: leads to /nix/store/hash-a/bin/a, and what is in the store keeps its mode and owner: "
        "put the package in `copyToRoot`"
    )
    assert failure(placed, Permission("/nix", mode=0o700), below=below) == (
        "perms: /nix: leads to /nix, and what is in the store keeps its mode and owner: put the package in `copyToRoot`"
    )
    # A link itself may have an owner.
    assert said(layer(placed, Permission("/bin/*", is_glob=True, uid=5)))[1] == ("bin/a", 0o777, Owner(5, 0))


@pytest.mark.parametrize(
    ("permission", "error"),
    [
        (Permission("/gone", mode=0o600), '/gone: is not there: mend the path, or write create = "directory"'),
        (Permission("/b*", mode=0o600), "/b*: is not there: write it as `glob`"),
        (Permission("/a/x", mode=0o600), '/a/x: is not there: mend the path, or write create = "directory"'),
        (Permission("/a", creates=True), '/a: is there, but no directory: leave out create = "directory"'),
        (Permission("/b*", is_glob=True, uid=1), "/b*: nothing matches it: mend the pattern, or take the item out"),
        (Permission("/[z-a]", is_glob=True, uid=1), "/[z-a]: no pattern: bad character range z-a"),
        (Permission("/a", uid="app"), "/a: no user `app` in /etc/passwd: write users.app, or a number"),
        (Permission("/a", gid="app"), "/a: no group `app` in /etc/group: write groups.app, or a number"),
        (Permission("/d", capabilities=BIND), "/d: /d is no file: only files have capabilities"),
        (Permission("/l", mode=0o600), "/l: /l: more than 40 symbolic links on the way: a circle?"),
    ],
)
def test_what_is_refused(permission: Permission, error: str) -> None:
    assert failure([file("a"), directory("d"), link("l", "l")], permission) == f"perms: {error}"


def test_users_have_files_and_homes() -> None:
    entries = layer([directory("etc")], Permission("/etc", gid="app"), users=(User("app", 1000),))
    assert said(entries) == [
        ("etc/", 0o755, Owner(0, 1000)),
        ("etc/group", 0o644, ROOT),
        ("etc/passwd", 0o644, ROOT),
        ("etc/shadow", 0o600, ROOT),
        ("home/", 0o755, ROOT),
        ("home/app/", 0o700, Owner(1000, 1000)),
    ]


def test_accounts_of_the_base_keep_mode_and_owner_of_their_files() -> None:
    base = [
        directory("etc"),
        file("etc/passwd", b"root:x:0:0::/:\n", 0o640, Owner(0, 3)),
        file("etc/shadow", b"root:!::::::: \n", 0o640, Owner(0, 42)),
    ]
    entries = layer([], users=(User("app", 7, creates_home=False),), below=Below(*base))
    assert said(entries) == [
        ("etc/", 0o755, ROOT),
        ("etc/group", 0o644, ROOT),
        ("etc/passwd", 0o640, Owner(0, 3)),
        ("etc/shadow", 0o640, Owner(0, 42)),
    ]
    assert entries[2].data == b"root:x:0:0::/:\napp:x:7:7::/home/app:/bin/sh\n"


def test_names_are_looked_up_in_what_contents_bring_as_links_into_the_store() -> None:
    stored = {b"nix/store/h-nss/etc/passwd": b"www:x:80:80::/:\n", b"nix/store/h-nss/etc/group": b"www:x:81:\n"}
    placed = [directory("etc"), *(link(f"etc/{name}", f"/nix/store/h-nss/etc/{name}") for name in ("group", "passwd"))]
    entries = layer([*placed, file("x")], Permission("/x", uid="www", gid="www"), below=Below(store=stored))
    assert entries[-1].owner == Owner(80, 81)
    assert entries[:-1] == placed, "they stay links"
    entries = layer(placed, users=(User("app", 7),), below=Below(store=stored))
    assert [(entry.kind, entry.data) for entry in entries[1:3]] == [
        (Kind.FILE, b"www:x:81:\napp:x:7:\n"),
        (Kind.FILE, b"www:x:80:80::/:\napp:x:7:7::/home/app:/bin/sh\n"),
    ]


def test_a_home_that_is_there_is_given_to_its_user() -> None:
    below = Below(directory("home"), directory("home/app"), file("home/app/x"), link("data", "home"))
    users = (User("app", 7, home="/data/app", home_mode=0o750),)
    assert said(layer([], users=users, below=below))[-1] == ("home/app/", 0o750, Owner(7, 7))
    for home, leads in (("/x", "x"), ("/l", "nix/store/h"), ("/r", "")):
        assert failure([file("x"), link("l", "/nix/store/h"), link("r", "/")], users=(User("app", 7, home=home),)) == (
            f"users.app.home: {home} leads to /{leads}, which cannot be a home: write another one, or createHome = false"
        )


def test_odd_places_of_accounts() -> None:
    user = (User("app", 7),)
    assert failure([directory("etc"), directory("etc/passwd")], users=user) == (
        "/etc/passwd: no file, so no account can be looked up in it or added to it"
    )
    assert failure([link("etc", "/nix/store/h-etc")], users=user) == (
        "/etc/passwd: leads to /nix/store/h-etc/passwd, and nothing in the store can be changed"
    )
    big = Entry(b"etc/passwd", Kind.FILE, 0o644, size=1 << 30, path=b"/never/read")
    assert failure([directory("etc"), big], users=user) == "/etc/passwd: more than the 4194304 bytes that are read"
    moved = layer([directory("conf"), link("etc", "conf")], users=user)
    assert [entry.name for entry in moved][:3] == [b"conf/", b"conf/group", b"conf/passwd"]


def test_who_runs_it_must_be_there() -> None:
    below = Below(directory("etc"), file("etc/passwd", b"www:x:80:80::/:\n"), file("etc/group", b"www:x:80:\n"))
    assert with_owners([], below.tree, Owners(runs_as=("www", "www")), below, mtime=1) == ()
    for names, error in (
        (("app", None), "no user `app` in /etc/passwd, so no container would start: write users.app, or numbers"),
        ((None, "app"), "no group `app` in /etc/group, so no container would start: write groups.app, or numbers"),
    ):
        with pytest.raises(DockertoolsError) as caught:
            with_owners([], below.tree, Owners(runs_as=names), below, mtime=1)
        assert str(caught.value) == f"config.User: {error}"


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("a*", ["a", "ab", "a.b"], ["a/b", "ba"]),
        ("*", [".x", "x"], ["x/y"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab", "b/a/b"]),
        ("a/**/x", ["a/x", "a/b/x", "a/b/c/x"], ["a/bx", "x"]),
        ("**/*.so", ["x.so", "a/b/x.so"], ["x.so/y"]),
        ("**", ["a", "a/b"], []),
        ("a?c", ["abc", "a.c"], ["a/c", "ac"]),
        ("[a-c]x", ["ax", "bx"], ["dx", "/x"]),
        ("[!a-c]x", ["dx", "-x"], ["ax", "/x"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("a.b+(c)", ["a.b+(c)"], ["axb+(c)", "a.bb(c)"]),
        ("[ab", ["[ab"], ["a"]),
        ("a\\d", ["a\\d"], ["a5"]),
        ("*\n", ["a\n"], ["a"]),
        ("[é]?", ["éü"], ["é", "aü"]),
        ("[+--]", ["+", ",", "-"], ["."]),
        ("[]a]", [], ["a"]),
    ],
)
def test_patterns(text: str, yes: list[str], no: list[str]) -> None:
    wanted = pattern(text)
    assert [name for name in yes if not wanted.fullmatch(name)] == []
    assert [name for name in no if wanted.fullmatch(name)] == []


def test_a_pattern_goes_through_the_links_before_it() -> None:
    below = Below(directory("usr"), directory("usr/bin"), file("usr/bin/ab"), file("usr/bin/b"), link("bin", "usr/bin"))
    found = layer([], Permission("/bin/a*", is_glob=True, mode=0o4755), below=below)
    assert said(found)[-1] == ("usr/bin/ab", 0o4755, ROOT) and len(found) == 3


def test_random_changes_are_those_of_chmod_and_chown(tmp_path: Path) -> None:
    need_root()
    seeded = random.Random(11)
    for round_ in range(8):
        top = tmp_path / str(round_)
        top.mkdir()
        entries, names = [], [""]
        for number in range(25):
            folders = [name for name in names if (top / name).is_dir() and not (top / name).is_symlink()]
            parent = seeded.choice(folders)
            name = f"{parent}/{number}".lstrip("/")
            match seeded.randrange(4):
                case 0 | 1:
                    (top / name).mkdir()
                    entries.append(directory(name))
                case 2:
                    (top / name).write_bytes(b"x")
                    entries.append(file(name))
                case _:
                    (top / name).symlink_to("nowhere")
                    entries.append(link(name, "nowhere"))
            names.append(name)
        for name in names[1:]:
            if not (top / name).is_symlink():
                (top / name).chmod(0o755 if (top / name).is_dir() else 0o644)
        entries.sort(key=lambda entry: entry.name)
        split = seeded.randrange(25)
        # Some of it is the base's. What is in a directory is in order, so a base has all that lies above.
        below = Below(*entries[:split])
        asked = []
        for _ in range(8):
            name = seeded.choice([name for name in names[1:] if not (top / name).is_symlink()])
            mode, uid, gid = seeded.choice([0o700, 0o640, 0o2755, 0o1777]), seeded.randrange(9), seeded.randrange(9)
            recursive = seeded.random() < 0.4
            asked.append(Permission(f"/{name}", mode=mode, uid=uid, gid=gid, recursive=recursive))
            option = ["-R"] if recursive else []
            subprocess.run(["chown", "-h", *option, f"{uid}:{gid}", top / name], check=True)
            subprocess.run(["chmod", *option, f"0{mode:04o}", top / name], check=True)
        made = Tree()
        made.apply((entry, 0) for entry in entries[:split])
        made.apply((entry, 0) for entry in layer(entries[split:], *asked, below=below))
        for name, node in made.nodes():
            status = os.lstat(top / os.fsdecode(name))
            mode = 0o777 if node.entry.kind is Kind.SYMLINK else stat.S_IMODE(status.st_mode)
            assert (node.entry.mode, *node.entry.owner) == (mode, status.st_uid, status.st_gid), name
