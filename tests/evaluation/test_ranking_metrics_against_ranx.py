"""An independent oracle: ranx, over random rankings."""

import random

import pytest

from docrag.evaluation.ranking_metrics import RANKING_METRICS, ranking_metrics

RANX_NAMES = {
    **{f"R@{k}": f"recall@{k}" for k in (1, 3, 5, 10)},
    **{f"hit@{k}": f"hit_rate@{k}" for k in (1, 5)},
    "MRR@10": "mrr@10",
    "nDCG@5": "ndcg@5",
}


@pytest.mark.filterwarnings("ignore")  # ranx compiles with Numba, whose warnings are not ours to mend
def test_metrics_agree_with_ranx():
    from ranx import Qrels, Run, evaluate

    rng = random.Random(7)
    relevant = {f"q{i}": {f"p{p}" for p in rng.sample(range(30), rng.randint(1, 8))} for i in range(60)}
    rankings = {q: [f"p{p}" for p in rng.sample(range(30), rng.randint(1, 20))] for q in relevant}
    qrels = Qrels({q: dict.fromkeys(sorted(pages), 1) for q, pages in relevant.items()})
    run = Run({q: {page: 1 / rank for rank, page in enumerate(pages, 1)} for q, pages in rankings.items()})
    expected = evaluate(qrels, run, list(RANX_NAMES.values()))
    ours = [ranking_metrics(relevant[q], rankings[q]) for q in relevant]
    got = {name: sum(values[name] for values in ours) / len(ours) for name in RANKING_METRICS}
    assert got == pytest.approx({name: expected[RANX_NAMES[name]] for name in RANKING_METRICS})
