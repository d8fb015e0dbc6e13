"""A clip shows the same pixels as that part of the whole page, at every resolution, with every parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests import pdfs

from docrag.geometry import Box
from docrag.ingest.open_pdf import open_source


@pytest.mark.parametrize("parser", ["pymupdf", "pdfium"])
@pytest.mark.parametrize("dpi", [72, 144, 216])
@pytest.mark.parametrize("clip", [Box(72, 72, 216, 144), Box(300, 400, 500, 500)])
def test_a_clip_is_a_crop_of_the_whole_page(tmp_path: Path, parser: str, dpi: int, clip: Box):
    path = pdfs.article_pdf(tmp_path / "article.pdf")
    source = open_source(path, parser=parser, password=None)
    try:
        whole = source.render(1, dpi=dpi).astype(int)
        part = source.render(1, dpi=dpi, clip=clip).astype(int)
    finally:
        source.close()
    x0, y0, x1, y1 = (round(v * dpi / 72) for v in clip)
    assert part.shape == (y1 - y0, x1 - x0, 3)
    assert np.abs(part - whole[y0:y1, x0:x1]).mean() < 1.0
