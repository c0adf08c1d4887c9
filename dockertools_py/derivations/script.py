"""A small executable that runs this program with some arguments."""

from dockertools_py.derivations.attributes import Attributes


def build(attributes: Attributes) -> None:
    """Spec: `bash`, and `command`, a list of words to which the script's own arguments are added."""
    words = " ".join(_quoted(word) for word in attributes.spec["command"])
    attributes.out.write_text(f'#!{attributes.spec["bash"]}\nexec {words} "$@"\n')
    attributes.out.chmod(0o755)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
