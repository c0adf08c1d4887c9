"""What a file is, of what the disk says and what the table knows, and which builders have a range of ids."""

import os
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Kind
from dockertools_py.root.table import Recorded
from dockertools_py.root.uid_range import require, told

CAPABILITY = (("security.capability", b"x"),)
KNOWN = Recorded(5, 6, 0o4755, Kind.FILE, xattrs=CAPABILITY)


def status(mode: int, uid: int, gid: int) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "owner", "known", "found"),
    [
        (0o644, (7, 8), None, Recorded(7, 8, 0o644, Kind.FILE)),
        (0o4711, (7, 8), None, Recorded(7, 8, 0o4711, Kind.FILE)),
        (0o755, (5, 6), KNOWN, KNOWN),
        (0o700, (5, 6), KNOWN, KNOWN._replace(mode=0o4700)),
        (0o755, (5, 7), KNOWN, Recorded(5, 7, 0o755, Kind.FILE)),
        (0o755, (0, 6), KNOWN, Recorded(0, 6, 0o755, Kind.FILE)),
        (0o775, (7, 6), Recorded(5, 6, 0o2755, Kind.DIRECTORY), Recorded(7, 6, 0o2775, Kind.DIRECTORY)),
        (0o600, (0, 0), Recorded(0, 0, 0o666, Kind.CHARACTER, (1, 3)), Recorded(0, 0, 0o600, Kind.CHARACTER, (1, 3))),
    ],
)
def test_disk_and_table_together(
    mode: int, owner: tuple[int, int], known: Recorded | None, found: Recorded
) -> None:
    kind = Kind.DIRECTORY if known and known.kind is Kind.DIRECTORY else Kind.FILE
    assert told(status(mode, *owner), kind, known) == found


@pytest.mark.parametrize(
    ("uid", "uids", "gids", "count"),
    [
        (0, "0 872415232 65536", "0 872415232 65536", None),
        (0, "0 872415232 131072", "0 872415232 131072", None),
        (0, "0 1000 1", "0 100 1", 1),
        (0, "0 1000 1\n1 100000 65536", "0 1000 1\n1 100000 65536", 65537),
        (0, "0 872415232 65536", "0 100 1", 1),
        (0, "0 0 4294967295", "0 0 4294967295", 4294967295),
        (1000, "1000 30001 1", "100 30000 1", 1),
    ],
)
def test_who_has_ids_of_its_own(
    uid: int, uids: str, gids: str, count: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/uid_map").write_text(f"{uids}\n")
    (tmp_path / "self/gid_map").write_text(f"{gids}\n")
    monkeypatch.setattr("os.getuid", lambda: uid)
    if count is None:
        require(tmp_path)
        return
    with pytest.raises(DockertoolsError) as error:
        require(tmp_path)
    said = f"this builder has uid {uid} of {count} ids, and must have 0 of 65536 of its own: it needs Nix 2.12"
    assert said in str(error.value)
