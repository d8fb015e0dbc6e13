"""Rerankers that were loaded, shared by all that are configured alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast

from docrag.retrieve.rerank.options import CrossEncoderOptions, YesNoModelOptions
from docrag.retrieve.rerank.relevance import RelevanceScorer

Scorer = TypeVar("Scorer", bound=RelevanceScorer)

_NOT_OF_THE_MODEL = {"n_head", "max_calls", "max_seconds", "show", "dpi", "max_chars"}
"""Options of a step that do not change which model is loaded, or how."""


class LoadedModels:
    """Models in this process by their options; safe to use from several threads.

    An index that is read anew, or searched in several ways, gets new rerankers around the same models.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scorers: dict[str, RelevanceScorer] = {}

    def scorer(self, options: YesNoModelOptions | CrossEncoderOptions, load: Callable[[], Scorer]) -> Scorer:
        """Return the model that `options` describe, made by `load` the first time."""
        key = options.model_dump_json(exclude=_NOT_OF_THE_MODEL)  # which names the kind of model, too
        with self._lock:
            if key not in self._scorers:
                self._scorers[key] = load()
            return cast(Scorer, self._scorers[key])
