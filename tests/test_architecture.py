"""The arrows between the parts, enforced: who may import whom, and that nothing but the standard library is needed."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "dockertools_py"
MAX_LINES = 330

EDGES = ("report", "engines", "registry", "root", "formats", "store")
BELOW: dict[str, tuple[str, ...]] = {
    "errors": (),
    "parallel": ("errors",),
    "model": ("errors",),
    "pack": ("model", "errors"),
    **dict.fromkeys(EDGES, ("pack", "model", "parallel", "errors")),
    "commands": (*EDGES, "pack", "model", "errors"),
    "derivations": (*EDGES, "pack", "model", "errors"),
    "__init__": (),
    "__main__": ("commands", "derivations", "errors"),
}
"""Whom each part may import besides itself. The edges meet in values of `pack`, never in one another."""


@dataclass(frozen=True)
class Module:
    """A module of the package, and the names of the modules that it imports anywhere, functions included."""

    path: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        return str(self.path.relative_to(PACKAGE))

    @property
    def part(self) -> str:
        return self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    def imports(self) -> set[str]:
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: a relative import"
                assert node.module
                found.add(node.module)
                # `from dockertools_py.model import digest` names a module too.
                found |= {f"{node.module}.{a.name}" for a in node.names if node.module.count(".") < 2}
        return found

    def parts(self) -> set[str]:
        """The parts of the package that it imports."""
        ours = (name.split(".") for name in self.imports() if name.split(".")[0] == PACKAGE.name)
        return {name[1] if len(name) > 1 and name[1] != "__version__" else "__init__" for name in ours}


MODULES = [Module(path, ast.parse(path.read_bytes())) for path in sorted(PACKAGE.rglob("*.py"))]


@pytest.fixture(params=MODULES, ids=lambda module: module.name)
def module(request: pytest.FixtureRequest) -> Module:
    return request.param  # type: ignore[no-any-return]


def test_all_modules_were_looked_at() -> None:
    assert len(MODULES) >= 40
    assert {module.part for module in MODULES} >= {
        "errors",
        "model",
        "pack",
        "store",
        "formats",
        "commands",
        "derivations",
    }
    assert sum(len(module.parts()) for module in MODULES) > 100


def test_every_part_has_its_place() -> None:
    assert {module.part for module in MODULES} <= set(BELOW)


def test_arrows(module: Module) -> None:
    wrong = module.parts() - {module.part, "__init__", *BELOW[module.part]}
    assert not wrong, f"{module.name} imports {wrong}, but {module.part} may import {BELOW[module.part]} only"


def test_only_the_standard_library(module: Module) -> None:
    others = {name.split(".")[0] for name in module.imports()} - {PACKAGE.name, "compression"}  # Python 3.14's
    assert others <= sys.stdlib_module_names


def test_docstrings_of_modules_and_of_what_is_public(module: Module) -> None:
    assert ast.get_docstring(module.tree)
    things = [*module.tree.body]
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            things += node.body
    for node in things:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module.name}: {node.name} has no docstring"


def test_files_are_short(module: Module) -> None:
    assert len(module.path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("part", ["model", "pack"])
def test_the_core_opens_no_file_and_knows_no_clock(part: str) -> None:
    looked = [module for module in MODULES if module.part == part]
    assert len(looked) > 5
    # `pack` runs the program zstd, and zlib on threads; neither touches a file.
    allowed = {"subprocess"} if part == "pack" else set()
    for module in looked:
        for name in module.imports():
            assert (
                name.split(".")[0]
                not in {"os", "pathlib", "time", "socket", "tempfile", "random", "subprocess"} - allowed
            )
        calls = {n.func.id for n in ast.walk(module.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert "open" not in calls


def test_every_verb_has_its_module() -> None:
    from dockertools_py.__main__ import VERBS

    names = {module.path.stem for module in MODULES if module.part == "commands"}
    assert set(VERBS) <= names


def test_an_arrow_that_is_wrong_would_be_found() -> None:
    source = "def f():\n    from dockertools_py.store import walk\n    import requests\n"
    module = Module(PACKAGE / "model/new.py", ast.parse(source))
    assert module.parts() == {"store"}
    with pytest.raises(AssertionError, match=r"model/new.py imports \{'store'\}"):
        test_arrows(module)
    with pytest.raises(AssertionError):
        test_only_the_standard_library(module)
