"""Scripts with real ids, in a stand-in for a Nix that gives them; ./dev matrix tries it itself (tests/matrix/uid_range.py)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Nix, wrapped
from tests.nix.uid_range import FAILING, LAYERS, PRELUDE, check_layers
from tests.root.trees import HERE, give_away, scratch

pytestmark = pytest.mark.xdist_group("nix-scripts")

FIRST_ID = 1_900_000_000
Run = Callable[[str, Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(nix: Nix) -> Iterator[Run]:
    """Builds one of the layers (its expression), to a folder that is not there yet."""
    texts = [*LAYERS.values(), *FAILING]
    shown = " ".join(
        f"(let it = {text}; in {{ inherit (it) drvPath builder args spec; features = it.requiredSystemFeatures or [ ]; }})"
        for text in texts
    )
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode"]
    told = json.loads(nix.run(*command, "-E", wrapped(f"let {PRELUDE} in [ {shown} ]")).stdout)
    known = dict(zip(texts, told, strict=True))
    inputs = nix.run("nix-store", "--query", "--references", *(one["drvPath"] for one in told)).stdout.split()
    nix.run("nix-store", "--realise", "--max-jobs", "2", *sorted({path for path in inputs if path.endswith(".drv")}))
    with scratch() as folder:

        def build(text: str, out: Path) -> "subprocess.CompletedProcess[str]":
            one = known[text]
            top = folder / f"build-{len(os.listdir(folder))}"
            top.mkdir()
            (top / ".attrs.json").write_text(json.dumps({"spec": one["spec"], "outputs": {"out": f"{top}/out"}}))
            give_away(top, FIRST_ID)
            standing_in = [sys.executable, "-B", "-I", str(HERE / "with_ids.py"), str(CHECKOUT), str(FIRST_ID)]
            assert one["features"] == ["uid-range"] or one["spec"]["rootMode"] == "emulated"
            done = subprocess.run(
                [*standing_in, one["builder"], *one["args"]],
                env={"NIX_BUILD_TOP": str(top)}, cwd=top, capture_output=True, text=True, timeout=300, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if (top / "out").exists():
                (top / "out").rename(out)
            return done

        yield build


def test_layers(run: Run, nix: Nix, tmp_path: Path) -> None:
    outputs = {"emulated": nix.build(f"let {PRELUDE} in {LAYERS['emulated']}")}
    for name in LAYERS.keys() - outputs.keys():
        done = run(LAYERS[name], tmp_path / name)
        assert done.returncode == 0, done.stderr
        outputs[name] = tmp_path / name
    check_layers(outputs)


@pytest.mark.parametrize("text", FAILING)
def test_what_is_refused_is_told_in_one_line(run: Run, text: str, tmp_path: Path) -> None:
    done = run(text, tmp_path / "out")
    assert done.returncode == 1
    assert f"dockertools-py derivation: {FAILING[text]}\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_builder_without_such_ids_says_so(nix: Nix) -> None:
    expression = f"let {PRELUDE} in layer (made {{ runAsRoot = \"true\"; }})"
    command = ["nix-build", "--no-out-link", "-E", wrapped(expression)]
    done = nix.run(*command, "--option", "system-features", "uid-range", check=False)
    assert done.returncode
    assert (
        'dockertools-py derivation: rootMode = "uid-range": this builder has uid 1000 of 1 ids, and must have 0 of 65536 of '
        "its own: it needs Nix 2.12 or newer with `auto-allocate-uids = true` and `experimental-features = "
        "auto-allocate-uids cgroups` in its nix.conf; or leave `rootMode` out\n"
    ) in done.stderr
    # And whoever has not allowed it hears of it from Nix.
    done = nix.run(*command, "--option", "system-features", "benchmark", check=False)
    assert "required features {uid-range}" in done.stderr or "{uid-range} is required" in done.stderr, done.stderr


def test_the_machine_s_own_root_is_no_such_builder(nix: Nix, tmp_path: Path) -> None:
    code = "from dockertools_py.root.uid_range import require; require()"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert "this builder has uid 0 of 4294967295 ids, and must have 0 of 65536 of its own" in done.stderr


def test_nothing_but_scripts_asks_for_the_feature(nix: Nix) -> None:
    made = nix.eval(
        f"""let {PRELUDE} of = function: mode: map (one: one.requiredSystemFeatures or [ ])
          (function {{ name = "x"; rootMode = mode; contents = [ hello ]; runAsRoot = "true"; }}).layers;
        in map (function: map (of function) [ "emulated" "uid-range" ])
          [ build buildImage buildLayeredImage streamLayeredImage buildImageWithNixDb buildLayeredImageWithNixDb ]"""
    )
    assert [[[one for layer in mode for one in layer] for mode in function] for function in made] == [[[], ["uid-range"]]] * 6
