"""Part questions into folds, document by document: what is fitted on a document is never tested on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docrag.errors import UsageError


def folds_by_document(docs: Sequence[str], n_folds: int) -> NDArray[np.intp]:
    """Fold of every question, ``(n_questions,)``, given its document; all of a document share one.

    Documents with the most questions are placed first, each into the fold that has the fewest, so that folds
    are about as large as one another. Nothing is random.

    Raises
    ------
    UsageError
        There are fewer than two folds, fewer than two documents, or more folds than documents.

    Examples
    --------
    >>> folds_by_document(["a", "b", "b", "c", "a", "a"], 2).tolist()
    [0, 1, 1, 1, 0, 0]
    """
    sizes = Counter(docs)
    if n_folds < 2:
        raise UsageError(f"{n_folds} folds: expected 2 or more, so that something is held out")
    if len(sizes) < 2:
        raise UsageError(
            f"the questions that can be measured are about {len(sizes)} document; expected 2 or more: "
            "what is fitted on a document cannot be tested on it"
        )
    if n_folds > len(sizes):
        raise UsageError(
            f"{n_folds} folds for {len(sizes)} documents: expected at most one fold a document; "
            f"lower it with --folds {len(sizes)}"
        )
    totals = [0] * n_folds
    fold_of: dict[str, int] = {}
    for doc, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold_of[doc] = totals.index(min(totals))
        totals[fold_of[doc]] += size
    return np.array([fold_of[doc] for doc in docs])
