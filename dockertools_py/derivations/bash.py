"""Users' bash scripts: what they find, how they are started, and what is said of one that fails.

A script stops at the first command that fails, and whoever reads the log wants to know which one: the exit code alone does
not tell. So bash reads a prelude first (BASH_ENV), of which a trap notes line and exit code of whatever fails. The script's
own file stays as it was given, so that the lines are the user's.

The last note tells, if it is of the script's own shell and of this exit code. Of a subshell, `( … )` or `$( … )`, bash gives
the line where that ends; the line of the command in it is in the note before, which the subshell has left. A subshell whose
failure nobody minded (`echo $(false)`) has left one too, but no note of the script's shell follows it.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError, shown

_PRELUDE, _NOTE = "prelude", "failed"
_SAME_EACH_TIME = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",  # what an import leaves holds the time of its source; compileall goes by SOURCE_DATE_EPOCH
}
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_NOTED = re.compile(r"(?P<status>[0-9]{1,3}) (?P<depth>[0-9]{1,4}) (?P<line>[0-9]{1,9}) (?P<source>.*)")
_MAX_NOTES = 4096


@dataclass(frozen=True, slots=True)
class Script:
    """A script in a file, named as the argument that it was given in; `folder` holds its files, and is `seen` by it."""

    argument: str
    text: str
    folder: Path
    seen: str

    @classmethod
    def write(cls, argument: str, text: str, folder: Path, seen: str | None = None) -> "Script":
        """Put it in `folder`, which is made."""
        script = cls(argument, text, folder, seen or str(folder))
        folder.mkdir()
        (folder / argument).write_text(text)
        note = f"{script.seen}/{_NOTE}"
        (folder / _PRELUDE).write_text(
            "unset BASH_ENV\n"  # not for the scripts that this one starts
            f"trap 'echo \"$? $BASH_SUBSHELL $LINENO ${{BASH_SOURCE[0]}}\" 2>/dev/null >>{note}' ERR\n"
        )
        return script

    @property
    def file(self) -> str:
        """Where it is for itself."""
        return f"{self.seen}/{self.argument}"

    def command(self, bash: str) -> tuple[str, ...]:
        """What runs it: -e ends it at the first command that fails, -E has the trap in functions too."""
        return (bash, "-eE", self.file)

    def check(self, code: int, hint: str = "") -> None:
        """Raise DockertoolsError unless the exit code is 0; a negative one is a signal. `hint` is added to the error."""
        more = f". {hint}" if hint else ""
        if code < 0:
            raise DockertoolsError(f"{self.argument}: killed by signal {-code}; its last words are above{more}")
        if code:
            raise DockertoolsError(
                f"{self.argument}: {self._where(code)}ended with exit code {code}; its last words are above{more}"
            )

    def _where(self, code: int) -> str:
        note = self.folder / _NOTE
        # A script may have put anything there, so nothing is believed that does not fit.
        if note.is_symlink() or not note.is_file():
            return ""
        with note.open("rb") as file:
            file.seek(max(0, note.stat().st_size - _MAX_NOTES))
            noted = file.read(_MAX_NOTES).decode("utf-8", "replace").splitlines()
        lines = self.text.split("\n")
        number, depth = len(lines), -1  # of the note after this one; of none yet
        for line in reversed(noted):
            found = _NOTED.fullmatch(line)
            if not found or found["status"] != str(code) or found["source"] != self.file:
                break
            at, level = int(found["line"]), int(found["depth"])
            is_within = level > depth if depth >= 0 else level == 0
            if not is_within or not 1 <= at <= number:
                break
            number, depth = at, level
        return f"line {number}, `{shown(lines[number - 1].strip())}`, " if depth >= 0 else ""


def environment(attributes: Attributes, script: Script, tmp: str) -> dict[str, str]:
    """What a script finds; `tmp` is its folder for temporary files."""
    return {
        "BASH_ENV": f"{script.seen}/{_PRELUDE}",
        "PATH": ":".join(attributes.spec["path"]),
        "HOME": "/homeless-shelter",
        "TMPDIR": tmp,
        "NIX_BUILD_TOP": tmp,
        "SOURCE_DATE_EPOCH": str(attributes.spec["mtime"]),
        **_SAME_EACH_TIME,
    }


def run_plain(attributes: Attributes, argument: str, folder: Path) -> None:
    """Run the script `argument` of the spec in `folder`, as who we are. Raises DockertoolsError when it fails."""
    import subprocess  # noqa: PLC0415 - 3 ms of those that have no script

    script = Script.write(argument, attributes.spec[argument], attributes.build_top / f"of-{argument}")
    command = script.command(attributes.spec["bash"])
    found = environment(attributes, script, str(attributes.build_top))
    sys.stderr.flush()
    done = subprocess.run(command, cwd=folder, env=found, umask=0o022, check=False)
    script.check(done.returncode)
