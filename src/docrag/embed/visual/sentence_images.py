"""One vector an image by an image model of sentence-transformers, such as CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.embed.visual.checkpoint import Checkpoint
from docrag.embed.visual.images import fit
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ModelError
from docrag.optional import require
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage


class SentenceImagesEmbedder:
    """Vectors of `SentenceTransformer.encode`, of texts and images alike."""

    def __init__(self, options: LocalVisualOptions, checkpoint: Checkpoint) -> None:
        library = require(
            "sentence_transformers", extra="sentence-transformers", purpose=f"page encoder {options.model!r}"
        )
        try:
            self._model: Any = library.SentenceTransformer(
                str(checkpoint.folder),
                device=None if options.device == "auto" else options.device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"page encoder {checkpoint.name} at {checkpoint.folder}: {error}") from error
        self._batch_size = options.batch_size
        self.processor = checkpoint.processor
        self.identity = EncoderIdentity(
            name=checkpoint.name,
            revision=checkpoint.revision,
            dim=self._encode(["dimension"]).shape[1],
            pooling="sentence-transformers",
        )

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """One vector for each query."""
        vectors = self._encode(list(texts))
        return [QueryVectors(v[None], (text,)) for v, text in zip(vectors, texts, strict=True)]

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """One vector for each image."""
        from PIL import Image

        vectors = self._encode([Image.fromarray(fit(image)[0]) for image in images])
        return [ImageVectors(v[None], None) for v in vectors]

    def _encode(self, items: list[Any]) -> NDArray[np.float32]:
        try:
            vectors = self._model.encode(
                items,
                batch_size=self._batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        except (TypeError, AttributeError, ValueError) as error:
            raise ModelError(
                f"page encoder {self._model}: cannot encode {type(items[0]).__name__} ({error}); "
                "choose a model for images and text"
            ) from error
        return np.ascontiguousarray(vectors, np.float32)
