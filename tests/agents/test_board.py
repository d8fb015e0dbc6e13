"""Every state of the seeker's and inspector's loop has a move, and the loop ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.agents.board import Board, after_answer, after_feedback, after_seeking, known, opening


def test_chosen_pages_leave_the_buffer_in_its_order():
    board = after_seeking(opening(["E1", "E2", "E3"]), ["E3", "E1"], "both mention rain")
    assert board == Board(("E2",), inspected=("E1", "E3"), summary="both mention rain", move="inspect")


def test_kept_pages_are_inspected_again_with_new_ones():
    board = after_seeking(opening(["E1", "E2", "E3"]), ["E1", "E2"], "")
    board = after_feedback(board, ["E2"], "the year is missing")
    assert (board.move, board.kept, board.feedback) == ("seek", ("E2",), "the year is missing")
    assert after_seeking(board, ["E3"], "").inspected == ("E2", "E3")


@pytest.mark.parametrize(
    ("references", "move", "read"),
    [
        (["E1", "E2"], "accept", ("E1", "E2")),
        (["E2"], "check", ("E2",)),
        ([], "check", ("E1", "E2")),
        (["E9"], "check", ("E1", "E2")),
        (["E2", "E1", "E2"], "accept", ("E1", "E2")),
    ],
)
def test_a_draft_stands_only_on_all_inspected_pages(references: list[str], move: str, read: tuple[str, ...]):
    board = after_answer(after_seeking(opening(["E1", "E2"]), ["E1", "E2"], ""), references)
    assert (board.move, board.references) == (move, read)


def test_without_candidates_the_loop_gives_up():
    assert opening([]).move == "give up"


def test_a_seeker_that_chooses_nothing_ends_the_loop():
    board = opening(["E1", "E2"])
    assert after_seeking(board, [], "").move == "give up"
    assert after_seeking(board, ["E7"], "").move == "give up"
    held = after_feedback(after_seeking(board, ["E1"], ""), ["E1"], "more")
    assert after_seeking(held, [], "").move == "answer"


def test_feedback_on_an_empty_buffer_has_a_move():
    board = after_seeking(opening(["E1"]), ["E1"], "")
    assert after_feedback(board, ["E1"], "more").move == "answer"
    assert after_feedback(board, [], "more").move == "give up"


def test_ids_that_were_not_offered_are_told_apart():
    assert known(["E9", "E2", "E2", "e1"], ["E1", "E2"]) == (("E2",), ("E9", "e1"))


PAGES = st.lists(st.sampled_from(["E1", "E2", "E3", "E4", "E5", "X"]), max_size=6)


@given(
    PAGES.map(lambda pages: [p for p in pages if p != "X"]), st.lists(st.tuples(PAGES, PAGES), max_size=12)
)
def test_the_loop_ends_after_as_many_rounds_as_there_are_candidates(pages: list[str], moves):
    board = opening(pages)
    n_rounds = 0
    for chosen, keep in moves:
        if board.move != "seek":
            break
        n_rounds += 1
        board = after_seeking(board, chosen, "")
        if board.move == "inspect":
            assert board.inspected
            board = after_feedback(board, keep, "more")
        assert set(board.kept).isdisjoint(board.candidates)
    assert n_rounds <= len(set(pages)) + 1
    assert board.move in ("seek", "answer", "give up")
