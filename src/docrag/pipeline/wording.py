"""What was asked, as the other parts may rely on it."""

from __future__ import annotations

from typing import Literal

from docrag.errors import UsageError

_EXAMPLES = {"question": "What was the revenue in 2023?", "query": "revenue 2023"}


def readable(text: str, *, what: Literal["question", "query"] = "question") -> str:
    """Replace what is no Unicode: a shell hands over bytes that are no UTF-8 as lone surrogates.

    Raises `docrag.errors.UsageError` when nothing is asked. An abstention would say that the documents were
    looked at.
    """
    if not text.strip():
        raise UsageError(f'the {what} is empty; expected some words, such as "{_EXAMPLES[what]}"')
    return text.encode("utf-8", "replace").decode("utf-8")
