"""OCR with the PP-OCRv6 small models that travel inside RapidOCR's wheel.

The models are run directly: nothing is ever downloaded or logged, each line is recognised in its own width
(padding to a batch's widest line costs as much as text), and words get boxes from the ink.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from docrag.errors import MissingExtra
from docrag.geometry import Box, union_box
from docrag.ingest.line_words import Glyph, decode_ctc, half_width, ink_columns, split_words
from docrag.ingest.text_boxes import Crop, TextBox, crop_line, find_text_boxes, scale_box
from docrag.protocols import OcrWord, RgbImage

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
STRIDE_PX = 32
"""The detector needs sides that are multiples of this."""
DETECT_SIDE_PX = 1280
"""Longest side given to the detector; recognition cuts its lines from the full image."""
LINE_HEIGHT_PX = 48
"""Height of the recogniser's input."""
SQUEEZE = 0.9
"""Horizontal scale of the recogniser's input; time is proportional to it."""
MAX_LINE_PX = 3200
"""Widest recogniser input; a longer line is squeezed further."""
MIN_LINE_CONFIDENCE = 0.5
"""Lines below are noise (RapidOCR's default)."""
SURELY_UPRIGHT = 0.75
"""At this confidence a line is the right way up; upside down it is read with about half of it."""
TURN_MARGIN = 0.1
"""A page is turned when that raises the mean confidence by this much."""
N_WAY_UP_LINES = 2
"""Lines that are tried both ways up when they are doubtful."""


class RapidOcr:
    """Reads words in images, on `n_threads` threads; the models are loaded for the first image."""

    def __init__(self, *, n_threads: int = 1) -> None:
        self._n_threads = n_threads

    @functools.cached_property
    def _detector(self) -> onnxruntime.InferenceSession:
        return _session(model_folder() / DETECTOR, self._n_threads)

    @functools.cached_property
    def _recogniser(self) -> onnxruntime.InferenceSession:
        return _session(model_folder() / RECOGNISER, self._n_threads)

    @functools.cached_property
    def _characters(self) -> list[str]:
        listed = self._recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        return ["", *listed, " "]

    def read(self, image: RgbImage) -> list[OcrWord]:
        """Words in reading order, line by line; an empty list when there are none."""
        if not image.size:
            return []
        image = np.ascontiguousarray(image[:, :, ::-1])  # the models were trained on BGR
        crops = [crop for box in self._detect(image) if (crop := crop_line(image, box)) is not None]
        if self._is_upside_down(crops):
            crops = [crop.turned() for crop in crops]
        rows = _in_rows([line for crop in crops if (line := self._words(crop))])
        return [word._replace(line_no=line_no) for line_no, line in enumerate(rows) for word in line]

    def _detect(self, image: NDArray[np.uint8]) -> list[TextBox]:
        height, width = image.shape[:2]
        scale = min(1.0, DETECT_SIDE_PX / max(height, width))
        rows, columns = (
            max(STRIDE_PX, round(side * scale / STRIDE_PX) * STRIDE_PX) for side in (height, width)
        )
        small = cv2.resize(
            image, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        probability = self._run(self._detector, _normalise(small)[None])[0, 0]
        return [scale_box(box, width / columns, height / rows) for box in find_text_boxes(probability)]

    def _is_upside_down(self, crops: list[Crop]) -> bool:
        """Whether the page stands on its head, judged by its longest lines."""
        longest = sorted((c for c in crops if not c.is_turned), key=lambda c: -c.pixels.shape[1])
        sample = longest[:N_WAY_UP_LINES]
        upright = [_confidence(self._recognise(crop)) for crop in sample]
        if not sample or float(np.mean(upright)) >= SURELY_UPRIGHT:
            return False
        turned = [_confidence(self._recognise(crop.turned())) for crop in sample]
        return float(np.mean(turned)) > float(np.mean(upright)) + TURN_MARGIN

    def _words(self, crop: Crop) -> list[OcrWord]:
        glyphs = self._recognise(crop)
        if crop.is_turned and _confidence(glyphs) < SURELY_UPRIGHT:
            other = crop.turned()
            if _confidence(other_glyphs := self._recognise(other)) > _confidence(glyphs):
                crop, glyphs = other, other_glyphs
        if _confidence(glyphs) < MIN_LINE_CONFIDENCE:
            return []
        height, width = crop.pixels.shape[:2]
        return [
            OcrWord(half_width(w.text), _box(crop, w.x0 * width, w.x1 * width, height), 0, w.confidence)
            for w in split_words(glyphs, ink_columns(crop.pixels), height)
        ]

    def _recognise(self, crop: Crop) -> list[Glyph]:
        height, width = crop.pixels.shape[:2]
        columns = min(MAX_LINE_PX, max(16, round(width * LINE_HEIGHT_PX / height * SQUEEZE)))
        line = cv2.resize(crop.pixels, (columns, LINE_HEIGHT_PX))
        return decode_ctc(self._run(self._recogniser, _normalise(line)[None])[0], self._characters)

    def _run(self, session: onnxruntime.InferenceSession, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", session.run(None, {"x": batch})[0])


def _normalise(image: NDArray[Any]) -> NDArray[np.float32]:
    """Values in [-1, 1], channels first."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) * np.float32(
        2 / 255
    ) - np.float32(1)


def _confidence(glyphs: list[Glyph]) -> float:
    return float(np.mean([glyph.confidence for glyph in glyphs])) if glyphs else 0.0


def _box(crop: Crop, x0: float, x1: float, height: float) -> Box:
    return Box(*crop.image_box(x0, 0, x1, height))


def _in_rows(lines: list[list[OcrWord]]) -> list[list[OcrWord]]:
    """Lines from top to bottom, those that stand side by side from left to right."""
    boxes = {id(line): union_box(word.box for word in line) for line in lines}
    rows: list[list[list[OcrWord]]] = []
    for line in sorted(lines, key=lambda line: boxes[id(line)].center[1]):
        box, last = boxes[id(line)], boxes[id(rows[-1][0])] if rows else None
        if last is not None and abs(box.center[1] - last.center[1]) < min(box.height, last.height) / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: boxes[id(line)].x0)]


def model_folder() -> Path:
    """Folder of RapidOCR's bundled models, found without importing the package."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise MissingExtra('OCR needs the module "rapidocr"; install it with: pip install rapidocr')
    return Path(spec.origin).parent / "models"


def _session(path: Path, n_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
