"""Any sentence-transformers model as a text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.checkpoints import digest_model
from docrag.embed.options import SentenceTransformersOptions
from docrag.errors import ModelError
from docrag.optional import require
from docrag.protocols import EncoderIdentity


class SentenceTransformersEmbedder:
    """Vectors of `SentenceTransformer.encode`, scaled to unit length.

    Batches are padded and masked by the library; equal texts give vectors equal up to float rounding. Weights
    come from a folder or the local cache, and code inside a model repository is never run. A folder's content
    is part of the identity: vectors of a model that is trained anew at its place do not fit those of before.
    """

    def __init__(self, options: SentenceTransformersOptions) -> None:
        library = require(
            "sentence_transformers",
            extra="sentence-transformers",
            purpose='text encoder "sentence-transformers"',
        )
        try:
            self._model: Any = library.SentenceTransformer(
                options.model,
                revision=options.revision,
                device=options.device,
                local_files_only=not options.download,
                trust_remote_code=False,
            )
        except (OSError, ValueError) as error:
            hint = "" if options.download else "; allow a download with text_encoder.download=true"
            raise ModelError(f"text encoder {options.model!r} could not be loaded: {error}{hint}") from error
        self._options = options
        folder = Path(options.model)
        weights = digest_model(folder) if folder.is_dir() else options.revision or "local"
        self.identity = EncoderIdentity(
            name=options.model,
            revision=f"{weights}|{options.query_prompt}|{options.passage_prompt}",
            dim=self._encode(["dimension"]).shape[1],  # the method that tells it has another name by version
            pooling="sentence-transformers",
        )

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        return self._embed(self._options.query_prompt, texts)

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        return self._embed(self._options.passage_prompt, texts)

    def _embed(self, prompt: str, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, self.identity.dim), np.float32)
        return self._encode([prompt + text for text in texts])

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        vectors = self._model.encode(
            texts,
            batch_size=self._options.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.ascontiguousarray(vectors, np.float32)
