"""Each script of the matrix says the same, and leaves the same tree, as with real root."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.root.looking import Ran, differences, look
from tests.root.scripts import SCRIPTS
from tests.root.trees import give_away, make_tree, run_ours, run_real, scratch

pytestmark = pytest.mark.xdist_group("root")  # they look for processes of the one user that all of them use

INTERPRETERS_THAT_READ = ("/fileops",)


class Both(NamedTuple):
    """What real root and ours made of the same tree."""

    real: dict[str, tuple[Any, ...]]
    ours: dict[str, tuple[Any, ...]]
    tops: dict[str, Path]
    ran: dict[str, Ran]

    def said(self, who: str, name: str) -> str:
        return (self.tops[who] / "out" / name).read_text()


def _driver() -> str:
    lines = ["mkdir /w"]
    for name, (interpreter, _) in SCRIPTS.items():
        script = f"< /scripts/{name}" if interpreter in (INTERPRETERS_THAT_READ,) else f"/scripts/{name} < /dev/null"
        lines += [
            f"mkdir /w/{name}; cd /w/{name}",
            f"{shlex.join(interpreter)} {script} > /out/{name} 2>&1; echo \"exit $?\" >> /out/{name}",
        ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def both(fileops: Path) -> Iterator[Both]:
    files: dict[str, str | bytes] = {
        "fileops": fileops.read_bytes(),
        "busybox": Path("/bin/busybox").read_bytes(),
        "out/.keep": "",
        "driver": _driver(),
        **{f"scripts/{name}": text for name, (_, text) in SCRIPTS.items()},
    }
    with scratch() as folder:
        tops = {name: make_tree(folder / name, files) for name in ("real", "ours")}
        give_away(tops["ours"])
        command = ("/bin/sh", "/driver")
        ran = {"real": run_real(tops["real"], command), "ours": run_ours(tops["ours"], command)}
        assert ran["real"].code == ran["ours"].code == 0, ran
        yield Both(look(tops["real"], ran["real"]), look(tops["ours"], ran["ours"]), tops, ran)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(both: Both, name: str) -> None:
    real, ours = both.said("real", name), both.said("ours", name)
    assert ours == real, f"real root says:\n{real}\nours says:\n{ours}"
    assert real.endswith("exit 0\n"), real
    expected, found = ({k: v for k, v in tree.items() if k.startswith(f"w/{name}/")} for tree in (both.real, both.ours))
    assert found == expected, differences(expected, found)


def test_what_lies_elsewhere(both: Both) -> None:
    def kept(tree: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        return {name: entry for name, entry in tree.items() if not name.startswith(("w/", "out/"))}

    expected, found = kept(both.real), kept(both.ours)
    assert found == expected, differences(expected, found)
    assert expected["etc/shadow"][1] == 0o640
    assert expected["home/u1"][2] == (601, 600)


def test_the_matrix_is_large_enough_and_the_oracle_is_real_root(both: Both) -> None:
    assert len(SCRIPTS) >= 60
    assert both.ran["real"].records is None
    assert len(both.ran["ours"].records or ()) > 50
    owners = {entry[2] for entry in both.real.values()}
    assert len(owners) > 30
