from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from docrag.geometry import Box
from docrag.ingest.reading_order import reading_order

TITLE = Box(50, 50, 550, 80)
LEFT_1, LEFT_2 = Box(50, 100, 290, 300), Box(50, 320, 290, 500)
RIGHT_1, RIGHT_2 = Box(310, 100, 550, 260), Box(310, 280, 550, 500)
FIGURE = Box(50, 520, 550, 640)
BELOW_LEFT, BELOW_RIGHT = Box(50, 660, 290, 760), Box(310, 660, 550, 760)


def test_columns_are_read_down_before_across() -> None:
    boxes = [TITLE, LEFT_1, LEFT_2, RIGHT_1, RIGHT_2]
    assert reading_order(boxes) == [0, 1, 2, 3, 4]


def test_what_spans_the_columns_divides_them() -> None:
    boxes = [TITLE, LEFT_1, LEFT_2, RIGHT_1, RIGHT_2, FIGURE, BELOW_LEFT, BELOW_RIGHT]
    assert reading_order(boxes) == list(range(8))


def test_right_to_left_pages_start_with_the_right_column() -> None:
    boxes = [TITLE, LEFT_1, LEFT_2, RIGHT_1, RIGHT_2]
    assert reading_order(boxes, right_to_left=True) == [0, 3, 4, 1, 2]


def test_a_heading_set_out_to_the_left_stays_above_its_text() -> None:
    text_1, heading, text_2 = Box(83, 100, 550, 300), Box(33, 320, 90, 340), Box(83, 345, 550, 500)
    assert reading_order([text_1, heading, text_2]) == [0, 1, 2]


def test_the_order_does_not_depend_on_the_order_given() -> None:
    boxes = [TITLE, LEFT_1, LEFT_2, RIGHT_1, RIGHT_2, FIGURE, BELOW_LEFT, BELOW_RIGHT]
    for seed in range(5):
        shuffled = boxes[:]
        random.Random(seed).shuffle(shuffled)
        assert [shuffled[i] for i in reading_order(shuffled)] == boxes


coordinate = st.floats(0, 600, allow_nan=False)
any_box = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinate, coordinate, st.floats(0, 300), st.floats(0, 300)
)


@given(st.lists(any_box, max_size=12))
def test_every_box_has_exactly_one_place(boxes: list[Box]) -> None:
    assert sorted(reading_order(boxes)) == list(range(len(boxes)))


@given(st.lists(st.floats(1, 50), min_size=1, max_size=10))
def test_one_column_is_read_from_top_to_bottom(heights: list[float]) -> None:
    boxes: list[Box] = []
    y = 0.0
    for height in heights:
        boxes.append(Box(10, y, 300, y + height))
        y += height + 1
    assert reading_order(boxes[::-1]) == list(range(len(boxes)))[::-1]
