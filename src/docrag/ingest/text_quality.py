"""Whether a page's text layer can be used, or the page must be read by OCR."""

from __future__ import annotations

import unicodedata

from docrag.geometry import union_area
from docrag.protocols import RawPage

# Unmapped and private-use characters above this share make a text layer useless: a symbol font for bullets
# stays far below, a font without a Unicode map reaches nearly all of the page.
_MAX_UNKNOWN_SHARE = 0.2
# Text of words has nearly only letters, digits and some punctuation; tables of numbers stay above this too.
_MIN_READABLE_SHARE = 0.5
_MIN_CHARS_TO_JUDGE = 24
# A scan: images cover the page, and the text layer is no more than a stamp, a running title or page number.
_SCAN_COVER = 0.75
_MAX_STAMP_WORDS = 30


def unusable_reason(page: RawPage) -> str | None:
    """Why the text layer cannot be used, or None when it can.

    The reasons are "no_text_layer", "unmapped_text" and "scan_with_stamp". A page without words, images and
    drawings is blank, which is not a fault of the text layer.
    """
    if not page.words:
        return "no_text_layer" if page.images or page.drawings or page.n_unmapped else None
    if is_unreadable("".join(word.text for word in page.words), n_unmapped=page.n_unmapped):
        return "unmapped_text"
    if len(page.words) <= _MAX_STAMP_WORDS and image_cover(page) >= _SCAN_COVER:
        return "scan_with_stamp"
    return None


def is_unreadable(text: str, *, n_unmapped: int = 0) -> bool:
    """Whether characters without meaning make up too much of `text` (given without white space)."""
    n_chars = max(len(text), n_unmapped)
    if not n_chars:
        return False
    if text.isascii() and not n_unmapped:
        n_unknown = 0
    else:
        n_unknown = sum(c == "\ufffd" or unicodedata.category(c) in ("Co", "Cn") for c in text)
    if max(n_unknown, n_unmapped) > _MAX_UNKNOWN_SHARE * n_chars:
        return True
    if n_chars < _MIN_CHARS_TO_JUDGE:
        return False
    n_readable = sum(c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") for c in text)
    # Rows of dots and dashes (contents, forms) are readable; they are left out of the count.
    n_leaders = sum(text.count(c) for c in "._-\u2026\u2013\u2014")
    return n_readable < _MIN_READABLE_SHARE * (n_chars - n_leaders)


def image_cover(page: RawPage) -> float:
    """Share of the page that raster images cover, 0 to 1."""
    return union_area(page.images[:200]) / (page.width_pt * page.height_pt)
