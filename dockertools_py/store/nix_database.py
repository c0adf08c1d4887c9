"""Nix's database: which store paths are valid, with hash, size and references.

A store without one is a folder of files to Nix, which it would build or fetch again. The schema is Nix's own, number 10 since
Nix 2.0 (its `schema.sql`); newer versions add tables beside it by themselves.

Bytes. SQLite writes its own version, and a counter of changes, in the header of a file ("Database File Format", 1.3), and
leaves what was deleted in free pages. So rows are put in sorted, the file is packed at the end, and these fields get fixed
values: what is in the file depends on the rows alone.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.nar_hash import parse_nar_hash
from dockertools_py.model.references_graph import is_store_path

SCHEMA = "10"

_TABLES = """
create table ValidPaths (
    id integer primary key autoincrement not null,
    path text unique not null,
    hash text not null,
    registrationTime integer not null,
    deriver text,
    narSize integer,
    ultimate integer,
    sigs text,
    ca text
);
create table Refs (
    referrer integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths begin
    delete from Refs where referrer = old.id and reference = old.id;
end;
create table DerivationOutputs (
    drv integer not null,
    id text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index IndexDerivationOutputs on DerivationOutputs(path);
"""

_CHANGE_COUNTER, _VALID_FOR, _VERSION = 24, 92, 96
_ANY_VERSION = 3_040_000
"""Of SQLite; readers do not look at it."""

MAX_PATHS, MAX_REFERENCES = 1_000_000, 20_000_000


@dataclass(frozen=True, slots=True)
class ValidPath:
    """A row: `nar_hash` as `sha256:` and hexadecimal digits, `nar_size` in bytes, `references` with itself where it says so."""

    path: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...]
    ca: str = ""
    """How its path follows from its content, where it does; see the Nix manual, "Content-addressed store objects"."""
    deriver: str = ""


def write_database(file: Path, paths: Iterable[ValidPath], registration_time: int) -> None:
    """Write a new database. All references must be among `paths`."""
    rows = sorted(paths, key=lambda row: row.path)
    numbers = {row.path: number for number, row in enumerate(rows, 1)}
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript(
            "pragma page_size = 4096; pragma journal_mode = off; pragma synchronous = off;" + _TABLES
        )
        database.execute("begin")
        database.executemany(
            "insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize, ca) values (?, ?, ?, ?, ?, ?, ?)",
            (
                (numbers[r.path], r.path, r.nar_hash, registration_time, r.deriver or None, r.nar_size, r.ca or None)
                for r in rows
            ),
        )
        database.executemany(
            "insert into Refs (referrer, reference) values (?, ?)",
            ((numbers[row.path], numbers[other]) for row in rows for other in sorted(set(row.references))),
        )
        database.execute("commit")
        database.execute("vacuum")
    with file.open("r+b") as out:
        for offset, value in ((_CHANGE_COUNTER, 1), (_VALID_FOR, 1), (_VERSION, _ANY_VERSION)):
            out.seek(offset)
            out.write(value.to_bytes(4, "big"))


def read_database(file: Path, what: str) -> tuple[ValidPath, ...]:
    """The valid paths of somebody else's database, of which nothing is believed that was not looked at.

    Raises DockertoolsError, with `what` as its name, for what is no such database.
    """
    try:
        with closing(sqlite3.connect(f"file:{file}", uri=True)) as database:
            database.execute("pragma trusted_schema = off")
            database.execute("pragma cell_size_check = on")
            _check_tables(database, what)
            columns = "id, path, hash, narSize, ca, deriver"
            rows = database.execute(f"select {columns} from ValidPaths limit ?", (MAX_PATHS + 1,)).fetchall()
            if len(rows) > MAX_PATHS:
                raise DockertoolsError(f"{what}: more than {MAX_PATHS} store paths")
            names = {row[0]: row[1] for row in rows}
            references: dict[int, list[str]] = {}
            pairs = database.execute("select referrer, reference from Refs limit ?", (MAX_REFERENCES,))
            for referrer, reference in pairs:
                if referrer in names and reference in names:
                    references.setdefault(referrer, []).append(names[reference])
    except (sqlite3.Error, UnicodeError) as error:
        raise DockertoolsError(f"{what}: no database of Nix that can be read: {shown(error)}") from error
    return tuple(_checked(what, row, references.get(row[0], ())) for row in rows)


def _check_tables(database: sqlite3.Connection, what: str) -> None:
    """That both are tables: a view or a virtual table may be a program without an end."""
    query = (
        "select lower(substr(sql, 1, 13)) from sqlite_master where name in ('ValidPaths', 'Refs') and type = 'table'"
    )
    if [row[0] for row in database.execute(query)] != ["create table "] * 2:
        raise DockertoolsError(f"{what}: no database of Nix: it has no tables `ValidPaths` and `Refs`")


def _checked(what: str, row: Sequence[object], references: Sequence[str]) -> ValidPath:
    _, path, nar_hash, nar_size, ca, deriver = row
    if not (isinstance(path, str) and is_store_path(path) and isinstance(nar_hash, str)):
        raise DockertoolsError(
            f"{what}: a row of its table of valid paths is about {shown(path)}, which is no store path"
        )
    if not isinstance(nar_size, int) or nar_size < 0:
        raise DockertoolsError(f"{what}: {path} has the size {shown(nar_size)}")
    texts = [text if isinstance(text, str) else "" for text in (ca, deriver)]
    return ValidPath(path, parse_nar_hash(nar_hash, f"{what}: {path}"), nar_size, tuple(references), *texts)


def closed(rows: Iterable[ValidPath], known: Iterable[str]) -> tuple[ValidPath, ...]:
    """Those of `rows` whose references are all there, among them or in `known`: a path without its closure is not valid."""
    there = {row.path: row for row in rows}
    others = frozenset(known)
    while lacking := [r.path for r in there.values() if not all(o in there or o in others for o in r.references)]:
        for path in lacking:
            del there[path]
    return tuple(there.values())
