"""Folds: documents stay whole, folds are about equal, nothing is random."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.errors import UsageError
from docrag.evaluation.folds import folds_by_document


def test_the_largest_documents_are_spread_first():
    # 4 + 1 and 3 + 2: both folds hold five questions.
    docs = ["a"] * 4 + ["b"] * 3 + ["c"] * 2 + ["d"]
    assert folds_by_document(docs, 2).tolist() == [0] * 4 + [1] * 3 + [1] * 2 + [0]


@given(docs=st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=60), n_folds=st.integers(2, 5))
def test_documents_stay_whole_and_every_fold_holds_some(docs: list[str], n_folds: int):
    if len(set(docs)) < n_folds:
        return
    folds = folds_by_document(docs, n_folds)
    assert {(doc, fold) for doc, fold in zip(docs, folds, strict=True)}.__len__() == len(set(docs))
    sizes = np.bincount(folds, minlength=n_folds)
    assert sizes.min() >= 1
    # No document can be moved to the smallest fold and leave the largest still the largest by more than it.
    assert sizes.max() - sizes.min() <= max(Counter(docs).values())


def test_the_order_of_the_questions_does_not_matter():
    docs = ["b", "a", "c", "a", "d", "b"]
    forth = dict(zip(docs, folds_by_document(docs, 3), strict=True))
    back = dict(zip(docs[::-1], folds_by_document(docs[::-1], 3), strict=True))
    assert forth == back


@pytest.mark.parametrize(
    ("docs", "n_folds", "message"),
    [
        (["a", "b"], 1, "expected 2 or more, so that something is held out"),
        (["a", "a"], 2, "about 1 document"),
        (["a", "b", "c"], 4, "4 folds for 3 documents: .*--folds 3"),
    ],
)
def test_what_cannot_be_parted_is_refused(docs: list[str], n_folds: int, message: str):
    with pytest.raises(UsageError, match=message):
        folds_by_document(docs, n_folds)
