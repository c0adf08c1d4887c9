"""A small tree of links and texts: what the helpers for `contents` are."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes


def build(attributes: Attributes) -> None:
    """Spec: `links` (path to target), `texts` and `executables` (path to content), `directories` (paths).

    All paths are below the output.
    """
    spec = attributes.spec
    attributes.out.mkdir()
    for path in spec["directories"]:
        _below(attributes.out, path).mkdir(parents=True)
    for path, target in spec["links"].items():
        _below(attributes.out, path).symlink_to(target)
    for path, text in spec["texts"].items():
        _below(attributes.out, path).write_text(text)
    for path, text in spec["executables"].items():
        file = _below(attributes.out, path)
        file.write_text(text)
        file.chmod(0o755)


def _below(top: Path, path: str) -> Path:
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
