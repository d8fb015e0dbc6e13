"""One vector an image by an image model of sentence-transformers, such as CLIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from docrag.devices import choose_device, choose_dtype
from docrag.embed.visual.batches import run_batches
from docrag.embed.visual.checkpoint import Checkpoint
from docrag.embed.visual.images import fit
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ModelError
from docrag.optional import require
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage


class SentenceImagesEmbedder:
    """Vectors of `SentenceTransformer.encode_query` and `encode_document`, with the prompts of the model.

    Queries go one by one and only images of equal size share a batch, so there is no padding, and neighbours
    cannot change a vector beyond rounding.
    """

    def __init__(self, options: LocalVisualOptions, checkpoint: Checkpoint) -> None:
        library = require(
            "sentence_transformers", extra="sentence-transformers", purpose=f"page encoder {options.model!r}"
        )
        torch = require("torch", extra="sentence-transformers", purpose=f"page encoder {options.model!r}")
        device = choose_device(torch, options.device)
        self._name = checkpoint.name
        try:
            self._model: Any = library.SentenceTransformer(
                str(checkpoint.folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={
                    "use_safetensors": True,
                    "dtype": choose_dtype(torch, options.dtype, device),
                },
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"page encoder {checkpoint.name} at {checkpoint.folder}: {error}") from error
        self._batch_size = options.batch_size
        self.processor = checkpoint.processor
        self.identity = EncoderIdentity(
            name=checkpoint.name,
            revision=checkpoint.revision,
            dim=self._encode("query", ["dimension"]).shape[1],
            pooling="sentence-transformers",
        )

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """One vector for each query."""
        return [QueryVectors(self._encode("query", [text]), (text,)) for text in texts]

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """One vector for each image."""
        inputs = [{"pixels": fit(image)[0]} for image in images]
        found = run_batches(self._forward, inputs, batch_size=self._batch_size)
        return [ImageVectors(vector[None], None) for vector in found]

    def _forward(self, inputs: Sequence[Mapping[str, Any]]) -> list[NDArray[np.float32]]:
        from PIL import Image

        return list(self._encode("document", [Image.fromarray(one["pixels"]) for one in inputs]))

    def _encode(self, kind: Literal["query", "document"], items: list[Any]) -> NDArray[np.float32]:
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        try:
            vectors = encode(
                items,
                batch_size=len(items),
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        except (TypeError, AttributeError, ValueError) as error:
            raise ModelError(
                f"page encoder {self._name}: cannot encode {type(items[0]).__name__} ({error}); "
                "choose a model for images and text"
            ) from error
        found = np.ascontiguousarray(vectors, np.float32)
        # Here and not in the model, whose own unit vectors are off by a thousandth in bfloat16.
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not (norms > 0).all():
            raise ModelError(f"page encoder {self._name}: a vector is zero or not finite; try dtype: float32")
        return found / norms
