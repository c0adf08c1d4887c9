"""Ask, leave out, send, check: how an image gets into an engine that has most of it already.

An archive names every layer and need not hold those that the engine has. That saves all the time that a load takes, and has
one danger: an engine may accept an archive without a layer that it lacks, say that all went well, and keep an image that runs
today and cannot be saved or pushed tomorrow (Docker with containerd's store), or say that something went wrong and end with 0.
So nobody's word counts here. What is left out is left out only for what the engine shows to have; afterwards the engine is
asked for the image again; and where anything is other than it should be, all of it is sent once more, with every layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dockertools_py.engines.engine import Engine, Held, Refused, Wanted, Write
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import Bundle

LOST = "not found"
"""What containerd's store says of a blob that it has just been sent: right after a load that was interrupted it collects what
that one has left, and takes what is the same with it (Docker 26.1.5, one time in five). So that is tried once more."""

WriteBundle = Callable[[Bundle, Write], None]
"""Writes an archive of a bundle through a function; the caller knows formats."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine has of an image, and so what is to be done."""

    there: tuple[Reference, ...]
    """Names under which all of it is there."""
    source: str | None
    """A name or id under which it is there, so that nothing is sent; None: it is sent."""
    held: Held
    problems: Mapping[Reference, str] = field(default_factory=dict)
    """What is wrong with the image under each of the other names, as far as it was asked."""

    def missing(self, wanted: Wanted) -> tuple[Reference, ...]:
        """Names that it is to get."""
        return tuple(reference for reference in wanted.references if reference not in self.there)


def plan(engine: Engine, wanted: Wanted, *, full: bool = False) -> Plan:
    """Ask the engine; `full`: send everything, whatever is there."""
    if full:
        return Plan((), None, Held(otherwise="everything was asked for"))
    problems = {reference: problem for reference in wanted.references if (problem := engine.lacks(reference, wanted))}
    there = tuple(reference for reference in wanted.references if reference not in problems)
    source = engine.name_of(there[0]) if there else engine.elsewhere(wanted)
    if source is not None:
        return Plan(there, source, Held({layer.diff_id: f"in {source}" for layer in wanted.layers}), problems)
    return Plan((), None, engine.held(wanted), problems)


def carry_out(
    engine: Engine, wanted: Wanted, plan: Plan, write: WriteBundle, again: Callable[[str], None]
) -> frozenset[Digest]:
    """Do what `plan` says; the diff_ids of the layers that were sent. `again` hears why all is sent once more.

    Raises DockertoolsError when the engine has not all of the image in the end.
    """
    sent: frozenset[Digest] = frozenset()
    missing, source = plan.missing(wanted), plan.source
    if source is None:
        first, *missing_then = wanted.references
        sent = _send(engine, wanted, first, plan.held, write, again)
        missing, source = tuple(missing_then), engine.name_of(first)
    for reference in missing:
        engine.tag(source, reference)
        if problem := engine.lacks(reference, wanted):
            raise DockertoolsError(f"{engine.title()}: after {source} got the name {reference}: {problem}")
    return sent


def _send(
    engine: Engine, wanted: Wanted, reference: Reference, held: Held, write: WriteBundle, again: Callable[[str], None]
) -> frozenset[Digest]:
    every = frozenset(layer.diff_id for layer in wanted.layers)
    left_out, is_repeated = every & held.layers.keys(), False
    while True:
        bundle = wanted.without(left_out)
        try:
            engine.send(lambda out, bundle=bundle: write(bundle, out))  # type: ignore[misc]
            problem = engine.lacks(reference, wanted)
        except Refused as error:
            problem = str(error)
        if problem is None:
            return every - left_out
        if not left_out and (is_repeated or LOST not in problem):
            raise DockertoolsError(f"{engine.title()} did not load {reference}: {shown(problem, 1000)}")
        is_repeated = not left_out
        again(problem)
        left_out = frozenset()
