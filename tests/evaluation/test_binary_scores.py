import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from docrag.evaluation.binary_scores import (
    PASSING,
    ReliabilityBin,
    area_interval,
    area_under_curve,
    best_threshold,
    calibration_error,
    held_out_passes,
    passing_columns,
    reliability,
)
from docrag.evaluation.bootstrap import bootstrap

judged = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.7, 1.0]), st.booleans(), st.sampled_from("abc")),
    min_size=2,
    max_size=30,
).filter(lambda rows: len({label for _, label, _ in rows}) == 2)


def split(rows):
    scores, labels, docs = zip(*rows, strict=True)
    return np.array(scores), np.array(labels), docs


@given(judged)
def test_the_area_is_scikit_learns(rows):
    scores, labels, docs = split(rows)
    expected = roc_auc_score(labels, scores)
    assert area_under_curve(scores, labels) == pytest.approx(expected)
    assert area_interval(scores, labels, docs).value == pytest.approx(expected)


def test_the_interval_of_the_area_resamples_documents():
    # Each document ranks its own two questions; "b" the wrong way round. Of two documents a draw holds "a"
    # twice (area 1), "b" twice (area 0), or both, of whose four pairs only 0.3 against 0.7 is lost.
    scores = np.array([0.9, 0.1, 0.3, 0.7])
    labels = np.array([True, False, True, False])
    interval = area_interval(scores, labels, ["a", "a", "b", "b"])
    assert (interval.value, interval.low, interval.high) == (0.75, 0.0, 1.0)


def test_a_draw_without_one_kind_counts_as_chance():
    # A draw is "a" twice, "b" twice, or both; only both hold a positive and a negative, which it beats.
    interval = area_interval(np.array([0.9, 0.1]), np.array([True, False]), ["a", "b"])
    assert (interval.value, interval.low, interval.high) == (1.0, 0.5, 1.0)


@pytest.mark.parametrize("labels", [[True, True], [False, False]])
def test_the_area_needs_both_kinds(labels):
    with pytest.raises(ValueError, match="both kinds"):
        area_interval(np.array([0.1, 0.2]), np.array(labels), ["a", "b"])


def test_shares_caught_and_lost_by_hand():
    scores = np.array([0.1, 0.6, 0.8, 0.2, 0.9, 0.5])
    labels = np.array([False, False, False, True, True, True])
    columns = passing_columns(scores >= 0.5, labels)
    figures = {n: bootstrap(columns, list("abcdef"), s).value for n, s in PASSING.items()}
    # Caught: 0.1 of three; lost: 0.2 of three; a score at the threshold passes.
    assert figures == pytest.approx({"caught": 1 / 3, "lost": 1 / 3, "balanced accuracy": 0.5})


@given(judged)
def test_no_threshold_beats_the_best_one(rows):
    scores, labels, _ = split(rows)
    best = balanced_accuracy_score(labels, scores >= best_threshold(scores, labels))
    for threshold in (0.0, 0.1, 0.22, 0.3, 0.6, 0.8, 1.0):
        assert best >= balanced_accuracy_score(labels, scores >= threshold) - 1e-9


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.2, 0.3, 0.7], [False, False, True], 0.5),
        ([0.1, 0.2, 0.4, 0.9], [False, True, False, True], 0.65),  # as good as 0.15, and nearer one half
        ([0.8, 0.8], [True, False], 0.0),  # nothing to part: everything passes
    ],
)
def test_the_best_threshold_lies_between_scores(scores, labels, expected):
    assert best_threshold(np.array(scores), np.array(labels)) == pytest.approx(expected)


def test_a_question_is_judged_by_the_threshold_of_other_documents():
    # "a" alone would choose 0.4, and "b" alone 0.8; each is judged by the other's.
    scores = np.array([0.2, 0.6, 0.7, 0.9])
    labels = np.array([False, True, False, True])
    passes, thresholds = held_out_passes(scores, labels, ["a", "a", "b", "b"], 2)
    assert sorted(thresholds) == pytest.approx([0.4, 0.8])
    assert passes.tolist() == [False, False, True, True]


def test_bins_and_calibration_error_by_hand():
    probabilities = np.array([0.05, 0.15, 0.95, 1.0])
    labels = np.array([False, True, True, True])
    bins = reliability(probabilities, labels, n_bins=5)
    assert [b[:3] for b in bins] == [(0.0, 0.2, 2), (0.8, 1.0, 2)]
    assert bins[0][3:] == pytest.approx((0.1, 0.5))
    assert bins[1][3:] == pytest.approx((0.975, 1.0))
    assert calibration_error(bins) == pytest.approx((2 * 0.4 + 2 * 0.025) / 4)


def test_no_question_has_no_calibration_error():
    assert calibration_error([]) == 0.0
    assert calibration_error([ReliabilityBin(0.0, 0.1, 3, 0.05, 0.05)]) == 0.0
