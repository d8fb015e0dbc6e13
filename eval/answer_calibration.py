"""Fit the confidence of extractive answers, and say what it is worth on documents it was not fitted on.

    python eval/answer_calibration.py DATASET_DIR --index DIR [--scope document|collection] [--write]

Candidates of every question are scored by the published answer rules; a logistic regression over their
features learns which are right, a second one calibrates the score of the best candidate, and the threshold is
the one that gives the best mean score, an abstention counting as right where there is no answer. Figures are
printed for two cases: fitted and measured on the same questions, and cross-validated, where every question is
judged by weights, calibration and threshold of other documents. `--write` stores the table that the product
reads.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.extractive import confidence
from docrag.answer.extractive.gather import Gatherer
from docrag.answer.extractive.question_type import analyse
from docrag.answer.options import ExtractiveOptions
from docrag.evaluation.answer_score import score_answer
from docrag.evaluation.dataset import Question, load_dataset
from docrag.pipeline import DocRAG
from docrag.types import Query, Scope

TABLE = Path(confidence.__file__).with_name(confidence.TABLE)
N_FOLDS = 10
STRENGTH = 0.005
"""Inverse regularisation of the candidate weights; 0.002 to 0.02 give the same within a point."""
SMOOTHED = 21
"""Questions over which the mean score is smoothed before its peak is taken for the threshold."""
RIGHT = 0.5
"""Score above which a candidate counts as right."""


@dataclass(frozen=True)
class Asked:
    """One question and its candidates: how they score, and which are right for the right reason.

    A candidate is grounded when it is right and cites an evidence page; a number that happens to be equal
    teaches nothing. Only fitting asks for it, figures count scores alone.
    """

    question: Question
    kind: str
    texts: list[str]
    features: list[dict[str, float]]
    scores: NDArray[np.float64]
    grounded: NDArray[np.bool_]

    @property
    def abstaining_score(self) -> float:
        """What an abstention scores."""
        return float(not self.question.is_answerable)


@dataclass(frozen=True)
class Fit:
    """Weights over the columns, calibration of the best candidate, threshold."""

    weights: NDArray[np.float64]
    bias: float
    slope: float
    offset: float
    threshold: float


def collect(dataset: Path, index: Path, scope: str) -> list[Asked]:
    """Run retrieval and the finders for every question."""
    asked: list[Asked] = []
    options = ExtractiveOptions()
    with DocRAG.open(index=index) as rag:
        for question in load_dataset(dataset).questions:
            where = Scope(docs=(question.doc,)) if scope == "document" else Scope()
            read = analyse(question.text)
            gatherer = Gatherer(
                rag.corpus,
                lambda query, *, k: rag.search(query.text, k=k, unit=query.unit, scope=query.scope),
                n_pages=options.n_pages,
                ledger=EvidenceLedger(),
            )
            gathered = gatherer.gather(read, Query(question.text, scope=where))
            texts = [c.text for c in gathered.candidates]
            answerable = question.is_answerable
            scores = [
                score_answer(question.answer, text, question.answer_format) if answerable else 0.0
                for text in texts
            ]
            kind = str(read.kind) + (" + " + str(read.operation) if read.operation else "")
            cited = [{p.view.page.page_no for p in c.places} for c in gathered.candidates]
            evidence = set(question.evidence_pages)
            grounded = [
                s > RIGHT and (not evidence or bool(evidence & c)) for s, c in zip(scores, cited, strict=True)
            ]
            asked.append(
                Asked(
                    question,
                    kind,
                    texts,
                    confidence.features_of(gathered),
                    np.array(scores),
                    np.array(grounded, dtype=bool),
                )
            )
    return asked


def matrix(asked: Sequence[Asked], names: Sequence[str]) -> NDArray[np.float64]:
    """``(n_candidates, n_names)``."""
    return np.array([[f.get(name, 0.0) for name in names] for a in asked for f in a.features])


def best_of(
    asked: Sequence[Asked], scores: NDArray[np.float64]
) -> tuple[list[int | None], NDArray[np.float64]]:
    """Index of the best candidate of every question, and its score; None and a low score without any."""
    places: list[int | None] = []
    values: list[float] = []
    start = 0
    for a in asked:
        own = scores[start : start + len(a.texts)]
        start += len(a.texts)
        places.append(int(own.argmax()) if len(own) else None)
        values.append(float(own.max()) if len(own) else -20.0)
    return places, np.array(values)


def gains(
    asked: Sequence[Asked], places: Sequence[int | None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score of answering with the best candidate, and of abstaining, for every question."""
    answering = np.array([a.scores[p] if p is not None else 0.0 for a, p in zip(asked, places, strict=True)])
    return answering, np.array([a.abstaining_score for a in asked])


def fit_weights(asked: Sequence[Asked], names: Sequence[str]) -> tuple[NDArray[np.float64], float]:
    """Logistic regression over candidates; a question with many candidates does not count for more."""
    x = matrix(asked, names)
    y = np.concatenate([a.grounded for a in asked])
    weight = np.concatenate([np.full(len(a.texts), 1 / max(1, len(a.texts)) ** 0.5) for a in asked])
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(scaler.transform(x), y, sample_weight=weight)
    weights = model.coef_[0] / scaler.scale_
    return weights, float(model.intercept_[0] - (weights * scaler.mean_).sum())


def folds(asked: Sequence[Asked]) -> list[tuple[list[Asked], list[int]]]:
    """Training questions and test positions; no document is in both."""
    groups = [a.question.doc for a in asked]
    return [
        ([asked[i] for i in train], list(test))
        for train, test in GroupKFold(min(N_FOLDS, len(set(groups)))).split(asked, groups=groups)
    ]


def out_of_fold(asked: Sequence[Asked], names: Sequence[str]) -> tuple[list[int | None], NDArray[np.float64]]:
    """Best candidate and score of every question, judged by weights of other documents."""
    places: list[int | None] = [None] * len(asked)
    values = np.full(len(asked), -20.0)
    for train, test in folds(asked):
        weights, bias = fit_weights(train, names)
        held = [asked[i] for i in test]
        found, scores = best_of(held, matrix(held, names) @ weights + bias)
        for i, place, score in zip(test, found, scores, strict=True):
            places[i], values[i] = place, score
    return places, values


def calibrate(values: NDArray[np.float64], answering: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset that turn a score into the probability of being right (Platt 1999)."""
    model = LogisticRegression(C=1.0).fit(values[:, None], answering > RIGHT)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def probability(values: NDArray[np.float64], slope: float, offset: float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-(slope * values + offset)))


def best_threshold(
    sure: NDArray[np.float64], answering: NDArray[np.float64], abstaining: NDArray[np.float64]
) -> float:
    """Threshold with the best mean score, smoothed over `SMOOTHED` neighbours: single questions are noise."""
    order = np.argsort(-sure, kind="stable")
    gained = np.cumsum((answering - abstaining)[order])
    half = min(SMOOTHED, len(gained) - 1) // 2
    padded = np.pad(gained, half, mode="edge")
    smooth = np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
    last = int(np.argmax(smooth))
    below = sure[order[last + 1]] if last + 1 < len(order) else 0.0
    return float((sure[order[last]] + below) / 2)


def fit(asked: Sequence[Asked], names: Sequence[str]) -> Fit:
    """Fit everything; calibration and threshold use out-of-fold scores, which are not too sure."""
    places, values = out_of_fold(asked, names)
    answering, abstaining = gains(asked, places)
    slope, offset = calibrate(values, answering)
    threshold = best_threshold(probability(values, slope, offset), answering, abstaining)
    weights, bias = fit_weights(asked, names)
    return Fit(weights, bias, slope, offset, threshold)


def judged(
    asked: Sequence[Asked], names: Sequence[str], table: Fit
) -> tuple[list[int | None], NDArray[np.float64]]:
    """Best candidate of every question and its confidence."""
    places, values = best_of(asked, matrix(asked, names) @ table.weights + table.bias)
    return places, probability(values, table.slope, table.offset)


def figures(
    asked: Sequence[Asked], places: Sequence[int | None], given: NDArray[np.bool_]
) -> dict[str, float | int]:
    """Accuracy and F1 by the published rules."""
    answering, abstaining = gains(asked, places)
    right = float(np.where(given, answering, 0.0).sum())
    n_answerable = int((abstaining == 0).sum())
    return {
        "n_questions": len(asked),
        "n_attempted": int(given.sum()),
        "accuracy": round(float(np.where(given, answering, abstaining).mean()), 4),
        "f1": round(2 * right / (n_answerable + int(given.sum())), 4),
    }


def cross_validated(asked: Sequence[Asked], names: Sequence[str]) -> tuple[dict[str, float | int], str]:
    """Figures where every question is judged by a table fitted on other documents; and the reliability."""
    places: list[int | None] = [None] * len(asked)
    sure, given = np.zeros(len(asked)), np.zeros(len(asked), dtype=bool)
    for train, test in folds(asked):
        table = fit(train, names)
        held = [asked[i] for i in test]
        found, confidences = judged(held, names, table)
        for i, place, value in zip(test, found, confidences, strict=True):
            places[i], sure[i], given[i] = place, value, value >= table.threshold
    answering, _ = gains(asked, places)
    lines = ["confidence   n    right"]
    for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.01)):
        inside = (sure >= low) & (sure < high)
        if inside.any():
            right = (answering[inside] > RIGHT).mean()
            lines.append(f"{low:4.2f}-{min(high, 1):4.2f} {inside.sum():5d}   {right:6.3f}")
    return figures(asked, places, given), "\n".join(lines)


def by_kind(asked: Sequence[Asked], places: Sequence[int | None], given: NDArray[np.bool_]) -> str:
    """Table: what each kind of question brings."""
    answering, abstaining = gains(asked, places)
    lines = [f"{'kind':28}    n  reachable  best right  given  given right"]
    for kind in sorted({a.kind for a in asked}):
        own = np.array([a.kind == kind for a in asked]) & (abstaining == 0)
        reachable = sum(
            bool((a.scores > RIGHT).any()) for a, is_own in zip(asked, own, strict=True) if is_own
        )
        right = answering > RIGHT
        lines.append(
            f"{kind:28} {own.sum():4d}  {reachable:9d}  {(own & right).sum():10d}  {(own & given).sum():5d}"
            f"  {(own & given & right).sum():11d}"
        )
    return "\n".join(lines)


def main() -> None:
    """Collect, fit, report, and write the table when asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--scope", choices=("document", "collection"), default="document")
    parser.add_argument("--write", action="store_true", help=f"store the table as {TABLE.name}")
    arguments = parser.parse_args()
    start = time.perf_counter()
    asked = collect(arguments.dataset, arguments.index, arguments.scope)
    print(f"{len(asked)} questions in {time.perf_counter() - start:.0f} s")
    report(asked, arguments.scope, write=arguments.write)


def report(asked: list[Asked], scope: str, *, write: bool) -> None:
    """Print all figures; store the table."""
    names = sorted({name for a in asked for f in a.features for name in f})
    table = fit(asked, names)
    places, sure = judged(asked, names, table)
    fitted = figures(asked, places, sure >= table.threshold)
    held_out, reliability = cross_validated(asked, names)
    print(by_kind(asked, places, sure >= table.threshold))
    print(f"always abstaining  {figures(asked, places, np.zeros(len(asked), dtype=bool))}")
    print(f"fitted             {fitted}\ncross-validated    {held_out}\n\n{reliability}")
    if write:
        content = {
            "about": "Written by eval/answer_calibration.py; docrag/answer/confidence.py says what it means.",
            "fitted_on": f"MMLongBench-Doc development questions, {scope} scope",
            "figures": {"fitted": fitted, "cross_validated_by_document": held_out},
            "threshold": round(table.threshold, 4),
            "slope": round(table.slope, 6),
            "offset": round(table.offset, 6),
            "bias": round(table.bias, 6),
            "weights": {n: round(float(w), 6) for n, w in zip(names, table.weights, strict=True)},
        }
        TABLE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
