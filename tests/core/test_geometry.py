import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.geometry import Box, union_area, union_box

EDGE = st.integers(-50, 650).map(float)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, x1 = sorted((draw(EDGE), draw(EDGE)))
    y0, y1 = sorted((draw(EDGE), draw(EDGE)))
    return Box(x0, y0, x1, y1)


def covered_cells(items: list[Box]) -> int:
    """Area by counting unit squares: exact, because all edges are whole numbers."""
    return len(
        {
            (x, y)
            for box in items
            for x in range(int(box.x0), int(box.x1))
            for y in range(int(box.y0), int(box.y1))
        }
    )


def test_measures_of_a_box():
    box = Box(10, 20, 40, 80)
    assert (box.width, box.height, box.area, box.center) == (30, 60, 1800, (25, 50))


def test_left_and_top_edges_belong_to_a_box_right_and_bottom_do_not():
    box = Box(0, 0, 10, 10)
    assert box.contains_point(0, 0)
    assert not box.contains_point(10, 5)
    assert not box.contains_point(5, 10)


def test_boxes_that_only_touch_have_no_intersection():
    assert Box(0, 0, 10, 10).intersection(Box(10, 0, 20, 10)) is None
    assert Box(0, 0, 10, 10).intersection(Box(5, 5, 20, 20)) == Box(5, 5, 10, 10)


def test_overlap_is_a_share_of_the_first_box():
    small, large = Box(0, 0, 10, 10), Box(0, 0, 20, 20)
    assert small.overlap_fraction(large) == 1
    assert large.overlap_fraction(small) == 1 / 4
    assert Box(5, 5, 5, 5).overlap_fraction(large) == 0


def test_padding_clipping_scaling_and_rounding():
    assert Box(5, 5, 10, 10).padded(2) == Box(3, 3, 12, 12)
    assert Box(-5, 10, 700, 900).clipped(595, 842) == Box(0, 10, 595, 842)
    assert Box(1, 2, 3, 4).scaled(2) == Box(2, 4, 6, 8)
    assert Box(1.005, 1.234, 2.999, 4.0).rounded(1) == Box(1.0, 1.2, 3.0, 4.0)


def test_there_is_no_box_around_nothing():
    with pytest.raises(ValueError, match="at least one box"):
        union_box([])


@given(boxes(), boxes())
def test_an_intersection_lies_in_both_and_is_symmetric(a: Box, b: Box):
    common = a.intersection(b)
    assert common == b.intersection(a)
    if common is not None:
        assert common.area > 0
        assert union_box([common, a]) == a
        assert union_box([common, b]) == b


@given(st.lists(boxes(), min_size=1, max_size=6))
def test_the_union_holds_every_box_and_no_smaller_box_does(items: list[Box]):
    around = union_box(items)
    assert all(union_box([around, box]) == around for box in items)
    assert around.x0 in {box.x0 for box in items}
    assert around.y1 in {box.y1 for box in items}


@given(st.lists(boxes().map(lambda b: b.scaled(0.1)).map(lambda b: Box(*map(round, b))), max_size=5))
def test_union_area_counts_overlaps_once(items: list[Box]):
    assert union_area(items) == covered_cells(items)


@given(boxes(), EDGE, EDGE)
def test_clipping_stays_on_the_page_and_is_idempotent(box: Box, width: float, height: float):
    width, height = abs(width), abs(height)
    cut = box.clipped(width, height)
    assert 0 <= cut.x0 <= cut.x1 <= width
    assert 0 <= cut.y0 <= cut.y1 <= height
    assert cut.clipped(width, height) == cut
