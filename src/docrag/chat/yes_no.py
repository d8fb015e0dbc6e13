"""Yes or no, with a probability: the first token's logits decide (Qwen3-Reranker's rule, MMKB-RAG eq. 2).

``P(yes) = exp(z_yes) / (exp(z_yes) + exp(z_no)) = sigmoid(z_yes - z_no)``: log-probabilities differ from
logits by a constant, which cancels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docrag.chat.messages import Message
from docrag.chat.model import CallUsage, Chat, Request
from docrag.errors import ModelFormatError

N_LOGPROBS = 20
"""First tokens asked for: what most servers give at most."""

MAX_TOKENS = 8
"""Enough for "Yes." and its kin; a model that talks first has not followed the prompt."""

_WORD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """P(yes), 0 to 1, with the log-probabilities behind it; those are None when the word alone decided."""

    probability: float
    logprob_yes: float | None
    logprob_no: float | None
    usage: tuple[CallUsage, ...] = ()


def yes_no_logprobs(first_logprobs: Mapping[str, float]) -> tuple[float, float] | None:
    """Log-probabilities of "yes" and "no", whatever their case and the space before them; None for neither.

    Where one is not among the tokens, it is no likelier than the least likely token that is: that bound
    stands for it.
    """
    sums: dict[str, float] = {}
    for token, logprob in first_logprobs.items():
        word = token.strip().strip("▁Ġ").lower()  # the space marks of SentencePiece and of byte-level BPE
        if word in ("yes", "no"):
            sums[word] = sums.get(word, 0.0) + math.exp(logprob)
    if not sums:
        return None
    least = min(first_logprobs.values())

    def log_of(word: str) -> float:
        return math.log(sums[word]) if sums.get(word, 0.0) > 0 else least

    return log_of("yes"), log_of("no")


def probability_of_yes(logprob_yes: float, logprob_no: float) -> float:
    """``sigmoid(logprob_yes - logprob_no)``, without overflow.

    Examples
    --------
    >>> probability_of_yes(-1.0, -1.0)
    0.5
    """
    gap = logprob_yes - logprob_no
    if gap >= 0:
        return 1 / (1 + math.exp(-gap))
    return math.exp(gap) / (1 + math.exp(gap))


def ask_yes_no(chat: Chat, messages: Sequence[Message], *, request: Request | None = None) -> Verdict:
    """Put a question that is to be answered by yes or no; `messages` must say so.

    Without log-probabilities the word itself decides, with probability 1 or 0. Raises
    `docrag.errors.ModelFormatError` when it is neither, and as `docrag.chat.model.Chat.complete`.
    """
    asked = request if request is not None else Request()
    reply = chat.complete(
        messages,
        Request(
            max_output_tokens=MAX_TOKENS,
            timeout_s=asked.timeout_s,
            n_logprobs=N_LOGPROBS,
            cancelled=asked.cancelled,
        ),
    )
    pair = yes_no_logprobs(reply.first_logprobs) if reply.first_logprobs else None
    if pair is not None:
        return Verdict(probability_of_yes(*pair), *pair, (reply.usage,))
    return Verdict(word_verdict(reply.text), None, None, (reply.usage,))


def word_verdict(text: str) -> float:
    """1 for a reply that begins with yes, 0 for no; raises `docrag.errors.ModelFormatError` for neither."""
    word = _WORD.match(text)
    if word is None:
        raise ModelFormatError(f"expected yes or no, got {text[:60]!r}")
    return 1.0 if word[1].lower() == "yes" else 0.0
