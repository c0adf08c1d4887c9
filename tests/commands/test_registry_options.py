"""Where `--digest-file` writes."""

import os
import threading
from pathlib import Path

import pytest

from dockertools_py.commands.registry_options import check_digest_file, write_digest
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest

DIGEST = Digest.parse("sha256:" + "0a" * 32)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("longer than what comes" * 9)
    (tmp_path / "other-name").hardlink_to(tmp_path / "file")
    write_digest(tmp_path / "file", DIGEST)
    assert (tmp_path / "file").read_text() == f"{DIGEST}\n"
    assert (tmp_path / "other-name").read_text() != f"{DIGEST}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other-name"}


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_digest(tmp_path / "link", DIGEST)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == f"{DIGEST}\n"


def test_a_pipe_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_digest(tmp_path / "pipe", DIGEST)
    reader.join(60)
    assert read == [f"{DIGEST}\n"] and (tmp_path / "pipe").is_fifo()


def test_no_folder_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(DockertoolsError) as raised:
        check_digest_file(tmp_path / "none" / "file")
    assert str(raised.value) == f"--digest-file {tmp_path}/none/file: {tmp_path}/none is no directory"
