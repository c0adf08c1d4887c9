"""Describing layers: one pass over their bytes for diff_id and size. Nothing is written."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from dockertools_py.pack.layer import Layer, PathsSource, RootSource, created_by
from dockertools_py.pack.verified import measure
from dockertools_py.parallel import parallel, shares
from dockertools_py.store.produce import tar_chunks


def describe(source: PathsSource | RootSource, threads: int = 2) -> Layer:
    """The layer that a source makes; with more than one of the `threads` it is hashed while it is read."""
    diff_id, size = measure(tar_chunks(source, threads=threads), threads=threads)
    paths = source.paths if isinstance(source, PathsSource) else ()
    return Layer(diff_id, size, source, paths, created_by(source))


def describe_all(sources: Sequence[PathsSource], weights: Sequence[int], workers: int) -> list[Layer]:
    """The layers of several sources, at most `workers` at once; `weights` are their sizes, more or less."""
    counts = shares(weights, workers)
    tasks = [partial(_describe_json, source, threads) for source, threads in zip(sources, counts, strict=True)]
    return [Layer.from_json(value) for value in parallel(tasks, weights, workers)]


def _describe_json(source: PathsSource, threads: int) -> dict[str, Any]:
    return describe(source, threads).to_json()
