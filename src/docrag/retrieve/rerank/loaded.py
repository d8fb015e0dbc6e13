"""Rerankers that were loaded, shared by all that are configured alike."""

from __future__ import annotations

import threading
from collections.abc import Callable

from docrag.retrieve.rerank.options import CrossEncoderOptions, YesNoModelOptions
from docrag.retrieve.rerank.relevance import RelevanceScorer
from docrag.retrieve.rerank.yes_no_model import YesNoModelScorer

_NOT_OF_THE_MODEL = {"n_head", "max_calls", "max_seconds", "show", "dpi", "max_chars"}
"""Options of a step that do not change which model is loaded, or how."""


class LoadedModels:
    """Models in this process by their options; safe to use from several threads.

    An index that is read anew, or searched in several ways, gets new rerankers around the same models.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._yes_no: dict[str, YesNoModelScorer] = {}
        self._cross_encoders: dict[str, RelevanceScorer] = {}

    def yes_no(self, options: YesNoModelOptions, load: Callable[[], YesNoModelScorer]) -> YesNoModelScorer:
        """Return the model that `options` describe, made by `load` the first time."""
        with self._lock:
            key = options.model_dump_json(exclude=_NOT_OF_THE_MODEL)
            if key not in self._yes_no:
                self._yes_no[key] = load()
            return self._yes_no[key]

    def cross_encoder(
        self, options: CrossEncoderOptions, load: Callable[[], RelevanceScorer]
    ) -> RelevanceScorer:
        """Return the model that `options` describe, made by `load` the first time."""
        with self._lock:
            key = options.model_dump_json(exclude=_NOT_OF_THE_MODEL)
            if key not in self._cross_encoders:
                self._cross_encoders[key] = load()
            return self._cross_encoders[key]
