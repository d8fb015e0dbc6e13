"""Text encoder behind an OpenAI-compatible ``/embeddings`` endpoint (any vendor, vLLM, llama.cpp, Ollama)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from docrag.embed.options import OpenAiEmbeddingsOptions
from docrag.http.json_server import PATIENCE, JsonServer, shape_of
from docrag.protocols import EncoderIdentity

_PATH = "/embeddings"


class OpenAiEmbedder:
    """Vectors from an endpoint, scaled to unit length.

    Connections follow no redirect, so the key goes to the configured host alone, and it stands in no message.
    Requests of a search that is called off are dropped. `pause` waits between tries.

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
        self,
        options: OpenAiEmbeddingsOptions,
        *,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._options = options
        self._server = JsonServer(
            options,
            where=f"embeddings endpoint {options.base_url}, model {options.model!r}",
            timeout_s=options.timeout_s,
            max_retries=options.max_retries,
            patience=PATIENCE,
            pause=pause,
        )
        try:
            dim = options.dim or self._request(["dimension"]).shape[1]
        except BaseException:
            self.close()
            raise
        self.identity = EncoderIdentity(
            name=options.model,
            revision=f"openai|{options.query_prompt}|{options.passage_prompt}",
            dim=dim,
            pooling="endpoint",
        )

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        return self._embed(self._options.query_prompt, texts)

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        return self._embed(self._options.passage_prompt, texts)

    def _embed(self, prompt: str, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.identity.dim), np.float32)
        size = self._options.batch_size
        for start in range(0, len(texts), size):
            # Endpoints refuse empty strings; a blank stands for them.
            batch = [prompt + (text.strip() or " ") for text in texts[start : start + size]]
            got = self._request(batch)
            if got.shape[1] != self.identity.dim:
                raise self._server.error(
                    f"{_PATH}: vectors have {got.shape[1]} dimensions, expected {self.identity.dim};"
                    " correct embed.dim, or embed.model"
                )
            vectors[start : start + len(batch)] = got
        return vectors

    def _request(self, texts: list[str]) -> NDArray[np.float32]:
        body: dict[str, Any] = {"model": self._options.model, "input": texts, "encoding_format": "float"}
        if self._options.dim is not None:
            body["dimensions"] = self._options.dim
        answer = self._server.ask("POST", _PATH, body)
        try:
            rows = cast(list[dict[str, Any]], answer["data"])
            by_index = {int(row["index"]): row["embedding"] for row in rows}
            vectors = np.array([by_index[i] for i in range(len(texts))], np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise self._server.error(
                f"{_PATH}: the answer is not a list of {len(texts)} embeddings, but {shape_of(answer)}"
                f" ({error!r}); check embed.base_url and embed.model"
            ) from error
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise self._server.error(
                f"{_PATH}: embeddings of shape {vectors.shape}, expected {len(texts)} rows of finite numbers;"
                " check embed.model"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (norms > 0).all():
            raise self._server.error(
                f"{_PATH}: an embedding is all zero, expected a direction; check embed.model"
            )
        return vectors / norms
