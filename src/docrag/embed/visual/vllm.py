"""Page encoder behind a vLLM server's ``/pooling`` endpoint (task ``token_embed``)."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.embed.visual.images import fit
from docrag.embed.visual.options import VllmVisualOptions
from docrag.http.json_server import PATIENCE, JsonServer, shape_of
from docrag.http.model_list import find_model
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage

_PATH = "/pooling"
_NO_EMBEDDER = "this one does not embed: start it with --runner pooling and a late-interaction checkpoint"


class VllmPageEmbedder:
    """Vectors from a server, scaled to unit length. Images travel as ``data:`` URLs and nothing else does.

    Model and dimension are asked for at the start. Redirects are not followed. The server does not say which
    patch a vector stands for, so there are no grids. Requests of a search that is called off are dropped, as
    all are on Ctrl-C. `pause` waits between tries.

    Raises
    ------
    ConfigError
        The key's variable is not set, or the proxy cannot be used.
    ModelUnavailable
        The server cannot be reached, or keeps failing after the retries.
    ModelError
        The server refuses a request, or its answer cannot be used.
    """

    def __init__(
        self, options: VllmVisualOptions, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._options = options
        self._server = JsonServer(
            options,
            where=f"vLLM server {options.base_url}",
            timeout_s=options.timeout_s,
            max_retries=options.max_retries,
            patience=PATIENCE,
            pause=pause,
        )
        self._dim: int | None = None
        try:
            entry = find_model(self._server, options.model, setting="visual.encoder.model")
            self._model = str(entry["id"])
            (first,) = self._embed([{"input": "dimension"}])
        except BaseException:
            self.close()
            raise
        dim = self._dim = first.shape[1]
        prompts = "|".join((options.image_prompt, options.query_prefix, options.query_suffix))
        self.processor = f"vllm|{prompts}"
        self.identity = EncoderIdentity(
            name=self._model,
            revision=f"vllm|{entry.get('root') or self._model}",
            dim=dim,
            pooling="token_embed",
        )

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """Vectors of every query; the server does not tell their tokens, so these are numbered."""
        options = self._options
        inputs = [{"input": f"{options.query_prefix}{text}{options.query_suffix}"} for text in texts]
        found = self._embed(inputs)
        return [QueryVectors(v, tuple(f"token {i + 1}" for i in range(len(v)))) for v in found]

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """Vectors of every image."""
        return [ImageVectors(v, None) for v in self._embed(map(self._image_content, images))]

    def _image_content(self, image: RgbImage) -> Mapping[str, Any]:
        content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": data_url(fit(image)[0])}}]
        if self._options.image_prompt:
            content.append({"type": "text", "text": self._options.image_prompt})
        return {"messages": [{"role": "user", "content": content}]}

    def _embed(self, contents: Iterable[Mapping[str, Any]]) -> list[NDArray[np.float32]]:
        """Vectors of every text or image; what is asked for beside it is the same for all."""
        asked = {"model": self._model, "task": "token_embed", "encoding_format": "float"}
        bodies = ({**asked, **content} for content in contents)
        answers = self._server.ask_each(
            "POST",
            _PATH,
            bodies,
            n_parallel=self._options.batch_size,
            next_steps={HTTPStatus.NOT_FOUND: _NO_EMBEDDER},
        )
        return [self._vectors(answer) for answer in answers]

    def _vectors(self, answer: Any) -> NDArray[np.float32]:  # noqa: ANN401 (JSON)
        try:
            (entry,) = answer["data"]
            vectors = np.asarray(entry["data"], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._server.error(
                f"{_PATH}: the answer holds no vectors of one input, but is {shape_of(answer)} ({error!r});"
                " check the server's version: it should know the task token_embed"
            ) from error
        if vectors.ndim == 1:
            vectors = vectors[None]
        expected = "any" if self._dim is None else self._dim
        if vectors.ndim != 2 or 0 in vectors.shape or expected not in ("any", vectors.shape[1]):
            raise self._server.error(
                f"{_PATH}: got vectors of shape {vectors.shape}, expected (n > 0, {expected});"
                " check visual.encoder.model"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not (norms > 0).all():
            raise self._server.error(f"{_PATH}: a vector is zero or not finite; check the server's log")
        return vectors / norms


def data_url(image: RgbImage) -> str:
    """The image as a PNG in a ``data:`` URL: equal images give equal bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
