"""Layout regions from the model that PyMuPDF carries in its wheel."""

from __future__ import annotations

from typing import Any, cast

import onnxruntime

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.ingest.layout_fast import FastLayout
from docrag.ingest.lines import lines_of
from docrag.ingest.picture_finder import vector_pictures
from docrag.ingest.pymupdf_source import PyMuPdfSource
from docrag.protocols import LayoutBox, PageSource, RawPage
from docrag.types import RegionKind

MAX_LINES = 1000
"""Lines of text, cut at wide gaps, that the model is asked about: a map of 400 labels took it up to 5 s of
CPU time, of 800 up to 19 s, of 3,000 more than a page may have. Dense pages of reports have some 300."""

_KINDS: dict[str, RegionKind] = {
    "text": "text",
    "title": "section-header",
    "section-header": "section-header",
    "list-item": "list-item",
    "table": "table",
    "picture": "picture",
    "formula": "formula",
    "caption": "caption",
    "footnote": "footnote",
    "page-header": "page-header",
    "page-footer": "page-footer",
}
_MAX_SHARED = 0.2  # of a vector picture, with what the model found: else the model knew better
_MIN_COVERED = 0.5  # of the words; a good detection covers nearly all of them


class MlLayout:
    """PyMuPDF's bundled layout model, on one thread; one instance per worker process.

    Pages of another parser, and pages the model cannot take, are left to `FastLayout`.
    """

    parser = "pymupdf"

    def __init__(self) -> None:
        from pymupdf.layout.onnx.BoxRFDGNN import BoxRFDGNN
        from pymupdf.layout.onnx.ImageFeatureExtractorV1 import ImageFeatureExtractorV1

        self._model: Any = BoxRFDGNN(enable_inference_cache=False, use_sort=True)
        # The model's own sessions take every core; workers want one each. The feature extractor has a
        # fixed input size, so its memory arena cannot grow, and with it a page takes a third less time.
        self._model.session = _session(self._model.model_path, arena=False)
        self._model.feature_extractor = ImageFeatureExtractorV1(
            _session(self._model.imf_model_path, arena=True)
        )
        grid = self._model.table_grid_extractor
        grid._grid_sess = _session(str(grid.grid_onnx_path), arena=False)
        self._fallback = FastLayout()

    def detect(self, page: RawPage, source: PageSource) -> list[LayoutBox]:
        """Regions of the page in the model's order."""
        if not isinstance(source, PyMuPdfSource) or not page.words:
            return self._fallback.detect(page, source)
        lines = lines_of(page.words)
        if len(lines) > MAX_LINES:
            return self._fallback.detect(page, source)
        try:
            source.check_images(page.page_no)
        except IngestError:  # the model looks at a picture of the page; this one cannot be rendered
            return self._fallback.detect(page, source)
        groups = cast(
            list[dict[str, Any]], self._model.predict(source.mupdf_page(page.page_no), return_raw=True)
        )
        found: list[LayoutBox] = []
        for group in groups:
            box = Box(*(float(v) for v in group["group_bbox"][:4])).clipped(page.width_pt, page.height_pt)
            # Groups that come from the picture of the page, not from its text, have no score.
            found.append(
                LayoutBox(_KINDS.get(group["class_name"], "text"), box, float(group.get("score", 1.0)))
            )
        # The model looks for texts first: a chart whose letters are drawn as paths has none.
        tables = [f.box for f in found if f.kind == "table"]
        for box in vector_pictures(page, lines, tables):
            if sum(box.overlap_fraction(f.box) for f in found) <= _MAX_SHARED:
                found.append(LayoutBox("picture", box, 1.0))
        n_covered = sum(any(f.box.contains_point(*w.box.center) for f in found) for w in page.words)
        if n_covered < _MIN_COVERED * len(page.words):
            # The model sees the text layer alone: on a page read by OCR geometry knows more.
            return self._fallback.detect(page, source)
        return found


def _session(path: str, *, arena: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
