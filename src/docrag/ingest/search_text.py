"""Text as retrieval wants it: words joined that a line end broke, and one form for every character."""

from __future__ import annotations

import re
import unicodedata

# A letter, a hyphen at the end of a line, and a small letter at the start of the next line of the region.
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])[-\u2010]\n(?=([^\W\d_]))")
_LIGATURES = str.maketrans(
    {
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
        "\ufb05": "st",
        "\ufb06": "st",
    }
)


def joined_lines(text: str) -> str:
    r"""`text` on one line: words that a line end broke are joined, ligatures split.

    Examples
    --------
    >>> joined_lines("infor-\nmation of the\n\ufb01rst Anglo-\nSaxon year")
    'information of the first Anglo-Saxon year'
    """
    joined = _BROKEN_WORD.sub(lambda m: "" if m.group(1).islower() else "-", text)
    return " ".join(joined.translate(_LIGATURES).split())


def search_text_of(text: str) -> str:
    r"""`joined_lines` of `text` in Unicode form NFKC: what page retrieval indexes.

    Examples
    --------
    >>> search_text_of("the ﬁrst ½ of\n2 m²")
    'the first 1⁄2 of 2 m2'
    """
    return " ".join(unicodedata.normalize("NFKC", joined_lines(text)).split())
