"""The subuid and subgid of several images as those of one."""

from dockertools_py.pack.subordinate_ids import RangesText, unite_ranges


def union(*images: bytes, inherited: bytes = b"") -> tuple[bytes, tuple[str, ...]]:
    """The last of the images has `inherited` in common with one before it."""
    texts = [RangesText(f"image {number}", text, b"") for number, text in enumerate(images, start=1)]
    last = texts.pop()
    return unite_ranges("etc/subuid", [*texts, RangesText(last.image, last.own, inherited)])


def test_ranges_that_meet_move_up() -> None:
    assert union(b"app:100000:65536\n", b"web:100000:65536\nlow:5:10\n", b"kid:165535:2") == (
        b"app:100000:65536\nweb:165536:65536\nlow:5:10\nkid:231072:2\n",
        (
            "/etc/subuid: `web` of image 2 has 165536:65536 now, was 100000:65536",
            "/etc/subuid: `kid` of image 3 has 231072:2 now, was 165535:2",
        ),
    )


def test_a_name_has_the_ranges_of_the_first_image() -> None:
    assert union(b"app:10:5\napp:20:5\n", b"app:30:5\nweb:30:5\n") == (b"app:10:5\napp:20:5\nweb:30:5\n", ())
    # Of one user they may meet: that is the image's own matter.
    assert union(b"x:1:1\n", b"app:10:5\napp:12:5\n") == (b"x:1:1\napp:10:5\napp:12:5\n", ())


def test_of_a_base_of_both_only_changes_count() -> None:
    base = b"old:10:5\nboth:20:5\n"
    assert union(base + b"a:30:5\n", base + b"b:30:5\n", inherited=base)[0] == base + b"a:30:5\nb:35:5\n"
    assert union(base + b"a:30:5\n", b"both:20:5\n", inherited=base)[0] == b"both:20:5\na:30:5\n"


def test_odd_lines_stay() -> None:
    odd = b"\xff:1:2:3\nx\ny:-1:5\nz:1e3:5\nw:99999999999999999999999:1\n"
    moved = "/etc/subuid: `` of image 2 has 100:1 now, was 5:1"
    assert union(b"app:0:100\n\n", odd + b":5:1\n") == (b"app:0:100\n" + odd + b":100:1\n", (moved,))
