"""How alike two answers are in meaning, by the text encoder."""

from __future__ import annotations

from collections.abc import Callable

from docrag.answer.agreement import Semantic
from docrag.errors import ConfigError
from docrag.protocols import TextEmbedder


def by_meaning(embedder: Callable[[], TextEmbedder | None]) -> Semantic:
    """Return the cosine of two texts' vectors; raises `docrag.errors.ConfigError` without an encoder."""
    encoder = embedder()
    if encoder is None:
        raise ConfigError("answer.similarity is meaning, which needs a text encoder; set embed.kind")

    def cosine(first: str, second: str) -> float:
        ours, theirs = encoder.embed_passages([first, second])
        return float(ours @ theirs)

    return cosine
