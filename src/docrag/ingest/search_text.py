"""The normalised text that retrieval indexes."""

from __future__ import annotations

import re
import unicodedata

# A letter, a hyphen at the end of a line, and a small letter at the start of the next.
_BROKEN_WORD = re.compile(r"(?<=\w)[-\u2010]\n+(?=[^\W\d_A-Z])")


def search_text_of(text: str) -> str:
    r"""`text` with words joined that a line end broke, in Unicode form NFKC, white space as single spaces.

    Examples
    --------
    >>> search_text_of("infor-\nmation of\nthe \ufb01rst year")
    'information of the first year'
    """
    joined = _BROKEN_WORD.sub("", text)
    return " ".join(unicodedata.normalize("NFKC", joined).split())
