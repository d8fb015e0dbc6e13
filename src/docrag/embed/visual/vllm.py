"""Page encoder behind a vLLM server's ``/pooling`` endpoint (task ``token_embed``)."""

from __future__ import annotations

import base64
import io
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from docrag.embed.visual.images import fit
from docrag.embed.visual.options import VllmVisualOptions
from docrag.errors import ModelError, ModelUnavailable
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_MAX_PAUSE_S = 30.0
_KEPT_DETAIL = 200


class VllmPageEmbedder:
    """Vectors from a server, scaled to unit length. Images travel as ``data:`` URLs and nothing else does.

    Model and dimension are asked for at the start. Redirects are not followed. The server does not say which
    patch a vector stands for, so there are no grids. `sleep` waits between tries.

    Raises
    ------
    ModelUnavailable
        The server cannot be reached, or keeps failing after the retries.
    ModelError
        The server refuses a request, or its answer cannot be used.
    """

    def __init__(self, options: VllmVisualOptions, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._options = options
        self._sleep = sleep
        key = options.api_key.get_secret_value() if options.api_key else ""
        self._client = httpx.Client(
            timeout=options.timeout_s,
            follow_redirects=False,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        self._pool = ThreadPoolExecutor(options.batch_size, thread_name_prefix="vllm-pooling")
        self._dim: int | None = None
        try:
            entry = self._find_model()
            self._model = str(entry["id"])
            dim = self._dim = self._embed({"input": "dimension"}).shape[1]
        except BaseException:
            self.close()
            raise
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
        self._pool.shutdown()
        self._client.close()

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """Vectors of every query; the server does not tell their tokens, so these are numbered."""
        options = self._options
        bodies = [{"input": f"{options.query_prefix}{text}{options.query_suffix}"} for text in texts]
        found = self._pool.map(self._embed, bodies)
        return [QueryVectors(v, tuple(f"token {i + 1}" for i in range(len(v)))) for v in found]

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """Vectors of every image."""
        return [ImageVectors(v, None) for v in self._pool.map(self._embed, map(self._image_body, images))]

    def _image_body(self, image: RgbImage) -> Mapping[str, Any]:
        content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": data_url(fit(image)[0])}}]
        if self._options.image_prompt:
            content.append({"type": "text", "text": self._options.image_prompt})
        return {"messages": [{"role": "user", "content": content}]}

    def _find_model(self) -> Mapping[str, Any]:
        body = self._request("GET", "/v1/models", None)
        try:
            entries = {str(entry["id"]): entry for entry in body["data"]}
        except (KeyError, TypeError) as error:
            raise self._error(f"/v1/models gave no list of models ({error!r})") from error
        wanted = self._options.model
        if wanted is None and len(entries) == 1:
            return next(iter(entries.values()))
        if wanted is None or wanted not in entries:
            raise self._error(
                f"the server has the models {sorted(entries)}, asked for {wanted or 'its only one'}; "
                "set visual.encoder.model"
            )
        return entries[wanted]

    def _embed(self, content: Mapping[str, Any]) -> NDArray[np.float32]:
        body = self._request(
            "POST",
            "/pooling",
            {"model": self._model, "task": "token_embed", "encoding_format": "float", **content},
        )
        try:
            (entry,) = body["data"]
            vectors = np.asarray(entry["data"], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._error(f"the answer holds no vectors of one input ({error!r})") from error
        if vectors.ndim == 1:
            vectors = vectors[None]
        expected = "any" if self._dim is None else self._dim
        if vectors.ndim != 2 or 0 in vectors.shape or expected not in ("any", vectors.shape[1]):
            raise self._error(f"got vectors of shape {vectors.shape}, expected (n > 0, {expected})")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not (norms > 0).all():
            raise self._error("a vector is zero or not finite")
        return vectors / norms

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 (JSON)
        n_tries = self._options.max_retries + 1
        problem = ""
        for n_try in range(1, n_tries + 1):
            try:
                response = self._client.request(method, self._options.base_url + path, json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    try:
                        return response.json()
                    except ValueError as error:
                        raise self._error(f"{path} answered with something else than JSON") from error
                detail = " ".join(response.text.split())[:_KEPT_DETAIL]
                problem = f"{path}: HTTP {response.status_code} {detail}"
                if path == "/pooling" and response.status_code == HTTPStatus.NOT_FOUND:
                    raise self._error(
                        f"{problem}; this one does not embed: start it with --runner pooling and a "
                        "late-interaction checkpoint"
                    )
                if response.status_code not in _RETRIED_STATUS:
                    raise self._error(problem)
            if n_try < n_tries:
                self._sleep(min(random.uniform(0, 0.5 * 2 ** (n_try - 1)), _MAX_PAUSE_S))
        raise ModelUnavailable(
            f"vLLM server {self._options.base_url}: gave up after {n_tries} tries; the last one: {problem}. "
            "Start it again and repeat the command: what is indexed stays"
        )

    def _error(self, problem: str) -> ModelError:
        return ModelError(f"vLLM server {self._options.base_url}: {problem}")


def data_url(image: RgbImage) -> str:
    """The image as a PNG in a ``data:`` URL: equal images give equal bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
