from __future__ import annotations

import dataclasses

from docrag.geometry import Box
from docrag.ingest.text_quality import is_unreadable, unusable_reason
from docrag.protocols import RawPage, RawWord

BLANK = RawPage(1, "", 600, 800, 0, (), (), ())
FULL = Box(0, 0, 600, 800)


def words(*texts: str) -> tuple[RawWord, ...]:
    return tuple(
        RawWord(text, Box(50, 20 * i, 50 + 5 * len(text), 20 * i + 10), 0, i, 10, False)
        for i, text in enumerate(texts)
    )


def test_a_blank_page_lacks_nothing() -> None:
    assert unusable_reason(BLANK) is None


def test_a_page_of_images_or_drawings_alone_has_no_text_layer() -> None:
    assert unusable_reason(dataclasses.replace(BLANK, images=(FULL,))) == "no_text_layer"
    assert unusable_reason(dataclasses.replace(BLANK, drawings=(Box(10, 10, 90, 20),))) == "no_text_layer"


def test_a_scan_with_a_stamp_is_told_from_text_over_a_background() -> None:
    stamped = dataclasses.replace(BLANK, images=(FULL,), words=words("RECEIVED", "2014"))
    assert unusable_reason(stamped) == "scan_with_stamp"
    text = dataclasses.replace(BLANK, images=(FULL,), words=words(*["words"] * 31))
    assert unusable_reason(text) is None
    beside = dataclasses.replace(BLANK, images=(Box(0, 0, 300, 400),), words=words("Cover", "page"))
    assert unusable_reason(beside) is None


def test_unmapped_text_is_found() -> None:
    page = dataclasses.replace(BLANK, words=words("\ufffd" * 20), n_unmapped=20)
    assert unusable_reason(page) == "unmapped_text"
    assert is_unreadable("\ue001\ue002\ue003 abc")
    assert is_unreadable("!\"#$%&'()*+,/:;<=>?@[]^`{|}~" * 2)


def test_ordinary_text_is_readable() -> None:
    assert not is_unreadable("Chapter.......................12")
    assert not is_unreadable("$1,234,567(8)%" * 5)
    assert not is_unreadable("नमस्तेदुनिया" * 4)
    assert not is_unreadable("مرحبابالعالم" * 4)
    assert not is_unreadable("\uf0b7Raisethebanks")  # one bullet of a symbol font


def test_few_characters_are_not_judged_by_their_kind() -> None:
    assert not is_unreadable("→ (!)")
