"""The documents: their examples are evaluated and built, their links lead somewhere."""

import re
from pathlib import Path

import pytest

from dockertools_py.__main__ import VERBS
from tests.conftest import CHECKOUT, Nix

DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```nix( evaluated)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""What needs a registry or a feature of the builder says `evaluated`: the derivations are made, and not built."""
_FILES = {"./alpine.lock.json": "./tests/fixtures/alpine.lock.json"}


def examples(*, evaluated: bool) -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        for number, (word, block) in enumerate(_BLOCK.findall(document.read_text())):
            if bool(word) is evaluated:
                found.append((f"{document.stem}-{number}", block))
    return found


def test_there_are_examples() -> None:
    assert len(examples(evaluated=False)) >= 6
    assert len(examples(evaluated=True)) >= 2


@pytest.mark.parametrize(("name", "text"), examples(evaluated=False), ids=[n for n, _ in examples(evaluated=False)])
def test_example_builds(nix: Nix, name: str, text: str) -> None:
    expression = text.removeprefix("with pkgs; with dockerTools; ")
    outputs = nix.build_all(expression)
    assert outputs, f"{name} makes nothing"
    assert all(output.exists() for output in outputs)


@pytest.mark.parametrize(("name", "text"), examples(evaluated=True), ids=[n for n, _ in examples(evaluated=True)])
def test_example_evaluates(nix: Nix, name: str, text: str) -> None:
    for file, fixture in _FILES.items():
        text = text.replace(file, fixture)
    assert len(nix.instantiate(text)) > 10, f"{name} needs nothing"


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_reference_has_every_function_and_verb(nix: Nix) -> None:
    reference = (CHECKOUT / "docs" / "reference.md").read_text()
    functions = nix.eval("builtins.attrNames dockerTools")
    assert functions
    for function in functions:
        assert f"\n## {function}\n" in reference
    for verb in VERBS:
        assert f"| `{verb} " in reference


def test_reference_has_every_argument(nix: Nix) -> None:
    reference = (CHECKOUT / "docs" / "reference.md").read_text()
    # Some are packages or texts, of packages that this set may lack, and take nothing.
    is_function = "name: let it = tryEval dockerTools.${name}; in it.success && isFunction it.value"
    for function in nix.eval(f"with builtins; filter ({is_function}) (attrNames dockerTools)"):
        section = reference.partition(f"\n## {function}\n")[2].partition("\n## ")[0]
        # What a function says of itself when it is called with an argument that it has not.
        said = nix.failure(f'dockerTools.{function} {{ "an argument that nobody has" = 1; }}')
        arguments = said.partition("; it takes ")[2].partition(".\n")[0].split()
        assert len(arguments) > 3
        assert [a for a in arguments if f"`{a}`" not in section] == [], (
            f"arguments of {function} that are not described"
        )
