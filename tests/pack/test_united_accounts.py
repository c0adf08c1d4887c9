"""The accounts of several images as those of one."""

import random

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.accounts import GROUP, GSHADOW, PASSWD, SHADOW
from dockertools_py.pack.united_accounts import ImageAccounts, United, unite

ROOT, NODE = "root:x:0:0::/root:/bin/sh", "node:x:1000:1000::/home/node:/bin/sh"
APP, WEB = "app:x:1001:1001::/home/app:/bin/sh", "web:x:1002:1002::/home/web:/bin/sh"


def text(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def union(file: str, *images: tuple[str, ...], inherited: tuple[str, ...] = (), last_wins: bool = False) -> United:
    """The last of the images has `inherited` in common with one before it."""
    given = [ImageAccounts(f"image {number}", {file: text(*lines)}) for number, lines in enumerate(images, start=1)]
    last = given.pop()
    return unite([*given, ImageAccounts(last.image, last.files, {file: text(*inherited)})], last_wins=last_wins)


def lines(found: United, file: str) -> list[str]:
    return found.files[file].decode().splitlines()


def failure(*args: object, **options: object) -> str:
    with pytest.raises(DockertoolsError) as caught:
        union(*args, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_lines_come_in_the_order_of_images() -> None:
    found = union(PASSWD, (ROOT, APP), (WEB, ROOT), (NODE, APP))
    assert lines(found, PASSWD) == [ROOT, APP, WEB, NODE]
    assert found.notes == ("/etc/passwd: web of image 2 added", "/etc/passwd: node of image 3 added")


def test_equal_files_need_nothing() -> None:
    assert union(PASSWD, (ROOT, APP), (ROOT, APP)) == United({}, ())
    assert unite([ImageAccounts("a", {PASSWD: text(ROOT)}), ImageAccounts("b", {})]) == United({}, ())


def test_members_of_groups_are_those_of_all() -> None:
    found = union(GROUP, ("logs:x:5:app,node", "a:x:1:"), ("logs:x:5:web,app", "a:x:1"))
    assert lines(found, GROUP) == ["logs:x:5:app,node,web", "a:x:1:"]
    found = union(GSHADOW, ("logs:!:root:app",), ("logs:!:adm:web",))
    assert lines(found, GSHADOW) == ["logs:!:root,adm:app,web"] and found.notes == ()


def test_other_fields_may_differ_and_are_said() -> None:
    other = "root:x:0:0:Super:/root:/bin/bash"
    for last_wins, kept, image in ((False, ROOT, 1), (True, other, 2)):
        found = union(PASSWD, (ROOT, APP), (other, WEB), last_wins=last_wins)
        assert lines(found, PASSWD) == [kept, APP, WEB]
        assert found.notes[0] == (
            "/etc/passwd: `root` is not the same in description, shell in image 1 and image 2; "
            f"the line of image {image} counts"
        )


def test_nothing_of_shadow_is_told() -> None:
    found = union(SHADOW, ("root:$6$secret:1::::::",), ("root:$6$other:2::::::", "app:!:::::::"))
    assert lines(found, SHADOW) == ["root:$6$secret:1::::::", "app:!:::::::"]
    assert found.notes == (
        "/etc/shadow: `root` is not the same in image 1 and image 2; the line of image 1 counts",
        "/etc/shadow: app of image 2 added",
    )


def test_accounts_of_an_image_without_shadow_are_locked() -> None:
    images = [
        ImageAccounts("a", {PASSWD: text(ROOT), SHADOW: text("root:!:::::::"), GSHADOW: text("root:*::")}),
        ImageAccounts("b", {PASSWD: text(APP, "free::9:9::/:/x"), GROUP: text("root:x:0:", "app:x:1001:")}),
    ]
    found = unite(images)
    assert lines(found, SHADOW) == ["root:!:::::::", "app:!:::::::"]
    assert lines(found, GSHADOW) == ["root:*::", "app:!::"]
    assert set(found.files) == {PASSWD, SHADOW, GSHADOW}


def test_ids_that_do_not_fit_together() -> None:
    assert failure(PASSWD, (APP,), ("app:x:7:8::/:/bin/sh",)) == (
        "mergeImages: `app` in /etc/passwd is 1001:1001 in image 1 and 7:8 in image 2: "
        "give it the same ids in both, or allowOverride = true if the last image shall win"
    )
    assert failure(PASSWD, (APP,), ("web:x:1001:8::/:/bin/sh",)) == (
        "mergeImages: 1001 in /etc/passwd is `app` in image 1 and `web` in image 2, so what belongs to one would be the "
        "other's: give one of them another number, or allowOverride = true to have both"
    )
    both = failure(GROUP, ("a:x:1:", "b:x:2:"), ("a:x:3:", "c:x:2:"))
    assert both.startswith("mergeImages: `a` in /etc/group is 1 in image 1 and 3 in image 2: ")
    assert "; 2 in /etc/group is `b` in image 1 and `c` in image 2, so " in both and "\n" not in both
    # What two images disagree about in a name that no terminal should see.
    assert "\x1b" not in failure(PASSWD, ("a\x1b:x:1:1:::",), ("a\x1b:x:2:2:::",))


def test_the_last_image_may_win() -> None:
    found = union(PASSWD, (APP, NODE), ("app:x:7:8::/:/bin/sh", "web:x:1000:8::/:/bin/sh"), last_wins=True)
    assert lines(found, PASSWD) == ["app:x:7:8::/:/bin/sh", NODE, "web:x:1000:8::/:/bin/sh"]
    assert found.notes[1] == "1000 in /etc/passwd is `node` in image 1 and `web` in image 2"


def test_an_image_may_have_two_names_for_one_number() -> None:
    toor = "toor:x:0:0::/root:/bin/sh"
    assert lines(union(PASSWD, (ROOT, toor), (ROOT, toor, APP)), PASSWD) == [ROOT, toor, APP]
    assert lines(union(PASSWD, (ROOT,), (toor, ROOT)), PASSWD) == [ROOT, toor]
    assert "0 in /etc/passwd is `root`" in failure(PASSWD, (ROOT,), (toor,))


def test_nobody_may_have_two_names() -> None:
    found = union(GROUP, ("nogroup:x:65534:",), ("nobody:x:65534:",))
    assert lines(found, GROUP) == ["nogroup:x:65534:", "nobody:x:65534:"]


def test_of_a_base_of_both_only_changes_count() -> None:
    changed = "node:x:1000:1000::/srv:/bin/sh"
    base = (ROOT, NODE)
    # The first has changed a line, which the second only inherits; and the other way round.
    assert lines(union(PASSWD, (ROOT, changed, APP), (*base, WEB), inherited=base), PASSWD) == [ROOT, changed, APP, WEB]
    found = union(PASSWD, (*base, APP), (ROOT, changed, WEB), inherited=base)
    assert lines(found, PASSWD) == [ROOT, changed, APP, WEB] and len(found.notes) == 1
    # Taken out by one of them.
    assert lines(union(PASSWD, (ROOT, APP), (*base, WEB), inherited=base), PASSWD) == [ROOT, APP, WEB]
    assert lines(union(PASSWD, (*base, APP), (ROOT, WEB), inherited=base), PASSWD) == [ROOT, APP, WEB]
    # Taken out by one, and changed by the other.
    assert lines(union(PASSWD, (ROOT, APP), (ROOT, changed), inherited=base), PASSWD) == [ROOT, APP, changed]
    assert lines(union(PASSWD, (ROOT, changed), (ROOT, APP), inherited=base), PASSWD) == [ROOT, changed, APP]
    # A number that one of them has changed: what the other has made belongs to the old one.
    assert "`node` in /etc/passwd is 1000:1000 in image 1 and 5:5 in image 2: " in failure(
        PASSWD, (*base, APP), (ROOT, "node:x:5:5::/:/x"), inherited=base
    )


def test_odd_lines_stay() -> None:
    odd = ("# a comment", "+::::::", "broken:x", "caf\udce9:x:7:7:::")
    images = [ImageAccounts("a", {PASSWD: text(ROOT)})]
    images.append(ImageAccounts("b", {PASSWD: "\n".join(odd).encode("utf-8", "surrogateescape")}))
    data = unite(images).files[PASSWD].decode("utf-8", "surrogateescape")
    assert data.splitlines() == [ROOT, *odd]


@pytest.mark.parametrize("seed", range(50))
def test_nobody_is_lost_and_no_name_is_there_twice(seed: int) -> None:
    chance = random.Random(seed)
    everybody = [f"u{number}:x:{number}:{number}::/:/x" for number in range(20)]
    images = [tuple(chance.sample(everybody, chance.randint(1, 20))) for _ in range(chance.randint(2, 5))]
    found = union(PASSWD, *images)
    wanted = list(dict.fromkeys(line for image in images for line in image))
    assert wanted == (lines(found, PASSWD) if found.files else list(images[0]))
