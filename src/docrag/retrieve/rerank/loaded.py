"""Rerankers that were loaded or connected, shared by all that are configured alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from docrag.retrieve.rerank.options import CrossEncoderOptions, VllmScoreOptions, YesNoModelOptions
from docrag.retrieve.rerank.relevance import RelevanceScorer

Scorer = TypeVar("Scorer", bound=RelevanceScorer)

_NOT_OF_THE_MODEL = {"n_head", "max_calls", "max_seconds", "show", "dpi", "max_chars"}
"""Options of a step that do not change which model is loaded, or how."""


class LoadedModels:
    """Models in this process, and clients of servers, by their options; safe to use from several threads.

    An index that is read anew, or searched in several ways, gets new rerankers around the same models.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scorers: list[tuple[dict[str, Any], RelevanceScorer]] = []

    def scorer(
        self, options: YesNoModelOptions | CrossEncoderOptions | VllmScoreOptions, load: Callable[[], Scorer]
    ) -> Scorer:
        """Return the model that `options` describe, made by `load` the first time."""
        # Compared as they are, the kind of model among them: as text, all keys of servers look alike.
        wanted = options.model_dump(exclude=_NOT_OF_THE_MODEL)
        with self._lock:
            for held, scorer in self._scorers:
                if held == wanted:
                    return cast(Scorer, scorer)
            made = load()
            self._scorers.append((wanted, made))
            return made

    def close(self) -> None:
        """Forget the models and close the connections of those that have some."""
        with self._lock:
            scorers, self._scorers = self._scorers, []
        for _, scorer in scorers:
            close: Callable[[], None] | None = getattr(scorer, "close", None)
            if close is not None:
                close()
