"""Normalisation and fusion: hand-worked values, ranx as oracle, and what every fusion promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from ranx import Run, fuse
from tests.retrieve.small_corpus import unit

from docrag.errors import ConfigError
from docrag.protocols import Fusion
from docrag.retrieve.fusion.dempster_shafer import DempsterShafer, belief_shares
from docrag.retrieve.fusion.normalise import (
    Normaliser,
    min_max,
    rank,
    sigmoid,
    softmax,
    zscore,
)
from docrag.retrieve.fusion.pool import Pool
from docrag.retrieve.fusion.reciprocal_rank import ReciprocalRank
from docrag.retrieve.fusion.union import Union
from docrag.retrieve.fusion.weighted_sum import WeightedSum, normalised
from docrag.types import Scored, SourceScore, UnitRef, ranked

WEIGHTS = {"a": 0.7, "b": 0.3}
WEIGHTED: dict[str, Callable[[Mapping[str, float]], Fusion]] = {
    "z-score of top-k": lambda weights: WeightedSum(weights, top_k=3),
    "z-score of union": lambda weights: WeightedSum(weights, statistics="union", top_k=3),
    "min-max of all": lambda weights: WeightedSum(weights, normalise=min_max, statistics="all"),
    "softmax of top-k": lambda weights: WeightedSum(weights, normalise=softmax, top_k=3),
    "rank of top-k": lambda weights: WeightedSum(weights, normalise=rank, top_k=3),
    "sigmoid of all": lambda weights: WeightedSum(weights, normalise=sigmoid, statistics="all"),
    "reciprocal rank": lambda weights: ReciprocalRank(weights),
}
KEEP_ORDER = WEIGHTED | {
    "union": lambda weights: Union(tuple(weights)),
    "Dempster-Shafer, absent is last": lambda _: DempsterShafer(absent="last"),
    "Dempster-Shafer, min-max": lambda _: DempsterShafer(absent="last", scale="min-max"),
}
FUSIONS = KEEP_ORDER | {
    "Dempster-Shafer": lambda _: DempsterShafer(),
    "Dempster-Shafer, layout prior": lambda _: DempsterShafer(prior="layout"),
}
NORMALISERS = [zscore, min_max, softmax, rank, sigmoid]
every_fusion = pytest.mark.parametrize("make", FUSIONS.values(), ids=FUSIONS.keys())
every_weighted = pytest.mark.parametrize("make", WEIGHTED.values(), ids=WEIGHTED.keys())


def ranking(scores: Mapping[int, float]) -> list[Scored]:
    return ranked([Scored(unit("d.pdf", page_no), score) for page_no, score in scores.items()])


def page_nos(fused: list) -> list[int]:
    return [item.unit.page_no for item in fused]


rankings = st.fixed_dictionaries(
    {
        name: st.dictionaries(st.integers(1, 12), st.integers(-50, 50).map(lambda n: n / 4), max_size=8).map(
            ranking
        )
        for name in WEIGHTS
    }
)


few = settings(max_examples=40)
"""Enough where a property is looked at under every fusion."""


# ── normalisation ────────────────────────────────────────────────────────────────────────────────────


def test_zscore_by_hand():
    # mean 4, population deviation sqrt(((6-4)² + (4-4)² + (2-4)²) / 3) = sqrt(8/3)
    scores = np.array([6.0, 4.0, 2.0])
    np.testing.assert_allclose(zscore(scores, scores), [2 / math.sqrt(8 / 3), 0, -2 / math.sqrt(8 / 3)])


def test_statistics_come_from_the_declared_set():
    pool = Pool({"a": ranking({1: 10, 2: 8, 3: 0, 4: -6}), "b": ranking({4: 1, 1: 0.5})})
    # top-2 of a: mean 9, deviation 1
    assert normalised(pool, zscore, statistics="top-k", top_k=2)["a"].tolist() == [1, -1, -9, -15]
    # union of the first ones of both: 10 and -6; minimum -6, range 16
    found = normalised(pool, min_max, statistics="union", top_k=1)["a"]
    assert found.tolist() == [1, 14 / 16, 6 / 16, 0]
    # all: minimum -6, range 16
    assert normalised(pool, min_max, statistics="all", top_k=1)["a"][2] == 6 / 16


@pytest.mark.parametrize("normalise", [zscore, min_max])
@pytest.mark.parametrize("scores", [[5.0], [2.0, 2.0, 2.0], [0.1 + 0.2, 0.3]])
def test_one_score_and_equal_scores_become_zero(normalise: Normaliser, scores: list[float]):
    values = np.array(scores)
    assert normalise(values, values).tolist() == [0.0] * len(scores)


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=20), st.integers(-1000, 1000), st.integers(1, 50)
)
def test_normalised_scores_do_not_depend_on_shift_and_scale(scores: list[int], shift: int, scale: int):
    values = np.array(scores, np.float64)
    for normalise in (zscore, min_max):
        moved = scale * values + shift
        np.testing.assert_allclose(normalise(moved, moved), normalise(values, values), atol=1e-9)


@pytest.mark.parametrize("normalise", NORMALISERS)
@given(scores=st.lists(st.integers(-200, 200), min_size=1, max_size=20), shift=st.integers(-100, 100))
def test_every_normalisation_keeps_the_order_and_ignores_a_constant(
    normalise: Normaliser, scores: list[int], shift: int
):
    values = np.array(sorted(scores)[::-1], np.float64)
    found = normalise(values, values)
    assert np.isfinite(found).all()
    assert (np.diff(found) <= 0).all()
    np.testing.assert_allclose(normalise(values + shift, values + shift), found, atol=1e-9)


def test_softmax_and_sigmoid_agree_with_scipy():
    scores = np.array([3.5, 1.25, 1.0, -2.0])
    np.testing.assert_allclose(softmax(scores, scores), scipy.special.softmax(scores))
    np.testing.assert_allclose(sigmoid(scores, scores), scipy.special.expit(scipy.stats.zscore(scores)))
    # Shares of the first two, with the third on the same scale: e^-0.25 of the second.
    np.testing.assert_allclose(softmax(scores, scores[:2])[2], softmax(scores, scores[:2])[1] * np.exp(-0.25))


def test_no_score_is_too_large_for_an_exponential():
    scores = np.array([1e4, 0.0, -1e4])
    assert softmax(scores, scores).tolist() == [1, 0, 0]
    assert sigmoid(scores * 1e200, scores).tolist() == [1, 0.5, 0]


def test_beyond_the_sample_the_rank_is_zero():
    assert rank(np.array([9.0, 8.0, 7.0]), np.array([9.0, 8.0])).tolist() == [1, 0.5, 0]


# ── fusion by hand ───────────────────────────────────────────────────────────────────────────────────


def test_reciprocal_rank_by_hand():
    fused = ReciprocalRank({"a": 1, "b": 2}).fuse({"a": ranking({1: 9, 2: 8}), "b": ranking({2: 5, 3: 4})})
    assert {f.unit.page_no: f.score for f in fused} == pytest.approx(
        {1: 1 / (60 + 1), 2: 1 / (60 + 2) + 2 / (60 + 1), 3: 2 / (60 + 2)}
    )
    assert page_nos(fused) == [2, 3, 1]


def test_weighted_sum_by_hand_counts_absent_as_the_end_of_the_list_not_as_zero():
    a, b = ranking({1: 3, 2: 2, 3: 1}), ranking({4: 10, 1: 8})
    fused = WeightedSum({"a": 0.5, "b": 0.5}, normalise=min_max).fuse({"a": a, "b": b})
    # a: 1, 1/2, 0; page 4 as page 3: 0.  b: 1, 0; pages 2 and 3 as page 1: 0.
    assert {f.unit.page_no: f.score for f in fused} == {1: 0.5, 2: 0.25, 3: 0.0, 4: 0.5}
    assert page_nos(fused) == [1, 4, 2, 3]
    fused = WeightedSum({"a": 0.5, "b": 0.5}).fuse({"a": a, "b": b})
    z = math.sqrt(3 / 2)  # a: z, 0, -z; b: 1, -1
    assert {f.unit.page_no: round(f.score, 9) for f in fused} == {
        1: round(0.5 * z - 0.5, 9),
        2: -0.5,
        3: round(-0.5 * z - 0.5, 9),
        4: round(-0.5 * z + 0.5, 9),
    }


def test_cmrags_ucmr_is_a_weighted_sum_of_z_scores_over_all_candidates():
    text, image = np.array([9.0, 4.0, 2.0]), np.array([0.2, 0.9, 0.4])
    beta = 0.3
    expected = beta * (text - text.mean()) / text.std() + (1 - beta) * (image - image.mean()) / image.std()
    fused = WeightedSum({"text": beta, "visual": 1 - beta}, statistics="all").fuse(
        {"text": ranking(dict(enumerate(text))), "visual": ranking(dict(enumerate(image)))}
    )
    assert {f.unit.page_no: f.score for f in fused} == pytest.approx(dict(enumerate(expected)))


def test_a_union_takes_one_ranking_after_the_other():
    a, b = ranking({5: 9, 2: 8}), ranking({7: 0.9, 5: 0.8, 1: 0.7})
    assert page_nos(Union(("a", "b")).fuse({"a": a, "b": b})) == [5, 2, 7, 1]
    assert page_nos(Union(("b", "a")).fuse({"a": a, "b": b})) == [7, 5, 1, 2]
    with pytest.raises(ConfigError, match="'c'"):
        Union(("a", "b")).fuse({"c": a})


def test_dempster_shafer_by_hand():
    # Page 1: shares 1 and 0.5. Masses for, against, open: (0.7, 0, 0.3) and (0.35, 0.3, 0.35).
    # Conflict 0.7 · 0.3 = 0.21; for (0.7 · 0.35 + 0.7 · 0.35 + 0.3 · 0.35) = 0.595; open 0.3 · 0.35 = 0.105.
    # Page 2: share 0.5 in a alone: 0.35 + 0.35 / 2.  Page 3: share 1 in b alone: 0.7 + 0.3 / 2.
    fused = DempsterShafer().fuse({"a": ranking({1: 8, 2: 4}), "b": ranking({3: 0.6, 1: 0.3})})
    expected = {1: (0.595 + 0.105 / 2) / 0.79, 2: 0.525, 3: 0.85}
    assert {f.unit.page_no: f.score for f in fused} == pytest.approx(expected)
    assert page_nos(fused) == [3, 1, 2]


def dempster(masses: list[dict[frozenset[str], float]]) -> float:
    """Belief in "yes" of the combination, by intersecting sets as the textbook does."""
    combined = masses[0]
    for other in masses[1:]:
        found: dict[frozenset[str], float] = {}
        for one, x in combined.items():
            for two, y in other.items():
                found[one & two] = found.get(one & two, 0) + x * y
        conflict = found.pop(frozenset(), 0)
        combined = {which: mass / (1 - conflict) for which, mass in found.items()}
    return sum(mass / len(which) for which, mass in combined.items() if "yes" in which)


@given(shares=st.lists(st.integers(1, 10).map(lambda n: n / 10), min_size=2, max_size=4))
def test_dempster_shafer_agrees_with_intersected_sets(shares: list[float]):
    yes, no = frozenset({"yes"}), frozenset({"no"})
    masses = [{yes: 0.7 * s, no: 0.6 * (1 - s), yes | no: 1 - 0.7 * s - 0.6 * (1 - s)} for s in shares]
    # Page 2 leads every ranking, so that page 1 has the wanted share of it; 0 keeps them from being flat.
    lists = {str(i): ranking({2: 1, 1: s, 3: 0}) for i, s in enumerate(shares)}
    scores = {f.unit.page_no: f.score for f in DempsterShafer().fuse(lists)}
    assert scores[1] == pytest.approx(dempster(masses))


def test_total_conflict_leaves_no_belief():
    lists = {"a": ranking({1: 1, 2: 0}), "b": ranking({2: 1, 1: 0})}
    fused = DempsterShafer(alpha=1, beta=1).fuse(lists)
    assert [f.score for f in fused] == [0, 0]
    assert {f.score for f in DempsterShafer(alpha=0.9, beta=0.9).fuse(lists)} != {0}


def test_belief_shares_of_flat_negative_and_single_scores():
    def shares(*scores: float, scale: str = "max") -> list[float]:
        return belief_shares(np.array(scores), scale).tolist()  # type: ignore[arg-type]

    assert shares(10, 5, -5) == [1, 0.5, 0]
    assert shares(10, 9.5, 9.1) == [1, 1, 1]  # a spread below a tenth of the best
    assert shares(-1, -3) == [0, 0]
    assert shares(4) == [1]
    assert shares(-1, -2, -3, scale="min-max") == [1, 0.5, 0]
    assert shares(2, 2, scale="min-max") == [1, 1]


def test_the_layout_prior_wants_neighbours_in_every_other_ranking():
    lists = {"a": ranking({1: 1, 9: 0.5}), "b": ranking({2: 1, 5: 0.5})}
    plain = {f.unit.page_no: f.score for f in DempsterShafer().fuse(lists)}
    prior = {f.unit.page_no: f.score for f in DempsterShafer(prior="layout").fuse(lists)}
    factors = {page_no: prior[page_no] / plain[page_no] for page_no in plain}
    assert factors == pytest.approx({1: 1, 2: 1, 5: 0.1, 9: 0.1})


@pytest.mark.parametrize("masses", [{"alpha": 0}, {"alpha": 1.1}, {"beta": -0.1}, {"beta": math.nan}])
def test_masses_outside_their_range_are_refused(masses: dict[str, float]):
    with pytest.raises(ConfigError, match="expected more than 0"):
        DempsterShafer(**masses)


# ── ranx as oracle ───────────────────────────────────────────────────────────────────────────────────


def by_ranx(rankings: Mapping[str, list[Scored]], **settings: object) -> dict[str, float]:
    runs = [
        Run({"q": {str(s.unit.page_no): float(s.score) for s in ranking}}, name=name)
        for name, ranking in rankings.items()
    ]
    return dict(fuse(runs, **settings).to_dict()["q"])  # type: ignore[arg-type]


FULL = {
    "a": ranking({1: 12.5, 2: 3.25, 3: 3.0, 4: -1.0, 5: 7.0}),
    "b": ranking({1: 0.1, 2: 0.9, 3: 0.4, 4: 0.8, 5: 0.35}),
}


@given(
    scores=st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True),
    others=st.permutations(range(12)),
)
def test_z_scores_and_shares_of_the_range_agree_with_ranx_on_any_scores(scores: list[int], others: list[int]):
    lists = {
        "a": ranking({i: score / 4 for i, score in enumerate(scores, 1)}),
        "b": ranking({i: others[i - 1] / 8 for i in range(1, len(scores) + 1)}),
    }
    for normalise, norm in ((zscore, "zmuv"), (min_max, "min-max")):
        expected = by_ranx(lists, norm=norm, method="wsum", params={"weights": (0.7, 0.3)})
        fused = WeightedSum(WEIGHTS, normalise=normalise, statistics="all").fuse(lists)
        found = {str(item.unit.page_no): pytest.approx(item.score, abs=1e-9) for item in fused}
        assert found == expected


@pytest.mark.parametrize(("normalise", "norm"), [(zscore, "zmuv"), (min_max, "min-max"), (rank, "rank")])
def test_weighted_sum_agrees_with_ranx_where_no_unit_is_absent(normalise: Normaliser, norm: str):
    expected = by_ranx(FULL, norm=norm, method="wsum", params={"weights": (0.7, 0.3)})
    fused = WeightedSum(WEIGHTS, normalise=normalise, statistics="all").fuse(FULL)
    assert {str(item.unit.page_no): pytest.approx(item.score) for item in fused} == expected


def test_reciprocal_rank_agrees_with_ranx_absent_units_included():
    partial = {"a": FULL["a"][:3], "b": FULL["b"][1:]}
    expected = by_ranx(partial, norm=None, method="rrf", params={"k": 60})
    fused = ReciprocalRank({"a": 1, "b": 1}).fuse(partial)
    assert {str(f.unit.page_no): pytest.approx(f.score) for f in fused} == expected


# ── what every fusion promises ───────────────────────────────────────────────────────────────────────


@every_fusion
@few
@given(rankings=rankings)
def test_all_units_come_back_once_with_every_source_kept(
    make: Callable[[Mapping[str, float]], Fusion], rankings: dict[str, list[Scored]]
):
    fused = make(WEIGHTS).fuse(rankings)
    assert sorted(f.unit for f in fused) == sorted({s.unit for r in rankings.values() for s in r})
    for item in fused:
        for name, one in rankings.items():
            rank = next((i for i, s in enumerate(one, 1) if s.unit == item.unit), None)
            if rank is None:
                assert name not in item.sources
            else:
                assert item.sources[name] == SourceScore(rank, one[rank - 1].score)
    assert all(math.isfinite(f.score) for f in fused)
    assert [(-f.score, f.unit) for f in fused] == sorted((-f.score, f.unit) for f in fused)


@every_fusion
@few
@given(rankings=rankings)
def test_order_of_the_rankings_does_not_matter(
    make: Callable[[Mapping[str, float]], Fusion], rankings: dict[str, list[Scored]]
):
    backwards = dict(reversed(rankings.items()))
    forth, back = make(WEIGHTS).fuse(rankings), make(WEIGHTS).fuse(backwards)
    scores = {f.unit: f.score for f in forth}
    assert {f.unit: pytest.approx(f.score, abs=1e-9) for f in back} == scores


@pytest.mark.parametrize("make", KEEP_ORDER.values(), ids=KEEP_ORDER.keys())
@few
@given(rankings=rankings)
def test_better_in_every_ranking_is_not_worse_in_the_fusion(
    make: Callable[[Mapping[str, float]], Fusion], rankings: dict[str, list[Scored]]
):
    fused = make(WEIGHTS).fuse(rankings)
    place = {f.unit: f.score for f in fused}

    def ranks(one: UnitRef) -> list[float]:
        return [next((i for i, s in enumerate(r) if s.unit == one), math.inf) for r in rankings.values()]

    for one in place:
        for other in place:
            if all(x < y for x, y in zip(ranks(one), ranks(other), strict=True)):
                assert place[one] >= place[other] - 1e-9


IGNORE_CONSTANTS = {
    name: make for name, make in KEEP_ORDER.items() if name != "Dempster-Shafer, absent is last"
}
"""Shares of the best score, as BayesRAG takes them, are the one thing that a constant changes."""


@pytest.mark.parametrize("make", IGNORE_CONSTANTS.values(), ids=IGNORE_CONSTANTS.keys())
@few
@given(rankings=rankings, shift=st.integers(-100, 100))
def test_a_constant_added_to_all_scores_of_a_ranking_changes_nothing(
    make: Callable[[Mapping[str, float]], Fusion], rankings: dict[str, list[Scored]], shift: int
):
    moved = {**rankings, "a": [Scored(unit, score + shift) for unit, score in rankings["a"]]}
    before, after = make(WEIGHTS).fuse(rankings), make(WEIGHTS).fuse(moved)
    scores = {f.unit: f.score for f in before}
    assert {f.unit: pytest.approx(f.score, abs=1e-9) for f in after} == scores


@pytest.mark.parametrize("make", IGNORE_CONSTANTS.values(), ids=IGNORE_CONSTANTS.keys())
@few
@given(rankings=rankings, names=st.permutations(range(1, 13)))
def test_what_pages_are_called_does_not_matter(
    make: Callable[[Mapping[str, float]], Fusion], rankings: dict[str, list[Scored]], names: list[int]
):
    # Equal scores would tie by name: 0, 1, 2, … below the first keep them apart.
    distinct = {
        name: [Scored(unit, 20.0 - i) for i, (unit, _) in enumerate(ranking)]
        for name, ranking in rankings.items()
    }
    renamed = {
        name: [Scored(unit("d.pdf", names[u.page_no - 1]), score) for u, score in ranking]
        for name, ranking in distinct.items()
    }
    scores = {f.unit.page_no: f.score for f in make(WEIGHTS).fuse(distinct)}
    there = {f.unit.page_no: f.score for f in make(WEIGHTS).fuse(renamed)}
    assert {names[page_no - 1]: pytest.approx(score, abs=1e-9) for page_no, score in scores.items()} == there


@every_fusion
def test_empty_single_and_equal_lists_are_defined(make: Callable[[Mapping[str, float]], Fusion]):
    fusion = make(WEIGHTS)
    assert fusion.fuse({}) == []
    assert fusion.fuse({"a": [], "b": []}) == []
    assert page_nos(fusion.fuse({"a": ranking({7: 2.0}), "b": []})) == [7]
    one_list = ranking({1: 3, 2: 2, 3: 1})
    assert page_nos(fusion.fuse({"a": one_list, "b": []})) == [1, 2, 3]


def test_equal_scores_tie_in_unit_order_under_a_weighted_sum():
    for normalise in (zscore, min_max):
        fused = WeightedSum(WEIGHTS, normalise=normalise).fuse({"a": ranking({3: 1, 1: 1, 2: 1}), "b": []})
        assert page_nos(fused) == [1, 2, 3]


@every_fusion
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(make: Callable[[Mapping[str, float]], Fusion], bad: float):
    with pytest.raises(ValueError, match="finite"):
        make(WEIGHTS).fuse({"a": [Scored(unit("d.pdf", 1), bad)], "b": []})


@every_fusion
def test_unsorted_and_repeated_units_are_refused(make: Callable[[Mapping[str, float]], Fusion]):
    first, second = Scored(unit("d.pdf", 1), 1.0), Scored(unit("d.pdf", 2), 2.0)
    with pytest.raises(ValueError, match="sorted"):
        make(WEIGHTS).fuse({"a": [first, second]})
    with pytest.raises(ValueError, match="twice"):
        make(WEIGHTS).fuse({"a": [second, second]})


@every_weighted
def test_a_ranking_without_a_weight_is_a_configuration_error(make: Callable[[Mapping[str, float]], Fusion]):
    with pytest.raises(ConfigError, match="'c'"):
        make(WEIGHTS).fuse({"c": ranking({1: 1})})


@every_weighted
@pytest.mark.parametrize("weights", [{"a": -0.1, "b": 1}, {"a": 0, "b": 0}, {}, {"a": math.nan}])
def test_bad_weights_are_refused(make: Callable[[Mapping[str, float]], Fusion], weights: dict[str, float]):
    with pytest.raises(ConfigError, match="weight"):
        make(weights)
