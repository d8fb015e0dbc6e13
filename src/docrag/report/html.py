"""One self-contained HTML file about one answer: nothing is fetched, nothing runs, everything is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docrag.geometry import Box
from docrag.report.crops import Crop
from docrag.report.explain import abstention_text
from docrag.report.self_contained import rendered
from docrag.types import Answer

_TEMPLATES = Path(__file__).parent / "templates"

_MARK_MARGIN_PT = 1.5


def answer_html(
    answer: Answer,
    *,
    crops: Mapping[int, Crop],
    missing: Mapping[int, str],
    facts: Sequence[tuple[str, str]],
    written_at: datetime,
) -> str:
    """HTML of an answer.

    `crops` holds page pictures by citation number, `missing` says why a citation has none, and `facts` are
    names and values about the run, such as versions.
    """
    cited = {citation.evidence_id for citation in answer.citations}
    return rendered(
        _TEMPLATES,
        "answer.html",
        css=answer_css(),
        answer=answer,
        by_n={citation.n: citation for citation in answer.citations},
        reason=abstention_text(answer),
        crops={n: crop_view(crop) for n, crop in crops.items()},
        missing=missing,
        cited=cited,
        retrievers=sorted({name for evidence in answer.evidence for name in evidence.hit.sources}),
        facts=facts,
        written_at=written_at.astimezone(UTC),
    )


def answer_css() -> str:
    """Style of reports, as a file holds it."""
    return (_TEMPLATES / "answer.css").read_text("utf-8")


def crop_view(crop: Crop) -> dict[str, Any]:
    """Numbers of a crop for SVG, in points from the crop's own corner."""

    def mark(box: Box) -> dict[str, float]:
        grown = box.padded(_MARK_MARGIN_PT)
        x, y = grown.x0 - crop.box.x0, grown.y0 - crop.box.y0
        return {
            "x": round(x, 2),
            "y": round(y, 2),
            "width": round(grown.width, 2),
            "height": round(grown.height, 2),
        }

    return {
        "uri": crop.data_uri,
        "width": round(crop.box.width, 2),
        "height": round(crop.box.height, 2),
        "marks": [mark(box) for box in crop.marks],
    }
