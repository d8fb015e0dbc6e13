"""Cut-offs: hand-worked cases, scikit-learn as oracle for the mixture, and what every cut-off promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sklearn.mixture import GaussianMixture
from tests.retrieve.small_corpus import unit

from docrag.protocols import Cutoff, Kept
from docrag.retrieve.cutoff.adaptive import AdaptiveCutoff
from docrag.retrieve.cutoff.cut import Cut, cut_ranking
from docrag.retrieve.cutoff.fixed import FixedCutoff
from docrag.retrieve.cutoff.gaussian_mixture import GaussianMixtureCutoff, fit_two_gaussians
from docrag.retrieve.cutoff.largest_gap import LargestGapCutoff
from docrag.retrieve.cutoff.options import CutoffOptions
from docrag.retrieve.cutoff.relative import RelativeCutoff
from docrag.retrieve.cutoff.threshold import ThresholdCutoff
from docrag.types import Scored

CUTOFFS: dict[str, Cutoff] = {
    "fixed": FixedCutoff(4),
    "threshold": ThresholdCutoff(0.5),
    "adaptive": AdaptiveCutoff(0.5, max_kept=4),
    "relative": RelativeCutoff(0.5, max_kept=4),
    "largest-gap": LargestGapCutoff(max_kept=4),
    "gaussian-mixture": GaussianMixtureCutoff(n_in=8, min_kept=2, max_kept=4),
    "gaussian-mixture, mean": GaussianMixtureCutoff(n_in=8, min_kept=2, max_kept=4, select="mean"),
}
every_cutoff = pytest.mark.parametrize("cutoff", CUTOFFS.values(), ids=CUTOFFS.keys())
falling = st.lists(st.integers(-40, 40), max_size=30).map(lambda v: np.array(sorted(v)[::-1], np.float64) / 8)


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_fixed_number_stays():
    assert FixedCutoff(2).keep(scores(3, 2, 1)).n == 2
    assert FixedCutoff(2).keep(scores(3)).n == 1


def test_what_reaches_the_threshold_stays_and_nothing_may():
    assert ThresholdCutoff(0.5).keep(scores(0.9, 0.5, 0.49)) == Kept(2, "scores less than 0.5")
    assert ThresholdCutoff(1).keep(scores(0.9, 0.5)).n == 0
    assert ThresholdCutoff(1, min_kept=1).keep(scores(0.9, 0.5)).n == 1


def test_adaptive_keeps_up_to_k_that_score_enough_and_possibly_none():
    adaptive = AdaptiveCutoff(0.5, max_kept=2)
    assert adaptive.keep(scores(0.9, 0.5, 0.5)) == Kept(2, "beyond the first 2")
    assert adaptive.keep(scores(0.9, 0.4, 0.3)) == Kept(1, "scores less than 0.5")
    assert adaptive.keep(scores(0.4)).n == 0
    assert AdaptiveCutoff(0.5, max_kept=3, min_kept=2).keep(scores(0.4, 0.3, 0.2)).n == 2
    assert AdaptiveCutoff(0.5, max_kept=3, min_kept=2).keep(scores(0.4)).n == 1


def test_what_is_near_the_best_stays():
    assert RelativeCutoff(0.5).keep(scores(8, 5, 4, 3.9, 1)) == Kept(3, "scores less than 4, 0.5 of the best")
    assert RelativeCutoff(0.9, min_kept=2).keep(scores(8, 5, 4)).n == 2
    assert RelativeCutoff(0, max_kept=3).keep(scores(8, 5, 4, 3)) == Kept(3, "beyond the first 3")
    # Half of |-4| below -4 is -6.
    assert RelativeCutoff(0.5).keep(scores(-4, -6, -7)).n == 2
    assert RelativeCutoff(0.5).keep(scores(0, 0, -1)).n == 2


def test_the_largest_gap_decides_within_bounds():
    values = scores(10, 9, 5, 4.5, 0)  # falls: 1, 4, 0.5, 4.5
    assert LargestGapCutoff().keep(values).n == 4
    assert LargestGapCutoff(max_kept=3).keep(values) == Kept(2, "below the largest gap, 9 to 5 after rank 2")
    assert LargestGapCutoff(min_kept=3, max_kept=3).keep(values).n == 3
    assert LargestGapCutoff(max_kept=3).keep(scores(4, 3, 2, 1)).n == 1  # equal falls: the first
    assert LargestGapCutoff(max_kept=3).keep(scores(1, 1, 1, 1)).n == 3
    assert LargestGapCutoff(min_kept=5).keep(scores(2, 1)).n == 2


def test_the_better_of_two_clusters_stays():
    values = scores(9.2, 9.1, 9.0, 3.1, 3.0, 2.9, 2.8)
    kept = GaussianMixtureCutoff(min_kept=1).keep(values)
    assert kept == Kept(3, "outside the better of two score clusters, which ends at rank 3")
    assert GaussianMixtureCutoff(min_kept=1, max_kept=2).keep(values) == Kept(2, "beyond the first 2")
    assert GaussianMixtureCutoff(min_kept=5).keep(values).n == 5


@pytest.mark.parametrize(
    ("values", "n_kept"), [((), 0), ((4.0,), 1), ((2.0,) * 30, 10), ((0.1 + 0.2, 0.3), 2), ((2.0, 1.0), 1)]
)
def test_a_mixture_of_too_little_keeps_the_first_ones(values: tuple[float, ...], n_kept: int):
    assert GaussianMixtureCutoff(min_kept=1).keep(scores(*values)).n == n_kept


def test_a_wide_cluster_around_a_narrow_one_keeps_a_prefix():
    # One Gaussian is narrow (1.01 ± 0.01), the other spans both ends.
    values = scores(3.64, 1.02, 1.01, 1.01, 1.01, 1.01, 0.99, -1.07, -2.25, -2.63, -6.8)
    by_max = GaussianMixtureCutoff(min_kept=1, max_kept=11, n_in=11).keep(values)
    by_mean = GaussianMixtureCutoff(min_kept=1, max_kept=11, n_in=11, select="mean").keep(values)
    assert by_max.n == 1  # the wide cluster, as far as it is contiguous from the best score on
    assert by_mean.n == 7  # the narrow one, whose mean is higher, and what is above it


# ── scikit-learn as oracle ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(12))
def test_the_fit_is_that_of_scikit_learn(seed: int):
    random = np.random.default_rng(seed)
    values = np.concatenate([random.normal(2, 0.6, 7), random.normal(-1, 0.4, 13)])
    values = np.sort((values - values.mean()) / values.std())[::-1]
    split = min(range(1, 20), key=lambda n: values[:n].var() * n + values[n:].var() * (20 - n))
    groups = values[:split], values[split:]
    oracle = GaussianMixture(
        2,
        weights_init=[len(g) / 20 for g in groups],
        means_init=[[g.mean()] for g in groups],
        precisions_init=[[[1 / (g.var() + 1e-6)]] for g in groups],
    ).fit(values[:, None])
    ours = fit_two_gaussians(values.tolist())
    # scikit-learn's first step goes from parameters to shares, ours from shares to the same parameters.
    np.testing.assert_allclose([c.mean for c in ours], oracle.means_[:, 0], atol=1e-6)
    np.testing.assert_allclose([c.variance for c in ours], oracle.covariances_[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose([c.weight for c in ours], oracle.weights_, atol=1e-6)
    labels = oracle.predict(values[:, None])
    n_expected = int(np.argmax(labels != labels[0]))
    assert GaussianMixtureCutoff(min_kept=1, max_kept=20).keep(values).n == n_expected


@pytest.mark.parametrize("seed", range(8))
def test_clusters_far_apart_are_those_that_scikit_learn_finds_by_itself(seed: int):
    random = np.random.default_rng(seed)
    n_better = int(random.integers(2, 12))
    values = np.concatenate([random.normal(10, 0.5, n_better), random.normal(0, 0.5, 20 - n_better)])
    values = np.sort(values)[::-1]
    labels = GaussianMixture(2, random_state=seed).fit_predict(values[:, None])  # its own start, by k-means
    assert (labels == labels[0]).sum() == n_better
    kept = GaussianMixtureCutoff(min_kept=1, max_kept=20)
    assert kept.keep(values).n == n_better


# ── what every cut-off promises ──────────────────────────────────────────────────────────────────────


@every_cutoff
@given(values=falling)
def test_a_prefix_stays_and_the_rest_has_a_reason(cutoff: Cutoff, values: np.ndarray):
    kept = cutoff.keep(values)
    assert 0 <= kept.n <= len(values)
    assert kept.reason or kept.n == len(values)
    if cutoff is not CUTOFFS["threshold"]:
        assert kept.n <= 4
    if cutoff not in (CUTOFFS["threshold"], CUTOFFS["adaptive"]):  # these may keep none
        assert kept.n >= min(1, len(values))


@pytest.mark.parametrize("name", ["largest-gap", "gaussian-mixture", "gaussian-mixture, mean", "fixed"])
@given(values=falling, shift=st.integers(-8, 8))
def test_a_constant_and_a_factor_change_nothing(name: str, values: np.ndarray, shift: int):
    # Eighths, small whole shifts and powers of two are exact in floating point.
    assert CUTOFFS[name].keep(values * 4 + shift).n == CUTOFFS[name].keep(values).n


@every_cutoff
def test_a_ranking_parts_into_kept_and_cut(cutoff: Cutoff):
    ranking = [Scored(unit("d.pdf", n), score) for n, score in enumerate([9, 8, 2, 1, 1, 0.25], 1)]
    kept, cuts = cut_ranking("bm25", ranking, cutoff)
    assert [*kept, *(Scored(cut.unit, cut.score) for cut in cuts)] == ranking
    assert [cut.rank for cut in cuts] == list(range(len(kept) + 1, 7))
    assert cuts
    assert all(cut.ranking == "bm25" and cut.reason for cut in cuts)


def test_a_cut_says_where_and_why():
    ranking = [Scored(unit("d.pdf", 3), 0.75), Scored(unit("d.pdf", 1), 0.25)]
    kept, cuts = cut_ranking("dense", ranking, ThresholdCutoff(0.5))
    assert kept == ranking[:1]
    assert cuts == [Cut(unit("d.pdf", 1), "dense", 2, 0.25, "scores less than 0.5")]


@every_cutoff
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(cutoff: Cutoff, bad: float):
    with pytest.raises(ValueError, match="finite"):
        cut_ranking("a", [Scored(unit("d.pdf", 1), bad)], cutoff)


@every_cutoff
def test_an_empty_ranking_stays_empty(cutoff: Cutoff):
    assert cut_ranking("a", [], cutoff) == ([], [])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"kind": "fixed", "k": 3}, FixedCutoff),
        ({"kind": "threshold", "min_score": 0.2}, ThresholdCutoff),
        ({"kind": "relative"}, RelativeCutoff),
        ({"kind": "largest-gap"}, LargestGapCutoff),
        ({"kind": "gaussian-mixture"}, GaussianMixtureCutoff),
    ],
)
def test_every_cutoff_can_be_configured(values: dict[str, object], kind: type):
    adapter = TypeAdapter[CutoffOptions](CutoffOptions)
    assert isinstance(adapter.validate_python(values).build(), kind)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "elbow"},
        {"kind": "fixed", "k": 0},
        {"kind": "threshold"},
        {"kind": "threshold", "min_score": math.nan},
        {"kind": "relative", "min_fraction": 1.5},
        {"kind": "largest-gap", "min_kept": 5, "max_kept": 4},
        {"kind": "gaussian-mixture", "n_in": 9},
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, object]):
    with pytest.raises(ValidationError):
        TypeAdapter[CutoffOptions](CutoffOptions).validate_python(values)
