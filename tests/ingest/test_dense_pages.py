"""Maps, plans and wide tables: pages of thousands of labels cost a small part of what a page may."""

from __future__ import annotations

import time
from pathlib import Path

import pymupdf

from docrag.geometry import Box
from docrag.ingest.layout_fast import FastLayout
from docrag.ingest.layout_ml import MAX_LINES, MlLayout
from docrag.ingest.options import IngestLimits
from docrag.ingest.pymupdf_source import PyMuPdfSource
from docrag.ingest.reading_order import reading_order
from docrag.ingest.table_finder import grid_boxes
from docrag.protocols import RawPage, RawWord

ENOUGH_CPU_S = IngestLimits().page_cpu_s / 3
"""Generous: a step takes a second or two here, and took half a minute or more when it compared all pairs."""


class NoSource:
    """FastLayout reads nothing but the page."""


def test_geometry_takes_thousands_of_labels() -> None:
    # Rows of labels in 80 columns, each label a little lower than its neighbour on the left.
    words = tuple(
        RawWord(f"L{i}", Box(x, y, x + 15, y + 5), 0, i, 5.0, False)
        for i in range(6400)
        for x, y in [(20.0 + i % 80 * 30, 20.0 + i // 80 * 12 + i % 80 * 0.1)]
    )
    page = RawPage(1, "", 2500, 1100, 0, words, (), ())
    started_s = time.process_time()
    found = FastLayout().detect(page, NoSource())  # type: ignore[arg-type]
    assert time.process_time() - started_s < ENOUGH_CPU_S
    assert all(any(f.box.contains_point(*word.box.center) for f in found) for word in words)


def test_geometry_takes_thousands_of_small_fills() -> None:
    fills = [Box(x, y, x + 14, y + 6) for x in range(0, 1200, 24) for y in range(0, 900, 15)]
    started_s = time.process_time()
    assert grid_boxes(fills) == []  # 3,000 fills apart from one another, no grid
    assert time.process_time() - started_s < ENOUGH_CPU_S


def test_thousands_of_regions_are_read_column_by_column() -> None:
    boxes = [Box(x, y, x + 20, y + 8) for y in range(0, 800, 16) for x in range(0, 2000, 40)]
    started_s = time.process_time()
    order = reading_order(boxes)
    assert time.process_time() - started_s < ENOUGH_CPU_S
    assert [boxes[i] for i in order] == sorted(boxes)


def test_pages_of_too_many_lines_are_left_to_geometry(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=1500, height=900)
    for i in range(MAX_LINES + 1):
        page.insert_text((20 + i % 40 * 36, 20 + i // 40 * 30 + i % 3 * 4), f"L{i}", fontsize=6)
    document.save(tmp_path / "a.pdf")
    document.close()
    source = PyMuPdfSource(tmp_path / "a.pdf")
    raw = source.read(1)
    started_s = time.process_time()
    assert MlLayout().detect(raw, source) == FastLayout().detect(raw, source)
    assert time.process_time() - started_s < ENOUGH_CPU_S
    source.close()
