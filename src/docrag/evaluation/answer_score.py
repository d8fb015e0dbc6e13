"""Score a short answer by the published rules of MMLongBench-Doc (Ma et al. 2024, section 4.1).

Departures from the published script: "not answerable" is recognised in any case and with a full stop; text
that is no list or number scores as text, or 0, instead of raising; an empty list matches an empty list; lists
are parsed as literals and never evaluated.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from docrag.types import NOT_ANSWERABLE

AnswerFormat = Literal["Int", "Float", "Str", "List", "None"]
ANSWER_FORMATS: tuple[str, ...] = get_args(AnswerFormat)

# A text that is no more than half right is worth nothing (ANLS, Biten et al. 2019).
SIMILARITY_FLOOR = 0.5
RELATIVE_TOLERANCE = 0.01
# Gold percentages may be written as 12 % or 0.12.
PERCENT = 100
MIN_DECIMALS = 2
DECIMALS_OF_INTEGER = 3

# Texts of these forms are right or wrong, never nearly right.
_EXACT_FORMS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\d+(?:[-\s]\d+)?",  # a number, a range, a telephone number in two parts
        r"\d{4}[-\s]\d{2}(?:[-\s]\d{2})?",  # year-month(-day)
        r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}",  # e-mail; the text is lower case already
    )
)
_PARENTHESISED = re.compile(r"\s*\([^)]*\)")


def score_answer(gold: str, prediction: str, answer_format: AnswerFormat) -> float:
    """Score of a prediction against the gold answer, 0 to 1."""
    if answer_format == "Int":
        return float(_same_integer(gold, prediction))
    if answer_format == "Float":
        return float(_same_number(gold, prediction))
    if answer_format == "List":
        return _list_score(gold, prediction)
    return _text_score(normalised(gold), normalised(prediction))


def is_abstention(prediction: str) -> bool:
    """Whether the prediction declines to answer."""
    return prediction.strip().rstrip(".").lower() == NOT_ANSWERABLE.lower()


def canonical(gold: str) -> str:
    """`NOT_ANSWERABLE` for a right answer that says so, in any case and with a full stop; else as it is."""
    return NOT_ANSWERABLE if is_abstention(gold) else gold


def normalised(value: object) -> str:
    """Lower case, without parenthesised parts, one pair of outer quotes, leading $ and trailing %."""
    text = _PARENTHESISED.sub("", str(value).lower().strip()).strip()
    text = text[1:] if text.startswith(("'", '"')) else text
    text = text[:-1] if text.endswith(("'", '"')) else text
    return text.strip().lstrip("$").strip().rstrip("%").strip()


def must_be_exact(text: str) -> bool:
    """Whether a normalised gold text is an identifier: URL, file, page label, clock time, date, number."""
    return (
        "https://" in text
        or "a.m." in text
        or "p.m." in text
        or text.startswith("page")
        or text.endswith((".py", "ipynb"))
        or any(form.fullmatch(text) for form in _EXACT_FORMS)
    )


def similarity(a: str, b: str) -> float:
    """1 - Levenshtein distance / longer length; 0 where that is no more than `SIMILARITY_FLOOR`."""
    shorter, longer = sorted((len(a), len(b)))
    if longer == 0:
        return 1.0
    if shorter / longer <= SIMILARITY_FLOOR:  # at best every character of the shorter one matches
        return 0.0
    value = 1.0 - _edit_distance(a, b) / longer
    return value if value > SIMILARITY_FLOOR else 0.0


def _edit_distance(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        current = [i]
        for j, right in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (left != right)))
        previous = current
    return previous[-1]


def _text_score(gold: str, prediction: str) -> float:
    return float(gold == prediction) if must_be_exact(gold) else similarity(gold, prediction)


def _list_score(gold: str, prediction: str) -> float:
    """0 for lists of different length; else, sorted, all must be equal, or the worst pair counts."""
    golds, predictions = (sorted(map(normalised, _as_list(v))) for v in (gold, prediction))
    if len(golds) != len(predictions):
        return 0.0
    if golds and (_number(golds[0]) is not None or must_be_exact(golds[0])):
        return float(golds == predictions)
    return min(map(similarity, golds, predictions), default=1.0)


def _as_list(value: str) -> Sequence[Any]:
    parsed: Any = value
    if value.startswith("["):
        try:
            parsed = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            parsed = value  # a bracket that opens no list: score it as text
    return parsed if isinstance(parsed, list | tuple) else [parsed]


def _same_integer(gold: str, prediction: str) -> bool:
    try:
        return int(gold) == int(float(prediction))
    except (ValueError, OverflowError):
        return False


def _same_number(gold: str, prediction: str) -> bool:
    """Equal within 1 %, or after rounding to the coarser number's decimals, in percent or as a fraction."""
    expected, got = _number(normalised(gold)), _number(normalised(prediction))
    if expected is None or got is None:
        return False
    for target in (expected / PERCENT, expected, expected * PERCENT):
        if math.isclose(target, got, rel_tol=RELATIVE_TOLERANCE):
            return True
        if math.isfinite(target) and math.isfinite(got):
            digits = max(min(_n_decimals(got), _n_decimals(target)), MIN_DECIMALS)
            if round(got, digits) == round(target, digits):
                return True
    return False


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _n_decimals(number: float) -> int:
    _, point, decimals = str(number).partition(".")
    return len(decimals) if point else DECIMALS_OF_INTEGER
