"""The figure, chart or table that a sentence speaks of, where its words are not in the text of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docrag.answer.words import is_content, tokens
from docrag.geometry import Box, union_box
from docrag.types import Hit, Page, Region

_LABEL = re.compile(
    r"\b(fig(?:ure)?s?|charts?|tables?|tabs?|exhibits?|graphs?|diagrams?|images?|photos?|maps?|plates?|box)"
    r"\.?\s*([A-Z]{0,2}\d+(?:[.\-–]\d+)*[a-z]?)\b",
    re.IGNORECASE,
)
_KINDS = {"fig": "figure", "figs": "figure", "tab": "table", "tabs": "table"}
_MIN_CAPTION_SHARE = 0.5
"""Share of a caption's content words that a sentence must have in common with it to be about its figure."""
_MIN_CAPTION_WORDS = 2


def figure_box(page: Page, hit: Hit, *, said: str) -> Box | None:
    """Box of what `said` (the sentence and its quote) speaks of on `page`; None when nothing tells.

    That is the retrieved region itself when it is a picture, table or formula; else the picture or table
    whose caption has the number that is named ("Figure 3"), or most of whose caption's words are said.
    """
    if hit.box is not None and hit.kind in ("picture", "table", "formula", "caption"):
        return hit.box
    captioned = list(_captioned(page))
    named = labels_in(said)
    for target, caption in captioned:
        if named & labels_in(caption):
            return target
    if named:  # it names a figure that is not here
        return None
    words = content_words(said)
    best: tuple[float, Box] | None = None
    for target, caption in captioned:
        own = caption_words(caption)
        share = len(own & words) / len(own) if len(own) >= _MIN_CAPTION_WORDS else 0.0
        if share >= _MIN_CAPTION_SHARE and (best is None or share > best[0]):
            best = share, target
    return best[1] if best is not None else None


def _captioned(page: Page) -> Iterator[tuple[Box, str]]:
    """Boxes of pictures and tables, each with its caption's text, and that text."""
    regions = {region.order: region for region in page.regions}
    for region in page.regions:
        if region.kind not in ("picture", "table") or region.caption_order is None:
            continue
        caption: Region | None = regions.get(region.caption_order)
        if caption is not None:
            yield union_box((region.box, caption.box)), page.text[caption.start : caption.end]


def labels_in(text: str) -> set[tuple[str, str]]:
    """Kinds and numbers of the figures and tables that a text names: ("figure", "3")."""
    found: set[tuple[str, str]] = set()
    for match in _LABEL.finditer(text):
        kind = match[1].lower()
        found.add((_KINDS.get(kind, kind.removesuffix("s")), match[2].lower().replace("–", "-")))
    return found


def caption_words(text: str) -> set[str]:
    """Stems of a caption's words that carry content, its kind and number left out."""
    return content_words(_LABEL.sub(" ", text))


def content_words(text: str) -> set[str]:
    """Stems of the words that carry content."""
    return {token.stem for token in tokens(text) if is_content(token)}
