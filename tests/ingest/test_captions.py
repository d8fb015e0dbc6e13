from __future__ import annotations

import pytest

from docrag.geometry import Box
from docrag.ingest.captions import caption_label, tied_captions
from docrag.ingest.lines import Line
from docrag.ingest.page_text import RegionDraft
from docrag.types import RegionKind


def draft(kind: RegionKind, box: Box, text: str = "") -> RegionDraft:
    words = tuple(range(len(text.split())))
    return RegionDraft(kind, box, (Line(words, box, text, 10, False, 0),) if text else ())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Figure 3: The gauge", "Figure 3"),
        ("Fig. 3.2 Tide by month", "Fig. 3.2"),
        ("TABLE A-1", "TABLE A-1"),
        ("Exhibit 99.1 — Charter", "Exhibit 99.1"),
        ("Table IV. Prices", "Table IV"),
        ("表 2：降雨", None),
        ("Figure 3 shows the gauge", None),
        ("table 2 and the next", None),
        ("Tables are below", None),
        ("The Figure 3: not at the start", None),
    ],
)
def test_labels_open_captions_but_not_sentences(text: str, label: str | None) -> None:
    assert caption_label(text) == label


PICTURE = draft("picture", Box(100, 200, 500, 340))
TABLE = draft("table", Box(100, 420, 500, 600), "Alder 120")


def test_a_caption_is_tied_to_what_it_stands_next_to() -> None:
    below = draft("text", Box(100, 350, 300, 362), "Figure 2: The gauge")
    above = draft("caption", Box(100, 400, 300, 412), "Table 1: Rain")
    drafts, captions = tied_captions([PICTURE, below, above, TABLE], page_height_pt=800)
    assert [d.kind for d in drafts] == ["picture", "caption", "caption", "table"]
    assert captions == {1: 0, 2: 3}


def test_the_word_table_outweighs_a_nearer_picture() -> None:
    between = draft("caption", Box(100, 350, 300, 362), "Table 1: Rain")
    drafts, captions = tied_captions([PICTURE, between, TABLE], page_height_pt=800)
    assert [drafts[i].kind for pair in captions.items() for i in pair] == ["caption", "table"]


def test_a_caption_is_moved_next_to_its_target() -> None:
    text = draft("text", Box(520, 200, 590, 340), "Beside the picture")
    below = draft("caption", Box(100, 350, 300, 362), "Figure 2: The gauge")
    drafts, captions = tied_captions([PICTURE, text, below], page_height_pt=800)
    assert drafts == [PICTURE, below, text]
    assert captions == {1: 0}


def test_a_sentence_far_from_any_picture_stays_text() -> None:
    far = draft("text", Box(100, 700, 300, 712), "Figure 9: not here")
    drafts, captions = tied_captions([PICTURE, far], page_height_pt=800)
    assert [d.kind for d in drafts] == ["picture", "text"]
    assert not captions
