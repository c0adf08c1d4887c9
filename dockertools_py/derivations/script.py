"""A small executable that runs this program with some arguments."""

from dockertools_py.derivations.attributes import Attributes


def build(attributes: Attributes) -> None:
    """Spec: `bash`, and `command`, a list of words to which the script's own arguments are added.

    With `program`, the output is a package with that one in its `bin`; else it is the executable itself.
    """
    script = attributes.out
    if "program" in attributes.spec:
        script = script / "bin" / attributes.spec["program"]
        script.parent.mkdir(parents=True)
    words = " ".join(_quoted(word) for word in attributes.spec["command"])
    script.write_text(f'#!{attributes.spec["bash"]}\nexec {words} "$@"\n')
    script.chmod(0o755)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
