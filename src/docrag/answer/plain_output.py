"""What a model wrote, made plain: no markup that runs or loads something, no links, nothing invisible."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from docrag.answer.visible_text import without_disguise

LinkPolicy = Literal["remove", "text"]
REMOVED = "(link removed)"

_URL = (
    r"[a-z][a-z0-9+.\-]{1,15}://[^\s<>\"'`]+"
    r"|(?:javascript|vbscript|mailto|blob):[^\s<>\"'`]+|data:[a-z]+/[^\s<>\"'`]+|file:/[^\s<>\"'`]+"
)
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^)]*\)?|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\]]*)\]\(\s*[^)]*\)?")
_DEFINITION = re.compile(r"^[ \t]*\[[^\]\n]+\]:[ \t]*\S+.*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)", re.DOTALL)
_BLOCK = re.compile(r"<(script|style|iframe|object|svg|math|template)\b.*?(?:</\1\s*>|\Z)", re.I | re.DOTALL)
_AUTOLINK = re.compile(r"<(?:[a-z][a-z0-9+.\-]*:|//)[^<>\s]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z!?][^<>]*>|<[a-z][^<>]*=[^<>]*\Z", re.IGNORECASE)
_BARE = re.compile(rf"\b(?:{_URL})|(?<![\w.])//[a-z0-9\-]+\.[^\s<>\"'`]+|\bwww\.[^\s<>\"'`]+", re.IGNORECASE)
_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.\-]*:)?(?://)?", re.IGNORECASE)
_OPENING = re.compile(r"<(?=[a-z/!?][^>]{0,1000}[=>])", re.IGNORECASE)
_TRAILING = ".,;:!?)]}'\"*_"
_MAX_PASSES = 8


class Plain(NamedTuple):
    """A plain text, and what was taken out of it, in words."""

    text: str
    removed: tuple[str, ...] = ()


def plain_output(text: str, *, links: LinkPolicy = "remove") -> Plain:
    """`text` without HTML, Markdown pictures and links; addresses go, or with "text" lose their scheme.

    A tag that appears only when another is taken out is taken out, too.

    Examples
    --------
    >>> plain_output("Sales rose ![x](https://tracker.test/a.png)5 %, see <b>page 3</b>.")
    Plain(text='Sales rose x5 %, see page 3.', removed=('a picture', 'HTML'))
    """
    removed: dict[str, None] = {}

    def take(pattern: re.Pattern[str], what: str, replacement: str, source: str) -> str:
        changed = pattern.sub(replacement, source)
        if changed != source:
            removed[what] = None
        return changed

    text = without_disguise(text).text
    for _ in range(_MAX_PASSES):
        before = text
        text = take(_IMAGE, "a picture", r"\1", text)
        text = take(_LINK, "a link", r"\1", text)
        text = take(_DEFINITION, "a link", "", text)
        text = take(_COMMENT, "HTML", "", text)
        text = take(_BLOCK, "HTML", "", text)
        text = take(_AUTOLINK, "a link", REMOVED, text)
        text = take(_TAG, "HTML", "", text)
        if text == before:
            break
    else:  # nested deeper than any honest text: no angle bracket stays
        text = text.replace("<", "").replace(">", "")

    # What is left opens a tag that holds another bracket before it ends: browsers would take it for one.
    text = take(_OPENING, "HTML", "< ", text)

    def address(match: re.Match[str]) -> str:
        removed["a link"] = None
        url = match[0].rstrip(_TRAILING)
        rest = match[0][len(url) :]
        return (_SCHEME.sub("", url) if links == "text" else REMOVED) + rest

    return Plain(_BARE.sub(address, text), tuple(removed))
