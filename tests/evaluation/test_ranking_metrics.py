import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.evaluation.ranking_metrics import RANKING_METRICS, ranking_metrics

PAGES = st.lists(st.integers(1, 30), max_size=20, unique=True)
RELEVANT = st.sets(st.integers(1, 30), min_size=1, max_size=8)


def test_values_worked_by_hand():
    # Relevant pages 3 and 7 stand at ranks 2 and 4; page 9 is not found.
    got = ranking_metrics({3, 7, 9}, [1, 3, 2, 7, 5, 6])
    dcg = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert got == pytest.approx(
        {
            "R@1": 0,
            "R@3": 1 / 3,
            "R@5": 2 / 3,
            "R@10": 2 / 3,
            "hit@1": 0,
            "hit@5": 1,
            "MRR@10": 1 / 2,
            "nDCG@5": dcg / ideal,
        }
    )


def test_nothing_found_is_zero_everywhere():
    assert set(ranking_metrics({1}, []).values()) == {0.0}
    assert set(ranking_metrics({1}, [*range(2, 12), 1]).values()) == {0.0}


def test_more_evidence_pages_than_the_cut_off_can_still_be_ideal():
    got = ranking_metrics(set(range(1, 9)), list(range(1, 9)))
    assert got["nDCG@5"] == pytest.approx(1.0)
    assert got["R@5"] == 5 / 8


def test_repeating_a_page_gains_nothing():
    repeated = ranking_metrics({1, 2}, [1, 1, 1, 1, 1])
    assert repeated["R@5"] == 1 / 2
    assert repeated["nDCG@5"] < 1


def test_without_a_relevant_page_there_is_nothing_to_measure():
    with pytest.raises(ValueError, match="at least one relevant"):
        ranking_metrics(set(), [1])


@given(RELEVANT, PAGES)
def test_every_metric_lies_between_zero_and_one_and_recall_grows(relevant: set[int], ranking: list[int]):
    got = ranking_metrics(relevant, ranking)
    assert tuple(got) == RANKING_METRICS
    assert all(0 <= value <= 1 + 1e-12 for value in got.values())
    assert got["R@1"] <= got["R@3"] <= got["R@5"] <= got["R@10"]


@given(RELEVANT, PAGES, st.data())
def test_moving_a_relevant_page_up_never_hurts(relevant: set[int], ranking: list[int], data: st.DataObject):
    places = [
        i for i, page in enumerate(ranking) if i and page in relevant and ranking[i - 1] not in relevant
    ]
    if places:
        i = data.draw(st.sampled_from(places))
        better = [*ranking[: i - 1], ranking[i], ranking[i - 1], *ranking[i + 1 :]]
        before, after = ranking_metrics(relevant, ranking), ranking_metrics(relevant, better)
        assert all(after[name] >= before[name] - 1e-12 for name in RANKING_METRICS)
