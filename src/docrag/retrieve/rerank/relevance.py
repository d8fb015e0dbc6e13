"""How relevant a page is to a question, and who says so."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from docrag.errors import DocragError, ModelError
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.shown import Shown


class Relevance(NamedTuple):
    """A score, higher is better: for most judges a probability, 0 to 1.

    `logits` are those of "yes" and of "no", up to a constant added to both, where the judge has them; a model
    with one output has it as the first and 0 as the second. They tell apart what rounds to the same score.
    """

    score: float
    logits: tuple[float, float] | None = None

    @property
    def margin(self) -> float:
        """``z_yes - z_no``; 0 without logits."""
        return self.logits[0] - self.logits[1] if self.logits is not None else 0.0

    def to_json(self) -> str:
        """Return the value as a cache keeps it."""
        return json.dumps([self.score, *(self.logits or ())])

    @classmethod
    def from_json(cls, text: str) -> Relevance:
        """Return what `to_json` wrote; raise ValueError for anything else."""
        match json.loads(text):
            case [score] if _is_finite(score):
                return cls(score)
            case [score, z_yes, z_no] if all(map(_is_finite, (score, z_yes, z_no))):
                return cls(score, (z_yes, z_no))
            case _:
                raise ValueError(f"got {text[:80]!r}, expected a score, or a score and two logits")


def _is_finite(value: object) -> bool:
    """Whether JSON gave a number that can be a score."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class RelevanceScorer(Protocol):
    """Judges pages one by one: equal pages get equal scores, whatever else is judged with them."""

    name: str

    def identify(self, calls: Calls) -> str:
        """Name all that a score depends on beside question and page: model, revision, prompt, rule.

        Raises `docrag.errors.ModelError` when only a server knows, and it cannot be asked;
        `docrag.errors.Cancelled` when the search is called off meanwhile.
        """
        ...

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, or in its place what went wrong with it.

        `docrag.errors.BudgetExceeded` stands for pages that `calls` left no budget for. Raises
        `docrag.errors.ModelError` when the model cannot be used at all.
        """
        ...


def from_logits(z_yes: float, z_no: float) -> Relevance:
    """Softmax over the two logits, ``sigmoid(z_yes - z_no)`` (Qwen3-VL-Reranker), without overflow.

    Raises `docrag.errors.ModelError` when a logit is NaN or infinite.

    Examples
    --------
    >>> from_logits(2.0, 2.0).score
    0.5
    """
    gap = z_yes - z_no
    if not math.isfinite(gap):
        raise ModelError(f"got the logits {z_yes} for yes and {z_no} for no, expected finite numbers")
    small = math.exp(-abs(gap))
    return Relevance((1 if gap >= 0 else small) / (1 + small), (z_yes, z_no))
