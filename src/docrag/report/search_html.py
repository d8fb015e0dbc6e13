"""One self-contained HTML file about a search: where every hit is, why it came up, and what looked right."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.geometry import Box
from docrag.report.crops import JPEG_QUALITY
from docrag.report.search_explain import explanation
from docrag.report.self_contained import rendered
from docrag.retrieve.stage import SearchResult
from docrag.types import UnitRef

PAGE_WIDTH_PX = 1000
HEAT_RGB = (214, 40, 40)
MAX_OPACITY = 0.75

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as JPEG, with its size in points, and how hot its patches are.

    `layers` are names and maps ``(n_rows, n_columns)`` from 0 to 1, NaN where there is no patch; the first is
    shown at first.
    """

    jpeg: bytes
    width_pt: float
    height_pt: float
    boxes: Sequence[Box]
    layers: Sequence[tuple[str, NDArray[np.float32]]]


def search_html(
    result: SearchResult,
    *,
    pictures: Mapping[UnitRef, PagePicture],
    missing: Mapping[UnitRef, str],
    notices: Sequence[str],
    written_at: datetime,
) -> str:
    """HTML of a search and how it came about; `missing` says why a hit has no picture.

    Nothing is fetched, nothing runs.
    """
    most_layers = max((len(picture.layers) for picture in pictures.values()), default=0)
    css = (_TEMPLATES / "search.css").read_text("utf-8") + _layer_rules(most_layers)
    return rendered(
        _TEMPLATES,
        "search.html",
        css=css,
        query=result.query.text,
        hits=result.hits,
        about=explanation(result),
        views={unit: _view(picture) for unit, picture in pictures.items()},
        missing=missing,
        notices=notices,
        written_at=written_at.astimezone(UTC),
    )


def page_jpeg(image: NDArray[np.uint8]) -> bytes:
    """A rendered page as JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def heat_png(layer: NDArray[np.float32]) -> bytes:
    """A map as a picture of one pixel a patch: the hotter, the less transparent."""
    from PIL import Image

    rgba = np.zeros((*layer.shape, 4), np.uint8)
    rgba[..., :3] = HEAT_RGB
    rgba[..., 3] = np.clip(np.nan_to_num(layer), 0, 1) * (MAX_OPACITY * 255)
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _layer_rules(n_layers: int) -> str:
    """Style rules that show the layer whose button is chosen: the page has no scripts."""
    return "".join(
        f".hit input:nth-of-type({i}):checked ~ .page .layer:nth-of-type({i}) {{ display: inline }}\n"
        f".hit input:nth-of-type({i}):checked ~ .words label:nth-of-type({i}) "
        "{ background: var(--hot); color: white }\n"
        for i in range(1, n_layers + 1)
    )


def _view(picture: PagePicture) -> dict[str, Any]:
    return {
        "uri": _data_uri("image/jpeg", picture.jpeg),
        "width": round(picture.width_pt, 2),
        "height": round(picture.height_pt, 2),
        "boxes": [
            {
                "x": round(b.x0, 2),
                "y": round(b.y0, 2),
                "width": round(b.width, 2),
                "height": round(b.height, 2),
            }
            for b in picture.boxes
        ],
        "layers": [
            {"name": name, "uri": _data_uri("image/png", heat_png(layer))} for name, layer in picture.layers
        ],
    }


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
