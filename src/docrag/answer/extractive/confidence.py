"""The calibrated probability that a candidate is right, from a small table of weights.

A logistic regression weighs a candidate's features; a second one (Platt 1999) calibrates the score of the
best candidate, since the best of many is too sure of itself. Weights, calibration and the threshold below
which an answer is withheld stand in ``calibration.json`` beside this module, with what they were fitted on;
``eval/answer_calibration.py`` writes it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from docrag.answer.extractive.candidates import Candidate
from docrag.answer.extractive.gather import Gathered
from docrag.errors import ConfigError

TABLE = "calibration.json"
BASE_FEATURES = (
    "coverage",
    "row_coverage",
    "row_precision",
    "column_coverage",
    "near_coverage",
    "tight_coverage",
    "sentence_coverage",
    "page_coverage",
    "year_match",
    "year_conflict",
    "first_page",
    "page_rank",
    "named_page",
    "label_phrase",
    "label_words",
    "in_question",
    "unit_match",
    "is_cell",
    "before_focus",
    "focus_beside",
    "anchors",
    "only_one",
    "first",
    "lead",
    "operation",
    "magnitude",
    "small",
    "n_words",
    "capital",
    "name_inside",
    "header_match",
    "n_values",
    "passage",
    "option_there",
    "compares",
    "n_items",
    "heading",
    "length_match",
    "same_line",
    "same_page",
)
"""Features that finders give; absent ones are 0."""
METHODS = {
    "ratio": "number",
    "line": "number",
    "number": "number",
    "arithmetic": "number",
    "typed": "value",
    "cell": "text",
    "name": "text",
    "clause": "text",
    "caption": "text",
    "extreme": "text",
    "yes_no": "choice",
    "option": "choice",
    "labelled_document": "count",
    "labelled_pages": "count",
    "items": "count",
    "pages": "list",
    "bullets": "list",
    "enumeration": "list",
    "column": "list",
    "values": "list",
}
"""Every method of the finders, and the family whose features are weighed together."""
_BY_FAMILY = ("coverage", "in_question", "row_precision")
_KINDS = ("count", "number", "percentage", "name", "phrase")
_MAX_AGREEING = 5


class Judged(NamedTuple):
    """A candidate and its score in log-odds, before calibration."""

    candidate: Candidate
    score: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What ``calibration.json`` holds. Features without a weight count nothing."""

    weights: Mapping[str, float]
    bias: float
    slope: float
    offset: float
    threshold: float

    def judge(self, gathered: Gathered) -> list[Judged]:
        """All candidates, best first; ties keep the order in which they were found."""
        judged = [
            Judged(
                candidate, self.bias + sum(self.weights.get(name, 0.0) * v for name, v in features.items())
            )
            for candidate, features in zip(gathered.candidates, features_of(gathered), strict=True)
        ]
        return sorted(judged, key=lambda j: -j.score)

    def probability(self, score: float) -> float:
        """Calibrated probability that the best candidate is right, given its score."""
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, self.slope * score + self.offset))))


def features_of(gathered: Gathered) -> list[dict[str, float]]:
    """Features of every candidate, those of the question and of its rivals included; zeros are left out."""
    candidates = gathered.candidates
    same_text = Counter(c.text for c in candidates)
    best = max((c.features.get("coverage", 0.0) for c in candidates), default=0.0)
    terms = gathered.question.stems
    missing_share = sum(t in gathered.weights.missing for t in terms) / max(1, len(terms))
    result: list[dict[str, float]] = []
    for candidate in candidates:
        own = candidate.features
        features = {name: own[name] for name in BASE_FEATURES if own.get(name)}
        features["agreeing"] = min(same_text[candidate.text], _MAX_AGREEING) / _MAX_AGREEING
        features["behind"] = own.get("coverage", 0.0) - best
        features["missing_share"] = missing_share
        features["missing_name"] = float(bool(gathered.missing_names))
        features[f"method:{candidate.method}"] = 1.0
        features |= {f"{METHODS[candidate.method]}:{name}": own.get(name, 0.0) for name in _BY_FAMILY}
        if gathered.question.kind in _KINDS:
            features[f"kind:{gathered.question.kind}"] = 1.0
        result.append(features)
    return result


def load_calibration() -> Calibration:
    """Read the packaged table; raise `ConfigError` when it is damaged."""
    text = resources.files("docrag.answer.extractive").joinpath(TABLE).read_text(encoding="utf-8")
    try:
        table = json.loads(text)
        return Calibration(
            weights={str(name): float(weight) for name, weight in table["weights"].items()},
            bias=float(table["bias"]),
            slope=float(table["slope"]),
            offset=float(table["offset"]),
            threshold=float(table["threshold"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"docrag/answer/{TABLE} is damaged ({error!r}); install docrag again, or write it with"
            " eval/answer_calibration.py"
        ) from error
