"""Captions: which regions are captions, and to which picture or table each belongs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from docrag.geometry import Box
from docrag.ingest.page_text import RegionDraft

_TABLE_WORDS = r"table|tableau|tabelle|tabla|tabela|表"
_FIGURE_WORDS = (
    r"figure|fig|exhibit|chart|graph|diagram|scheme|plate|map|photo|image|picture|illustration|box"
    r"|abbildung|abb|figura|图|図"
)
# "Figure 3: …", "Fig. 3.2 Tide", "TABLE A-1", but not "Figure 3 shows …" or "table 2 and".
_CAPTION = re.compile(
    rf"(?P<word>{_TABLE_WORDS}|{_FIGURE_WORDS})\.?\s*(?P<number>[A-Z]?[-.]?\d+(?:[-.]\d+)*[a-z]?|[IVX]+)\b"
    r"(?=\s*(?:$|[:.|)\u2013\u2014-]|\s+[A-Z\d\"“(]))",
    re.IGNORECASE,
)
_TABLE = re.compile(_TABLE_WORDS, re.IGNORECASE)
_MAX_CAPTION_WORDS = 120
# A caption stands next to its picture: this share of the page's height away at most.
_MAX_GAP_SHARE = 0.08
_WRONG_KIND_PT = 80.0  # more than any gap: the other kind only where the right one is not near
_TARGETS = ("picture", "table")


def caption_label(text: str) -> str | None:
    """The label that opens a caption, such as "Figure 3", or None when `text` is no caption.

    Examples
    --------
    >>> caption_label("Table 2: Rain by month")
    'Table 2'
    >>> caption_label("Table 2 shows that it rains") is None
    True
    """
    match = _CAPTION.match(text)
    if match is None:
        return None
    after = text[match.end() :].lstrip()
    if after and after[0].islower():  # IGNORECASE lets a small letter through the look-ahead
        return None
    return match.group().strip()


def tied_captions(
    drafts: Sequence[RegionDraft], *, page_height_pt: float
) -> tuple[list[RegionDraft], Mapping[int, int]]:
    """`drafts` with every caption moved next to its target, and the map from caption to target index.

    A region is a caption when the detector says so, or when its text opens like one and a picture or table
    is near. Each target has at most one caption: the nearest, tables preferring "Table …".
    """
    targets = [i for i, draft in enumerate(drafts) if draft.kind in _TARGETS]
    pairs: list[tuple[float, int, int]] = []
    for i, draft in enumerate(drafts):
        if draft.kind not in ("caption", "text", "section-header", "list-item"):
            continue
        opening = " ".join(line.text for line in draft.lines[:2])
        label = caption_label(opening)
        if draft.kind != "caption" and (
            label is None or sum(len(line.words) for line in draft.lines) > _MAX_CAPTION_WORDS
        ):
            continue
        for j in targets:
            distance = _distance(draft.box, drafts[j].box)
            if distance is None or distance > _MAX_GAP_SHARE * page_height_pt:
                continue
            if label is not None and bool(_TABLE.match(label)) != (drafts[j].kind == "table"):
                distance += _WRONG_KIND_PT
            pairs.append((distance, i, j))
    target_of: dict[int, int] = {}
    for _, i, j in sorted(pairs):
        if i not in target_of and j not in target_of.values():
            target_of[i] = j
    order: list[int] = []
    caption_of = {j: i for i, j in target_of.items()}
    for i in range(len(drafts)):
        if i in target_of:
            continue
        caption = caption_of.get(i)
        if caption is None:
            order.append(i)
        elif drafts[caption].box.center[1] < drafts[i].box.center[1]:
            order.extend((caption, i))
        else:
            order.extend((i, caption))
    place = {old: new for new, old in enumerate(order)}
    out = [replace(drafts[i], kind="caption") if i in target_of else drafts[i] for i in order]
    return out, {place[i]: place[j] for i, j in target_of.items()}


def _distance(caption: Box, target: Box) -> float | None:
    """Gap in points between a caption and a target that stand above or beside each other, else None."""
    gap_x = max(0.0, target.x0 - caption.x1, caption.x0 - target.x1)
    gap_y = max(0.0, target.y0 - caption.y1, caption.y0 - target.y1)
    if gap_x > 0 and gap_y > 0:
        return None
    return gap_x + gap_y
