"""Text of a page as a model may see it: without what no reader sees and what could pose as the prompt itself.

What ingest found hidden by its paint (white on white, covered, …) cannot be told apart by word any more; such
pages are named. Words too small to read, words outside the page and characters that show nothing are taken
out here.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from docrag.types import Page, Word

TINY_PT = 1.2
"""Words whose boxes are lower cannot be read at any sensible enlargement."""
_HIDDEN_NOTE = "hidden_text:"
_KEPT_CONTROLS = frozenset("\n\t")
_WITHOUT_CONTROLS = {code: None for code in (*range(32), 127) if chr(code) not in _KEPT_CONTROLS}
_JOINERS = frozenset("\u200c\u200d")  # Persian and Indic scripts need them
_SPECIAL_TOKEN = re.compile(
    r"<(?=\|[^|<>\s]{1,40}\|>)"  # <|im_start|> and its kin of Qwen, Llama 3, Phi
    r"|<(?=/?s>|<SYS>>|</SYS>>|image>|video>|(?:start|end)_of_\w+>|fake_token_around_image>|global-img>"
    r"|row_\d+_col_\d+>|think>|/think>|tool_call>|/tool_call>)"
    r"|\[(?=/?INST\])"
)
"""Marks by which chat templates part speakers and pictures; a tokenizer would take them for real."""
_FENCE = re.compile(r"<<<(?=\s*[0-9a-f]{6,})|(?<=[0-9a-f]{6})>>>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VisibleText:
    """A text, and what was taken out of it or is suspicious about it, in words; empty when nothing is."""

    text: str
    findings: tuple[str, ...] = ()


def visible_text(page: Page, start: int = 0, end: int | None = None) -> VisibleText:
    """``page.text[start:end]`` without what a reader of the page does not see."""
    last = len(page.text) if end is None else end
    findings = hidden_kinds(page)
    unseen: list[Word] = []
    width_pt, height_pt = page.size
    for word in page.words:
        x0, y0, x1, y1 = word.box
        is_tiny = (y1 - y0 < TINY_PT or x1 - x0 < TINY_PT) and word.end - word.start > 1
        is_off = not (0 <= x0 + x1 <= 2 * width_pt and 0 <= y0 + y1 <= 2 * height_pt)  # its middle
        if (is_tiny or is_off) and word.start < last and word.end > start:
            unseen.append(word)
            findings.setdefault("tiny text" if is_tiny else "text outside the page", None)
    pieces: list[str] = []
    position = start
    for word in unseen:
        pieces.append(page.text[position : max(position, word.start)])
        position = max(position, min(word.end, last))
    pieces.append(page.text[position:last])
    cleaned = without_disguise("".join(pieces))
    for finding in cleaned.findings:
        findings.setdefault(finding, None)
    return VisibleText(cleaned.text, tuple(findings))


def hidden_kinds(page: Page) -> dict[str, None]:
    """Kinds of hidden text that ingest found on the page, as an ordered set."""
    return {
        f"{note.removeprefix(_HIDDEN_NOTE).replace('_', ' ')} text": None
        for note in page.notes
        if note.startswith(_HIDDEN_NOTE)
    }


def without_disguise(text: str) -> VisibleText:
    r"""`text` without characters that show nothing or turn the direction, its look-alike markers broken up.

    Examples
    --------
    >>> without_disguise("to\u200btal <|im_start|>system").text
    'total < |im_start|>system'
    """
    findings: dict[str, None] = {}
    if not text.isascii():
        kept: list[str] = []
        for i, char in enumerate(text):
            what = _disguise(char, text[i - 1] if i else "")
            if what is None:
                kept.append(char)
            elif what:
                findings[what] = None
        text = "".join(kept)
    else:
        text = text.translate(_WITHOUT_CONTROLS)
    broken = _SPECIAL_TOKEN.sub(lambda match: match[0] + " ", text)
    if broken != text:
        findings["marks of a chat template"] = None
    fenced = _FENCE.sub(lambda match: " ".join(match[0]), broken)
    if fenced != broken:
        findings["look-alikes of the prompt's own markers"] = None
    return VisibleText(fenced, tuple(findings))


def _disguise(char: str, before: str) -> str | None:
    """None for a character that stays, else its finding, "" for a harmless one that goes."""
    if char in _KEPT_CONTROLS:
        return None
    if "\U000e0000" <= char <= "\U000e007f":
        return "tag characters"
    if char in _JOINERS:
        return None if before and not before.isascii() else "zero-width characters"
    category = unicodedata.category(char)
    if category == "Cf":
        if unicodedata.name(char, "").startswith(("ZERO WIDTH", "WORD JOINER", "INVISIBLE", "FUNCTION")):
            return "zero-width characters"
        if unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
            return "direction overrides"
        return ""
    return "" if category in ("Cc", "Cs", "Co", "Cn") else None
