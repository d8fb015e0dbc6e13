"""Chunks: what retrieval indexes, made of regions in a row."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.types import Chunk, Region


def chunks_of(text: str, regions: Sequence[Region]) -> tuple[Chunk, ...]:
    """Chunks of a page: one per region."""
    chunks: list[Chunk] = []
    for region in regions:
        if region.start == region.end or region.kind in ("page-header", "page-footer"):
            continue
        chunks.append(
            Chunk(
                chunk_no=len(chunks) + 1,
                kind=region.kind,
                text=" ".join(text[region.start : region.end].split()),
                start=region.start,
                end=region.end,
                boxes=(region.box,),
                region_orders=(region.order,),
            )
        )
    return tuple(chunks)
