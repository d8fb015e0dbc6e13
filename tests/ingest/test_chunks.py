from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from docrag.geometry import Box, union_box
from docrag.ingest.chunks import chunks_of
from docrag.types import Chunk, Region, RegionKind, Table, Word


def chunked(
    *parts: tuple[RegionKind, str], captions: dict[int, int] | None = None
) -> tuple[str, tuple[Chunk, ...]]:
    """Chunks of regions one below the other; a table's text has cells parted by tabs, rows by line ends."""
    text = ""
    words: list[Word] = []
    regions: list[Region] = []
    partner = dict(captions or {})
    partner.update({b: a for a, b in partner.items()})
    y = 0.0
    for order, (kind, body) in enumerate(parts):
        text += "\n\n" if text else ""
        start, top = len(text), y
        rows: list[tuple[str, ...]] = []
        boxes: list[tuple[Box, ...]] = []
        for i, line in enumerate(body.split("\n")):
            text += "\n" if i else ""
            row_boxes: list[Box] = []
            for j, cell in enumerate(line.split("\t")):
                text += " " if j else ""
                for k, one in enumerate(cell.split()):
                    text += " " if k else ""
                    box = Box(100 * j, y, 100 * j + 50, y + 10)
                    words.append(Word(len(text), len(text) + len(one), box, len(rows), False))
                    text += one
                row_boxes.append(Box(100 * j, y, 100 * j + 50, y + 10))
            rows.append(tuple(line.split("\t")))
            boxes.append(tuple(row_boxes))
            y += 12
        table = Table(tuple(rows), tuple(boxes)) if kind == "table" else None
        box = Box(0, top, 500, y)
        regions.append(Region(order, kind, box, start, len(text), table, partner.get(order)))
        y += 10
    return text, chunks_of(text, words, regions)


def sentences(n: int, word: str = "water") -> str:
    """`n` sentences of ten words."""
    return " ".join(f"The {word} rose by {i} feet in the long winter." for i in range(n))


def test_a_heading_goes_along_with_its_text() -> None:
    text, (chunk,) = chunked(("section-header", "2. Findings"), ("text", "The river rose."))
    assert chunk.text == "2. Findings\nThe river rose."
    assert chunk.heading == "2. Findings"
    assert chunk.kind == "text"
    assert text[chunk.start : chunk.end] == "2. Findings\n\nThe river rose."
    assert chunk.region_orders == (0, 1)
    assert chunk.boxes == (Box(0, 0, 500, 12), Box(0, 22, 500, 34))


def test_every_part_of_a_section_carries_its_heading() -> None:
    _, chunks = chunked(
        ("section-header", "Findings"), ("text", sentences(15)), ("text", sentences(15, "ice"))
    )
    assert len(chunks) == 2
    assert [chunk.text.splitlines()[0] for chunk in chunks] == ["Findings", "Findings"]
    assert chunks[1].region_orders == (2,)


def test_text_without_spaces_is_cut_at_its_sentences() -> None:
    # 24 sentences of 50 characters: 24 pairs and a last character with its stop make 25 words of each, so
    # five of them come nearest to 120 words.
    text, chunks = chunked(("text", ("水" * 49 + "。") * 24))
    assert [len(chunk.text) for chunk in chunks] == [250, 250, 250, 250, 200]
    assert "".join(chunk.text for chunk in chunks) == text
    _, (one, two) = chunked(("text", "川" * 120), ("text", "山" * 120), ("text", "海" * 120))
    assert (one.region_orders, two.region_orders) == ((0, 1), (2,))


def test_text_without_spaces_and_sentences_is_cut_all_the_same() -> None:
    text, chunks = chunked(("text", "水" * 2000))
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(200 <= len(chunk.text) <= 360 for chunk in chunks)


def test_short_neighbours_are_joined_and_long_texts_cut_at_sentences() -> None:
    _, (one,) = chunked(("text", sentences(2)), ("list-item", "• gate"), ("text", sentences(3)))
    assert one.region_orders == (0, 1, 2)
    text, chunks = chunked(("text", sentences(50)))
    assert all(len(chunk.text.split()) <= 180 for chunk in chunks)
    assert all(chunk.text.endswith(".") and chunk.text.startswith("The") for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks) == text


def test_text_without_sentences_is_cut_between_words() -> None:
    _, chunks = chunked(("text", " ".join(f"w{i}" for i in range(1000))))
    assert all(100 <= len(chunk.text.split()) <= 180 for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks).split() == [f"w{i}" for i in range(1000)]


def test_a_new_heading_starts_a_chunk_unless_the_one_before_is_short() -> None:
    _, slides = chunked(
        ("section-header", "Cost"), ("text", "Too high."), ("section-header", "Time"), ("text", "Too long.")
    )
    assert [chunk.text for chunk in slides] == ["Cost\nToo high.\nTime\nToo long."]
    _, report = chunked(
        ("section-header", "Cost"), ("text", sentences(5)), ("section-header", "Time"), ("text", "x")
    )
    assert [chunk.heading for chunk in report] == ["Cost", "Time"]


def test_a_table_is_a_chunk_with_its_caption_as_markdown() -> None:
    text, chunks = chunked(
        ("text", "Before it."),
        ("caption", "Table 3: Rain"),
        ("table", "Station\tRain\nAlder\t120"),
        ("text", "After it."),
        captions={1: 2},
    )
    assert [chunk.kind for chunk in chunks] == ["text", "table", "text"]
    table = chunks[1]
    assert table.text == "Table 3: Rain\n| Station | Rain |\n| --- | --- |\n| Alder | 120 |"
    assert text[table.start : table.end] == "Table 3: Rain\n\nStation Rain\nAlder 120"
    assert table.region_orders == (1, 2)


def test_a_long_table_is_cut_between_rows_and_repeats_its_header() -> None:
    rows = "\n".join(f"Station {i}\tone two three four five six" for i in range(60))
    text, chunks = chunked(("table", f"Name\tRemarks\n{rows}"))
    assert len(chunks) > 2
    assert all(chunk.text.startswith("| Name | Remarks |\n| --- | --- |\n") for chunk in chunks)
    stations = [line for chunk in chunks for line in chunk.text.splitlines() if "Station" in line]
    assert [line.split("|")[1].strip() for line in stations] == [f"Station {i}" for i in range(60)]
    assert all(a.end < b.start for a, b in pairwise(chunks))
    assert text[chunks[1].start :].startswith("Station")
    assert chunks[1].boxes[0].y0 > chunks[0].boxes[0].y1


def test_a_picture_is_a_chunk_with_its_words_and_caption() -> None:
    _, chunks = chunked(
        ("section-header", "The harbour"),
        ("picture", "Tide at seven"),
        ("caption", "Figure 2: The gauge"),
        ("text", "It is old."),
        captions={2: 1},
    )
    assert [chunk.kind for chunk in chunks] == ["picture", "text"]
    assert chunks[0].text == "The harbour\nTide at seven\nFigure 2: The gauge"
    assert chunks[1].text == "The harbour\nIt is old."
    assert chunks[1].region_orders == (3,)


def test_a_picture_without_words_or_caption_comes_last_without_text() -> None:
    """Words of other chunks never change because of it, and no heading makes it found by words."""
    before, after, chart = (Region(i, "text", Box(0, 50 * i, 500, 50 * i + 12), 0, 0) for i in (0, 2, 1))
    text = "Before.\n\nAfter."
    regions = (
        replace(before, start=0, end=7),
        replace(chart, kind="picture", box=Box(0, 20, 300, 90), start=7, end=7),
        replace(after, start=9, end=15),
    )
    chunks = chunks_of(text, (), regions)
    assert [(c.chunk_no, c.kind, c.text, c.region_orders) for c in chunks] == [
        (1, "text", "Before.\nAfter.", (0, 2)),
        (2, "picture", "", (1,)),
    ]
    assert chunks[1].box == Box(0, 20, 300, 90)
    assert chunks[1].start == chunks[1].end == len(text)


@pytest.mark.parametrize("kind", ["picture", "table", "formula"])
def test_tiny_pictures_are_icons(kind: RegionKind) -> None:
    region = Region(0, kind, Box(0, 0, 200, 20), 0, 0)
    assert chunks_of("", (), (region,)) == ()
    larger = replace(region, box=Box(0, 0, 24, 24))
    assert [chunk.kind for chunk in chunks_of("", (), (larger,))] == [kind]


def test_wordless_text_regions_are_no_chunks() -> None:
    assert chunks_of("", (), (Region(0, "text", Box(0, 0, 200, 200), 0, 0),)) == ()


def test_a_wordless_picture_with_a_caption_lends_its_box_to_the_caption() -> None:
    _, chunks = chunked(("picture", ""), ("caption", "Figure 1: A gauge"), captions={1: 0})
    (chunk,) = chunks
    assert chunk.text == "Figure 1: A gauge"
    assert chunk.region_orders == (1, 0)
    assert chunk.box == union_box([Box(0, 0, 500, 12), Box(0, 22, 500, 34)])


def test_headers_and_footers_are_in_no_chunk() -> None:
    _, chunks = chunked(("page-header", "Yearbook"), ("text", "The river."), ("page-footer", "17"))
    assert [chunk.text for chunk in chunks] == ["The river."]


def test_a_heading_alone_is_a_chunk() -> None:
    _, (chunk,) = chunked(("section-header", "Part Two"), ("section-header", "The Sea"))
    assert chunk.kind == "section-header"
    assert chunk.text == "Part Two\nThe Sea"


def test_words_broken_at_line_ends_are_joined() -> None:
    _, (chunk,) = chunked(("text", "the infor-\nmation"))
    assert chunk.text == "the information"
