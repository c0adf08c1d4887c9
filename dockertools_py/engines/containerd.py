"""containerd, by its own client ctr: also that of k3s, and in the nodes of kind, which are containers.

Blobs are known by their digest, and `ctr content ls` lists all of them: nothing has to be guessed. An image is whole when
`ctr images check` says so, and unpacked.
"""

from collections.abc import Sequence
from functools import cached_property

from dockertools_py.engines.engine import ANOTHER, Engine, Held, Wanted, WriteArchive
from dockertools_py.engines.programs import answer, feed
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference


class Containerd(Engine):
    """`command` is ctr, with what leads to it and with its options; `input_command` the same for what reads an archive.

    `machine_command` says what a kernel calls the machine, where that is not this one.
    """

    def __init__(
        self,
        command: Sequence[str],
        title: str,
        input_command: Sequence[str] = (),
        machine_command: Sequence[str] = (),
    ) -> None:
        self._command, self._title, self._machine_command = tuple(command), title, machine_command
        self._input_command = tuple(input_command) or self._command

    def title(self) -> str:
        """See Engine."""
        return self._title

    def platform(self) -> Platform:
        """See Engine."""
        return self._platform

    @cached_property
    def _platform(self) -> Platform:
        return Platform.of_machine(answer(self._machine_command).strip()) if self._machine_command else super().platform()

    def lacks(self, reference: Reference, wanted: Wanted) -> str | None:
        """See Engine."""
        self._check_platform(wanted)
        rows = self._checked(f'name=="{reference.normalised()}"')
        if not rows:
            return "there is no image of that name"
        _, digest, problem = rows[0]
        if digest != str(wanted.manifest):
            return f"{ANOTHER}, {shown(digest, 71)}"
        return problem

    def _check_platform(self, wanted: Wanted) -> None:
        """Raises DockertoolsError for an image that it would refuse when all of it was sent."""
        if wanted.platform.runs_on(super().platform()):
            return  # as nearly always, without a question to a node
        own = self.platform()
        if not wanted.platform.runs_on(own):
            raise DockertoolsError(
                f"{self._title}: takes images for {own}, and this one is for {wanted.platform}: choose another one of an "
                "index (--platform), or Docker or Podman, which take any"
            )

    def elsewhere(self, wanted: Wanted) -> str | None:
        """See Engine."""
        rows = self._checked(f'target.digest=="{wanted.manifest}"')
        return next((name for name, _, problem in rows if problem is None), None)

    def held(self, wanted: Wanted) -> Held:
        """See Engine."""
        blobs = set(answer([*self._command, "content", "ls", "--quiet"]).split())
        there = [layer.diff_id for layer in wanted.layers if str(layer.diff_id) in blobs]
        return Held(dict.fromkeys(there, "its blob is there"))

    def send(self, write_archive: WriteArchive) -> None:
        """See Engine."""
        feed([*self._input_command, "images", "import", "-"], write_archive)

    def tag(self, source: str, reference: Reference) -> None:
        """See Engine."""
        answer([*self._command, "images", "tag", "--force", source, reference.normalised()])

    def name_of(self, reference: Reference) -> str:
        """In full: containerd knows no short names."""
        return reference.normalised()

    def run_command(
        self, reference: Reference, options: Sequence[str], arguments: Sequence[str], *, terminal: bool
    ) -> list[str]:
        """See Engine."""
        if self._input_command != self._command:
            raise DockertoolsError(f"{self._title}: a node runs pods; use kubectl run --image={reference}")
        import uuid  # noqa: PLC0415

        tty = ["--tty"] if terminal else []
        name = f"dockertools-py-{uuid.uuid4().hex[:12]}"
        return [*self._command, "run", "--rm", *tty, *options, self.name_of(reference), name, *arguments]

    def _checked(self, of: str) -> list[tuple[str, str, str | None]]:
        """Name, digest of the manifest, and what is wrong, of the images that a filter takes."""
        rows = []
        for line in answer([*self._command, "images", "check", of]).splitlines()[1:]:
            # REF TYPE DIGEST STATUS SIZE UNPACKED, of which status and size have blanks: `complete (3/3) 1.9 MiB/1.9 MiB`.
            fields = line.split()
            if len(fields) < 6:
                raise DockertoolsError(f"{self._title}: no line of `ctr images check`: {shown(line)}")
            problem = None
            if fields[3] != "complete":
                problem = f"it is not complete: {shown(' '.join(fields[3:-1]))}"
            elif fields[-1] != "true":
                problem = "it is not unpacked"
            rows.append((fields[0], fields[2], problem))
        return rows
