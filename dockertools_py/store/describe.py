"""Describing layers: one pass over their bytes for diff_id and size. Nothing is written."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from dockertools_py.pack.layer import Layer, PathsSource, RootSource, created_by
from dockertools_py.pack.verified import measure
from dockertools_py.parallel import parallel
from dockertools_py.store.produce import tar_chunks


def describe(source: PathsSource | RootSource) -> Layer:
    """The layer that a source makes."""
    diff_id, size = measure(tar_chunks(source))
    paths = source.paths if isinstance(source, PathsSource) else ()
    return Layer(diff_id, size, source, paths, created_by(source))


def describe_all(sources: Sequence[PathsSource], weights: Sequence[int], workers: int) -> list[Layer]:
    """The layers of several sources, at most `workers` at once; `weights` are their sizes, more or less."""
    described = parallel([partial(_describe_json, source) for source in sources], weights, workers)
    return [Layer.from_json(value) for value in described]


def _describe_json(source: PathsSource) -> dict[str, Any]:
    return describe(source).to_json()
