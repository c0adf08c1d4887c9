"""Users and groups merged into passwd, group, shadow and gshadow; what comes out is checked by pwck and grpck."""

import random
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.account import Group, Home, User
from dockertools_py.model.entry import Owner
from dockertools_py.pack.accounts import GROUP, GSHADOW, PASSWD, SHADOW, merge_accounts
from tests.clients.engines.engine import SYSTEM_PATH
from tests.clients.need import need, need_root

DEBIAN = {
    PASSWD: b"root:x:0:0:root:/root:/bin/bash\n"
    b"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
    b"node:x:1000:1000::/home/node:/bin/sh\n",
    GROUP: b"root:x:0:\nwww-data:x:33:\nusers:x:100:node\nnode:x:1000:\n",
    SHADOW: b"root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\nnode:!:19000:0:99999:7:::\n",
    GSHADOW: b"root:*::\nwww-data:*::\nusers:*::node\nnode:!::\n",
}


def texts(files: Mapping[str, bytes]) -> dict[str, list[str]]:
    return {name: data.decode().splitlines() for name, data in files.items()}


def test_where_nothing_is_root_and_nobody_come_first() -> None:
    accounts = merge_accounts([User("app", 1000, extra_groups=("logs",))], [Group("logs", 200)], {})
    assert texts(accounts.files) == {
        PASSWD: [
            "root:x:0:0:root:/root:/bin/sh",
            "nobody:x:65534:65534:nobody:/var/empty:/sbin/nologin",
            "app:x:1000:1000::/home/app:/bin/sh",
        ],
        GROUP: ["root:x:0:", "nobody:x:65534:", "logs:x:200:app", "app:x:1000:"],
        SHADOW: ["root:!:::::::", "nobody:!:::::::", "app:!:::::::"],
    }
    assert accounts.homes == (Home("app", "/home/app", 0o700, Owner(1000, 1000)),)
    assert accounts.uids == {"root": 0, "nobody": 65534, "app": 1000}
    assert accounts.gids == {"root": 0, "nobody": 65534, "logs": 200, "app": 1000}


def test_what_is_asked_for_goes_before_root_and_nobody() -> None:
    asked = [User("nobody", 99, home="/nonexistent"), User("root", 0, shell="/bin/bash", home="/data")]
    accounts = merge_accounts(asked, [Group("nogroup", 65534)], {})
    assert texts(accounts.files)[PASSWD] == ["nobody:x:99:99::/nonexistent:/bin/sh", "root:x:0:0::/data:/bin/bash"]
    assert texts(accounts.files)[GROUP] == ["root:x:0:", "nogroup:x:65534:", "nobody:x:99:"]
    assert [home.path for home in accounts.homes] == ["/data"]


def test_groups_alone_make_no_users() -> None:
    assert set(merge_accounts([], [Group("a", 5)], {}).files) == {GROUP}


def test_others_lines_stay_as_they_are() -> None:
    there = DEBIAN | {PASSWD: b"# by hand\n" + DEBIAN[PASSWD] + b"odd line\n+::::::\nlatin:x:7:7:\xe9::"}
    accounts = merge_accounts([User("app", 1001, 100, extra_groups=("www-data",))], [], there)
    assert accounts.files[PASSWD] == there[PASSWD] + b"\napp:x:1001:100::/home/app:/bin/sh\n"
    assert accounts.files[GROUP] == DEBIAN[GROUP].replace(b"www-data:x:33:", b"www-data:x:33:app")
    assert accounts.files[SHADOW] == DEBIAN[SHADOW] + b"app:!:::::::\n"
    assert accounts.files[GSHADOW] == DEBIAN[GSHADOW].replace(b"www-data:*::", b"www-data:*::app")


def test_the_same_again_is_no_change() -> None:
    users = [
        User("root", 0, 0, shell="/bin/bash"),
        User("www-data", 33, group="www-data"),
        User("node", 1000, extra_groups=("users",)),
    ]
    accounts = merge_accounts(users, [Group("node", 1000), Group("users", 100, ("node",))], DEBIAN)
    assert accounts.files == {}
    assert accounts.homes == (), "the homes of a base's users are its own affair"
    again = merge_accounts([User("app", 5, home="/srv")], [], DEBIAN)
    assert merge_accounts([User("app", 5, home="/srv")], [], DEBIAN | dict(again.files)).files == {}


def test_of_a_user_who_is_there_only_what_is_given_changes() -> None:
    accounts = merge_accounts([User("www-data", 33, home="/srv/www", extra_groups=("users",))], [], DEBIAN)
    assert texts(accounts.files)[PASSWD][1] == "www-data:x:33:33:www-data:/srv/www:/usr/sbin/nologin"
    assert texts(accounts.files)[GROUP][2] == "users:x:100:node,www-data"
    assert set(accounts.files) == {PASSWD, GROUP, GSHADOW}
    assert accounts.homes == (Home("www-data", "/srv/www", 0o700, Owner(33, 33)),)


def test_a_base_without_shadow_gets_a_line_for_each_of_its_users() -> None:
    there = {PASSWD: b"root:x:0:0::/root:/bin/sh\nopen::5:5::/:/bin/sh\n", GROUP: DEBIAN[GROUP]}
    assert texts(merge_accounts([User("app", 7)], [], there).files)[SHADOW] == ["root:!:::::::", "app:!:::::::"]


@pytest.mark.parametrize(
    ("users", "groups", "error"),
    [
        (
            [User("node", 1001)],
            [],
            "users.node.uid is 1001, but `node` has 1000 in /etc/passwd already: write that id, or another name",
        ),
        (
            [User("app", 1000, 100)],
            [],
            "users.app.uid is 1000, but that is `node` in /etc/passwd already: write another id, or that name",
        ),
        (
            [User("app", 100)],
            [],
            "users.app would have the group 100 of its own, but that is `users` in /etc/group already: "
            'write group = "users"',
        ),
        (
            [User("users", 5, 5)],
            [],
            "users.users would have the group 5 of its own, but `users` has 100 in /etc/group already: "
            'write group = "users"',
        ),
        (
            [User("node", 1000, 100)],
            [],
            "users.node would have the primary group 100, but it is 1000 in /etc/passwd already: "
            "write that one, or leave it out",
        ),
        (
            [User("app", 5, group="gone")],
            [],
            "users.app.group: no group `gone` in /etc/group: write groups.gone.gid = a number",
        ),
        (
            [User("app", 5, 100, extra_groups=("gone",))],
            [],
            "users.app.extraGroups: no group `gone` in /etc/group: write groups.gone.gid = a number",
        ),
        (
            [],
            [Group("node", 5), Group("app", 33)],
            "groups.node.gid is 5, but `node` has 1000 in /etc/group already: write that id, or another name; "
            "groups.app.gid is 33, but that is `www-data` in /etc/group already: write another id, or that name",
        ),
    ],
)
def test_conflicts_are_said_in_one_line(users: list[User], groups: list[Group], error: str) -> None:
    with pytest.raises(DockertoolsError) as caught:
        merge_accounts(users, groups, DEBIAN)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    "hostile", [b"\0\xff:::", b":" * 3000, b"root:x:\xd9\xa1:\xd9\xa1::", b"\n\n\n", b"root", b"a:b:-1:c"]
)
def test_files_that_nobody_should_have_do_not_stop_it(hostile: bytes) -> None:
    accounts = merge_accounts(
        [User("app", 7)], [], {PASSWD: hostile, GROUP: hostile, SHADOW: hostile, GSHADOW: hostile}
    )
    for name in (PASSWD, GROUP, SHADOW):
        assert accounts.files[name].startswith(hostile)
        assert accounts.files[name].splitlines()[-1].startswith(b"app:")


def test_pwck_and_grpck_find_nothing(tmp_path: Path) -> None:
    need_root()
    need("pwck", "grpck")
    seeded = random.Random(7)
    for round_ in range(6):
        there = DEBIAN if round_ % 2 else {}
        groups = [Group(f"g{n}", 2000 + n, ("root",) if n % 3 == 0 else ()) for n in range(seeded.randint(0, 9))]
        users = [
            User(
                f"u{n}",
                3000 + n,
                group=seeded.choice([None, "root", *(group.name for group in groups)]),
                description=seeded.choice([None, "Some One"]),
                home=seeded.choice([None, "/srv"]),
                extra_groups=tuple(seeded.sample([group.name for group in groups], len(groups) // 2)),
            )
            for n in range(1, seeded.randint(2, 9))
        ]
        files = dict(there) | dict(merge_accounts(users, groups, there).files)
        root = tmp_path / str(round_)
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        for home in ("root", "var/empty", "srv", "var/www", "home/node", *(f"home/u{n}" for n in range(9))):
            (root / home).mkdir(parents=True, exist_ok=True)
        for shell in ("bin/sh", "bin/bash", "usr/sbin/nologin", "sbin/nologin"):
            (root / shell).parent.mkdir(parents=True, exist_ok=True)
            (root / shell).touch(0o755)
        for program in ("pwck", "grpck"):
            command = [program, "--read-only", "--root", root]
            done = subprocess.run(
                command, capture_output=True, text=True, env={"PATH": SYSTEM_PATH, "LC_ALL": "C"}, check=False
            )
            assert (done.returncode, done.stdout + done.stderr) == (0, ""), files


def test_what_was_there_is_said() -> None:
    users = [User("www-data", 33, home="/srv/www", extra_groups=("users",)), User("root", 0), User("app", 5)]
    accounts = merge_accounts(users, [Group("users", 100, ("node", "root")), Group("new", 7)], DEBIAN)
    assert accounts.made == {"app"}
    assert accounts.notes == (
        "groups.users: in /etc/group already, gid 100: root joined it",
        "users.www-data: in /etc/passwd already, uid 33: home is /srv/www now, was /var/www",
        "users.root: in /etc/passwd already, uid 0: kept as it is",
    )


def test_after_scripts_only_changes_are_said_and_homes_are_made_again() -> None:
    users = [User("app", 5, shell="/bin/sh"), User("www-data", 33)]
    first = merge_accounts(users, [], DEBIAN)
    changed = first.files[PASSWD].replace(b":/home/app:/bin/sh", b":/srv/app:/bin/other")
    again = merge_accounts(users, [], DEBIAN | dict(first.files) | {PASSWD: changed}, first.made)
    assert again.notes == ("users.app: in /etc/passwd already, uid 5: shell is /bin/sh now, was /bin/other",)
    assert [home.path for home in again.homes] == ["/srv/app"], "where it is now"
    assert b"\napp:x:5:5::/srv/app:/bin/sh\n" in again.files[PASSWD]
