"""From options to a candidate stage, and what an index must hold for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import MultiVectors, VectorType
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.late_interaction.view import VectorPart
from docrag.pipeline.visual_options import (
    AutoOptions,
    CandidateOptions,
    ExactOptions,
    FdeOptions,
    LanceOptions,
    PooledOptions,
    ScreenOptions,
    TokensOptions,
)
from docrag.retrieve.visual.candidates import (
    Candidates,
    CentroidCandidates,
    Exact,
    FdeCandidates,
    PooledCandidates,
)
from docrag.retrieve.visual.screen import ScreenCandidates
from docrag.retrieve.visual.table import TableCandidates
from docrag.retrieve.visual.tokens import TokenCandidates
from docrag.store.row_table import Rows, RowTable, TableSpec
from docrag.store.segments import Segment
from docrag.store.vector_space import record_candidates
from docrag.store.vector_store import VectorWriter, open_segments


@dataclass(frozen=True, slots=True)
class _Side:
    """A table that a stage searches beside the segments, and how its rows are made."""

    table: RowTable
    rows: Rows


@dataclass(frozen=True, slots=True)
class CandidateStage:
    """A candidate stage with what it keeps in an index."""

    index: Path
    stage: Candidates
    options: CandidateOptions
    side: _Side | None = None

    def columns(self, segment: Segment) -> dict[str, NDArray[Any]]:
        """What the stage keeps beside the vectors of a segment."""
        return self.stage.columns(segment.vectors)

    def is_prepared_for(self, part: VectorPart) -> bool:
        """Whether what the stage looks at is there for a segment; without it a search takes longer."""
        if self.side is not None and part.name not in self.side.table.parts():
            return False
        return set(self.stage.column_names) <= set(part.columns)

    def prepare(self, writer: VectorWriter) -> None:
        """Bring what the stage keeps up to date with the segments; the writer's lock is held."""
        writer.fill_columns()
        record_candidates(self.index, self.stage.name, self.options.model_dump())
        if self.side is not None:
            segments = {name: segment.vectors for name, segment in open_segments(self.index).items()}
            self.side.table.update(segments, self.side.rows)


AUTO_POOL_FACTOR = 16
"""Vectors of a page that one vector of the default shortlist stands for. As int8 such vectors are scanned in
a tenth of the time that signs of four times as many take, at twice their size (eval/candidates.py)."""


def build_candidates(
    index: Path,
    options: CandidateOptions,
    kernel: MaxSim,
    *,
    dim: int,
    stored_pool_factor: int = 1,
    vector_type: VectorType = "int8",
) -> CandidateStage:
    """The candidate stage that `options` describe, over an index of vectors of dimension `dim`.

    `stored_pool_factor` is that of the vectors stored: what "auto" pools them by is less by it. Of residuals
    that are not pooled it takes the centroids, which are pooled as much.
    """
    match options:
        case AutoOptions() if vector_type == "residual" and stored_pool_factor == 1:
            return CandidateStage(index, CentroidCandidates(kernel), options)
        case AutoOptions():
            factor = max(AUTO_POOL_FACTOR // stored_pool_factor, 1)
            stage = PooledCandidates(kernel, pool_factor=factor, vector_type="int8")
            return CandidateStage(index, stage, options)
        case ExactOptions():
            return CandidateStage(index, Exact(), options)
        case PooledOptions():
            stage = PooledCandidates(kernel, pool_factor=options.pool_factor, vector_type=options.vector_type)
            return CandidateStage(index, stage, options)
        case TokensOptions():
            stage = TokenCandidates(n_probes=options.n_probes, k_tokens=options.k_tokens)
            return CandidateStage(index, stage, options)
        case ScreenOptions():
            return CandidateStage(index, ScreenCandidates(kernel), options)
        case FdeOptions():
            return _fde(index, options, dim=dim)
        case LanceOptions():
            return _lance(index, options, dim=dim)


def _fde(index: Path, options: FdeOptions, *, dim: int) -> CandidateStage:
    fde = Fde(
        dim,
        n_repetitions=options.n_repetitions,
        n_planes=options.n_planes,
        n_projected=options.n_projected,
        final_dim=options.final_dim,
        seed=options.seed,
    )
    if options.search == "flat":
        return CandidateStage(index, FdeCandidates(fde), options)

    def rows(vectors: MultiVectors) -> Iterator[NDArray[np.float32]]:
        return (fde.encode_document(vectors.vectors(i)) for i in range(len(vectors)))

    spec = TableSpec(fde.name, fde.fde_dim, False, "dot", options.index_from, options.n_probes)
    table = RowTable(index, spec)
    stage = TableCandidates(f"lancedb-{fde.name}", table, fde.encode_query)
    return CandidateStage(index, stage, options, _Side(table, rows))


def _lance(index: Path, options: LanceOptions, *, dim: int) -> CandidateStage:
    def rows(vectors: MultiVectors) -> Iterator[NDArray[np.float32]]:
        for i in range(len(vectors)):
            yield pool_hierarchically(vectors.vectors(i), options.pool_factor)[0]

    name = f"multivectors-{options.pool_factor}"
    spec = TableSpec(name, dim, True, "cosine", options.index_from, options.n_probes)
    table = RowTable(index, spec)
    stage = TableCandidates(f"lancedb-{name}", table, lambda query: query)
    return CandidateStage(index, stage, options, _Side(table, rows))
