"""Nix's database: what is written is what Nix has itself, always the same bytes; what others wrote is not believed."""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.store.nix_database import ValidPath, closed, read_database, write_database


def path(name: str) -> str:
    return f"/nix/store/{'0' * 32}-{name}"


def row(name: str, *references: str, size: int = 1) -> ValidPath:
    return ValidPath(path(name), "sha256:" + f"{size:064x}", size, tuple(map(path, references)))


def some_rows(seed: int) -> list[ValidPath]:
    chance = random.Random(seed)
    names = [f"p{n}" for n in range(chance.randint(0, 300))]
    rows = [
        row(name, *chance.sample(names, min(len(names), chance.randint(0, 6))), size=n) for n, name in enumerate(names)
    ]
    chance.shuffle(rows)
    return rows


def in_any_order(rows: list[ValidPath]) -> set[tuple[object, ...]]:
    return {(r.path, r.nar_hash, r.nar_size, frozenset(r.references), r.ca, r.deriver) for r in rows}


@pytest.mark.parametrize("seed", range(8))
def test_read_back(tmp_path: Path, seed: int) -> None:
    rows = some_rows(seed)
    write_database(tmp_path / "db", rows, 1)
    assert in_any_order(list(read_database(tmp_path / "db", "x"))) == in_any_order(rows)
    with closing(sqlite3.connect(tmp_path / "db")) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert database.execute("pragma foreign_key_check").fetchall() == []
        assert {time for (time,) in database.execute("select registrationTime from ValidPaths")} <= {1}


def test_bytes_follow_from_the_rows(tmp_path: Path) -> None:
    """#289813: in any order, after any number of changes, and whatever another version of SQLite calls itself."""
    rows = some_rows(3)
    write_database(tmp_path / "one", rows, 1)
    write_database(tmp_path / "two", list(reversed(rows)), 1)
    data = (tmp_path / "one").read_bytes()
    assert data == (tmp_path / "two").read_bytes()
    assert len(rows) > 100 and rows[0].path.encode() in data
    assert int.from_bytes(data[96:100], "big") == 3_040_000 and data[24:28] == data[92:96] == b"\0\0\0\1"


OF_NIX_ALONE = {"SchemaMigrations"}
"""Tables that newer Nix makes by itself where they are missing, as test_nix_works_in_it shows of each Nix that runs it."""


def test_the_schema_is_that_of_nix(tmp_path: Path) -> None:
    """A database of Nix's own, from an empty store: each table has the same columns in the same order, and the same keys."""
    store = tmp_path / "store"
    (tmp_path / "file").write_text("x")
    subprocess.run(["nix-store", "--store", store, "--add", tmp_path / "file"], check=True, capture_output=True)
    write_database(tmp_path / "ours", [row("a")], 1)
    theirs, ours = tables(store / "nix/var/nix/db/db.sqlite"), tables(tmp_path / "ours")
    assert {name: table for name, table in theirs.items() if name not in OF_NIX_ALONE} == ours
    assert {"ValidPaths", "Refs", "DerivationOutputs"} <= set(ours)
    subprocess.run(["chmod", "-R", "u+w", store], check=True)


def tables(file: Path) -> dict[str, tuple[object, ...]]:
    """Of each table in a database: its columns, its keys, and the names of its indices and triggers."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        things = database.execute("select type, name, tbl_name from sqlite_master order by type, name").fetchall()
        return {
            name: (
                database.execute(f"pragma table_info({name})").fetchall(),
                database.execute(f"pragma foreign_key_list({name})").fetchall(),
                [thing for thing in things if thing[2] == name],
            )
            for kind, name, _ in things
            if kind == "table"
        }


def test_nix_works_in_it(tmp_path: Path) -> None:
    """A store with a database of ours is one that Nix checks, asks, adds to and collects garbage in."""
    store, folder = tmp_path / "nix/store", tmp_path / "nix/var/nix/db"
    folder.mkdir(parents=True)
    store.mkdir()
    rows = [_file(store, "used"), _file(store, "root", "used", "root"), _file(store, "unused", "used")]
    write_database(folder / "db.sqlite", rows, 1)
    (folder / "schema").write_text("10")
    (tmp_path / "nix/var/nix/gcroots").mkdir()
    (tmp_path / "nix/var/nix/gcroots/root").symlink_to(path("root"))
    (tmp_path / "file").write_text("x")

    def nix(*arguments: str | Path) -> str:
        command = ["nix-store", "--store", tmp_path, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    nix("--verify", "--check-contents")
    assert set(nix("--query", "--references", path("root")).split()) == {path("root"), path("used")}
    assert set(nix("--query", "--referrers", path("used")).split()) == {path("root"), path("unused")}
    added = nix("--add", tmp_path / "file").strip()
    assert nix("--query", "--hash", added).startswith("sha256:")
    nix("--gc")
    left = {path("used"), path("root")}
    assert {row.path for row in read_database(folder / "db.sqlite", "x")} == left
    assert {f"/nix/store/{file.name}" for file in store.iterdir() if file.name[0] != "."} == left
    nix("--verify", "--check-contents")
    subprocess.run(["chmod", "-R", "u+w", tmp_path / "nix"], check=True)


def _file(store: Path, name: str, *references: str) -> ValidPath:
    """A file in a store, which says its references."""
    file = store / Path(path(name)).name
    file.write_text("".join(map(path, references)))
    file.chmod(0o444)
    os.utime(file, (1, 1))
    archive = subprocess.run(["nix-store", "--dump", file], check=True, capture_output=True).stdout
    digest = hashlib.sha256(archive).hexdigest()
    return ValidPath(path(name), f"sha256:{digest}", len(archive), tuple(map(path, references)))


def test_without_its_closure_nothing_is_valid() -> None:
    rows = [row("a", "b"), row("b", "c"), row("c", "gone"), row("d", "known", "d"), row("e", "d"), row("f", "a", "d")]
    assert {r.path for r in closed(rows, [path("known")])} == {path("d"), path("e")}
    assert {r.path for r in closed(rows, [path("known"), path("gone")])} == {r.path for r in rows}


def _table(file: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
    return file


PATHS = "create table ValidPaths (id integer primary key, path, hash, registrationTime, deriver, narSize, ca)"
REFS = "create table Refs (referrer integer, reference integer)"
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 0 or i > 0) select i, i from n"
HASH = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ([], "it has no tables"),
        ([PATHS], "it has no tables"),
        ([PATHS, f"create view Refs (referrer, reference) as {ENDLESS}"], "it has no tables"),
        (
            [PATHS, REFS, "insert into ValidPaths values (1, '/etc/passwd', 'x', 1, null, 1, null)"],
            "which is no store path",
        ),
        (
            [PATHS, REFS, f"insert into ValidPaths values (1, '{path('a')}/../x', '{HASH}', 1, '', 1, '')"],
            "is no store path",
        ),
        ([PATHS, REFS, f"insert into ValidPaths values (1, x'00', '{HASH}', 1, '', 1, '')"], "is no store path"),
        ([PATHS, REFS, f"insert into ValidPaths values (1, '{path('a')}', 'md5:0', 1, '', 1, '')"], "is no SHA-256"),
        (
            [PATHS, REFS, f"insert into ValidPaths values (1, '{path('a')}', '{HASH}', 1, '', -1, '')"],
            "has the size -1",
        ),
        (
            [PATHS, REFS, f"insert into ValidPaths values (1, '{path('a')}', '{HASH}', 1, '', 'x', '')"],
            "has the size x",
        ),
    ],
)
def test_somebody_else_s(tmp_path: Path, statements: list[str], message: str) -> None:
    with pytest.raises(DockertoolsError, match=f"^base: .*{message}"):
        read_database(_table(tmp_path / "db", *statements), "base")


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_what_is_no_database(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "db").write_bytes(data)
    with pytest.raises(DockertoolsError, match=r"^base: no database of Nix"):
        read_database(tmp_path / "db", "base")


@pytest.mark.parametrize("seed", range(20))
def test_damaged_ones_are_errors_or_rows(tmp_path: Path, seed: int) -> None:
    """Bytes changed at random never crash it, and what it returns is always paths of a store."""
    write_database(tmp_path / "db", some_rows(5), 1)
    chance = random.Random(seed)
    data = bytearray((tmp_path / "db").read_bytes())
    for _ in range(chance.choice([1, 10, 200])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    (tmp_path / "db").write_bytes(data)
    try:
        rows = read_database(tmp_path / "db", "base")
    except DockertoolsError as error:
        assert str(error).startswith("base: ")
    else:
        assert all(r.path.startswith("/nix/store/") for r in rows)


def test_in_a_pythons_own_words(tmp_path: Path) -> None:
    """Written by another process with another hash seed and locale: the same bytes."""
    code = (
        "import sys; from pathlib import Path; from tests.store.test_nix_database import some_rows;"
        "from dockertools_py.store.nix_database import write_database; write_database(Path(sys.argv[1]), some_rows(3), 1)"
    )
    write_database(tmp_path / "one", some_rows(3), 1)
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}
        file = tmp_path / seed
        subprocess.run([sys.executable, "-c", code, file], check=True, env=environment, cwd=Path(__file__).parents[2])
        assert file.read_bytes() == (tmp_path / "one").read_bytes()
