"""Parts as other people write them; the configuration of the tests names them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from docrag.answer.trace import TraceBuilder
from docrag.chat.events import SILENCE, StepEvent, TokenEvent
from docrag.errors import Cancelled, ModelError
from docrag.protocols import EncoderIdentity
from docrag.types import Abstention, Answer, Fused, Scored, SourceScore, UnitRef, Usage

TALKER = "tests.api.parts_of_mine:Talker"
ENDED = threading.Event()
"""Set when a `Talker` that was asked to wait has been called off."""


class Talker:
    """Says `words` one by one; the question "wait" never ends unless it is called off, "fail" fails."""

    def __init__(self, corpus, search, words: str = "yes it is"):
        self._search = search
        self._words = words.split()

    def answer(self, query, *, listener=SILENCE):
        trace = TraceBuilder()
        listener.on_event(StepEvent("talk", "talking"))
        with trace.step("talk") as detail:
            detail["n_words"] = len(self._words)
            if query.text.startswith("fail"):
                raise ModelError("the model is gone")
            if query.text == "wait":
                wait_for_the_end(listener)
            for word in self._words:
                listener.on_event(TokenEvent(f"{word} "))
        return Answer(
            question=query.text,
            text=" ".join(self._words),
            abstained=not self._words,
            reason=None if self._words else Abstention.NOT_IN_DOCUMENTS,
            citations=(),
            evidence=(),
            usage=Usage(n_model_calls=1, n_input_tokens=7, n_output_tokens=len(self._words)),
            warnings=(),
            trace=trace.build(),
        )


class Stubborn(Talker):
    """Answers "wait", too, as soon as it is called off."""

    def answer(self, query, *, listener=SILENCE):
        if query.text == "wait":
            while not listener.cancelled():
                time.sleep(0.01)
            query = replace(query, text="waited")
        return replace(super().answer(query, listener=SILENCE), question=query.text)


def wait_for_the_end(listener) -> None:
    for _ in range(3000):
        if listener.cancelled():
            ENDED.set()
            raise Cancelled("called off")
        time.sleep(0.01)
    raise AssertionError("nobody called it off")


class LengthEmbedder:
    """Two numbers a text: enough to be an encoder."""

    identity = EncoderIdentity(name="length", revision="1", dim=2, pooling="none")

    def embed_queries(self, texts):
        vectors = np.array([[len(text), 1.0] for text in texts], np.float32).reshape(-1, 2)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    embed_passages = embed_queries


class LastPage:
    """Finds the last page of every document, nothing else."""

    name = "last"

    def __init__(self, corpus):
        self._corpus = corpus

    def retrieve(self, query, *, k):
        documents = self._corpus.select(query.scope)[:k]
        return [Scored(UnitRef(d.doc, d.n_pages, 0, d.doc_id), 1.0) for d in documents]


class Backwards:
    """Turns every ranking round."""

    def __init__(self, corpus):
        pass

    def rerank(self, query, candidates):
        turned = list(reversed(candidates))
        return [
            Fused(c.unit, float(-i), {**c.sources, "back": SourceScore(i + 1, 1.0)})
            for i, c in enumerate(turned)
        ]


NOT_A_FUNCTION = 3


def makes_nothing(*_arguments):
    return None
