"""Text encoder behind an OpenAI-compatible ``/embeddings`` endpoint (any vendor, vLLM, llama.cpp, Ollama)."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import httpx
import numpy as np
from numpy.typing import NDArray

from docrag.embed.options import OpenAiEmbeddingsOptions
from docrag.errors import ConfigError, ModelError
from docrag.protocols import EncoderIdentity

RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
MAX_PAUSE_S = 30.0
"""Longest pause between two tries, whatever a Retry-After header asks for."""


class OpenAiEmbedder:
    """Vectors from an endpoint, scaled to unit length.

    Connections follow no redirect, so the key goes to the configured host alone, and it stands in no message.
    `sleep` waits between tries.
    """

    def __init__(
        self, options: OpenAiEmbeddingsOptions, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._options = options
        self._sleep = sleep
        key = (
            options.api_key.get_secret_value() if options.api_key else os.environ.get(options.api_key_env, "")
        )
        if any(not (" " < c <= "~") for c in key):
            raise ConfigError(
                f"the API key for {options.base_url} holds a blank or a character outside ASCII; "
                f"check api_key or the variable {options.api_key_env}"
            )
        self._client = httpx.Client(
            timeout=options.timeout_s,
            follow_redirects=False,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        dim = options.dim or self._request(["dimension"]).shape[1]
        self.identity = EncoderIdentity(
            name=options.model,
            revision=f"openai|{options.query_prompt}|{options.passage_prompt}",
            dim=dim,
            pooling="endpoint",
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

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
                raise self._error(f"vectors have {got.shape[1]} dimensions, expected {self.identity.dim}")
            vectors[start : start + len(batch)] = got
        return vectors

    def _request(self, texts: list[str]) -> NDArray[np.float32]:
        body: dict[str, Any] = {"model": self._options.model, "input": texts, "encoding_format": "float"}
        if self._options.dim is not None:
            body["dimensions"] = self._options.dim
        n_tries = self._options.max_retries + 1
        problem = ""
        for n_try in range(1, n_tries + 1):
            asked_pause_s = None
            try:
                response = self._client.post(f"{self._options.base_url}/embeddings", json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return self._vectors(response, len(texts))
                problem = f"HTTP {response.status_code} {_detail(response)}"
                if response.status_code not in RETRIED_STATUS:
                    raise self._error(problem)
                asked_pause_s = _retry_after_s(response)
            if n_try < n_tries:
                # Full jitter around 0.5, 1, 2, … seconds, so that clients do not come back in step.
                pause_s = (
                    asked_pause_s if asked_pause_s is not None else random.uniform(0, 0.5 * 2 ** (n_try - 1))
                )
                self._sleep(min(pause_s, MAX_PAUSE_S))
        raise self._error(f"gave up after {n_tries} tries; the last one: {problem}")

    def _vectors(self, response: httpx.Response, n_texts: int) -> NDArray[np.float32]:
        try:
            rows = cast(list[dict[str, Any]], response.json()["data"])
            by_index = {int(row["index"]): row["embedding"] for row in rows}
            vectors = np.array([by_index[i] for i in range(n_texts)], np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise self._error(f"the answer is not a list of {n_texts} embeddings ({error!r})") from error
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise self._error(
                f"embeddings of shape {vectors.shape}, expected {n_texts} rows of finite numbers"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (norms > 0).all():
            raise self._error("an embedding is all zero")
        return vectors / norms

    def _error(self, problem: str) -> ModelError:
        return ModelError(
            f"embeddings endpoint {self._options.base_url}, model {self._options.model!r}: {problem}; "
            f"check text_encoder.base_url, model and key"
        )


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that a Retry-After header asks for; None without one, or when it holds a date."""
    try:
        seconds = float(response.headers.get("retry-after", "nan"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _detail(response: httpx.Response) -> str:
    """First words of the error's body, on one line."""
    if response.is_redirect:
        return "(a redirect, which is not followed)"
    return " ".join(response.text.split())[:200]
