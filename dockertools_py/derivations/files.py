"""A small tree of links and texts: what the helpers for `contents` are."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes


def build(attributes: Attributes) -> None:
    """Spec: `links` (path to target), `texts` (path to content), `directories` (paths); all paths below the output."""
    spec = attributes.spec
    attributes.out.mkdir()
    for path in spec["directories"]:
        _below(attributes.out, path).mkdir(parents=True)
    for path, target in spec["links"].items():
        _below(attributes.out, path).symlink_to(target)
    for path, text in spec["texts"].items():
        _below(attributes.out, path).write_text(text)


def _below(top: Path, path: str) -> Path:
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
