"""From options to a text encoder."""

from __future__ import annotations

from docrag.embed.options import (
    MiniLmOptions,
    NoEncoder,
    OpenAiEmbeddingsOptions,
    SentenceTransformersOptions,
    TextEncoderOptions,
)
from docrag.protocols import TextEmbedder


def build_text_embedder(options: TextEncoderOptions) -> TextEmbedder | None:
    """Load the encoder that `options` describe; None for `NoEncoder`."""
    match options:
        case MiniLmOptions():
            from docrag.embed.minilm import MiniLmEmbedder

            return MiniLmEmbedder(options)
        case SentenceTransformersOptions():
            from docrag.embed.sentence_transformers import SentenceTransformersEmbedder

            return SentenceTransformersEmbedder(options)
        case OpenAiEmbeddingsOptions():
            from docrag.embed.openai_embeddings import OpenAiEmbedder

            return OpenAiEmbedder(options)
        case NoEncoder():
            return None
