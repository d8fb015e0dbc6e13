"""Relevance by a reranker behind a server's ``/score`` or ``/rerank``, as vLLM has them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from pydantic import SecretStr

from docrag.chat.model import CallUsage
from docrag.errors import DocragError, ModelError, ModelUnavailable
from docrag.retrieve.rerank.calls import Calls, each
from docrag.retrieve.rerank.options import Endpoint
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_NOT_FOUND = 404
_MAX_PAUSE_S = 10.0
_KEPT_DETAIL = 200
_MAX_REPLY_BYTES = 64 * 2**20
"""Far more than a list of scores; ``/rerank`` sends the documents back, pictures included."""

_NAN = float("nan")


class VllmScorer:
    """Scores of a server, in batches of texts; pages with a picture travel one by one, as ``data:`` URLs.

    One by one, because servers before vLLM 0.16 take several parts for several documents. The scores are the
    server's own: probabilities of a cross-encoder, or sums of a late-interaction model. Redirects are not
    followed. The server is first asked when it is first needed; `sleep` waits between tries.
    """

    name = "vllm-score"

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        endpoint: Endpoint = "score",
        api_key: SecretStr | None = None,
        batch_size: int = 16,
        n_parallel: int = 4,
        timeout_s: float = 60.0,
        max_retries: int = 2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base_url = base_url
        self._endpoint: Endpoint = endpoint
        self._batch_size = batch_size
        self._n_parallel = n_parallel
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._sleep = sleep
        key = api_key.get_secret_value() if api_key is not None else ""
        self._client = httpx.Client(
            follow_redirects=False, headers={"Authorization": f"Bearer {key}"} if key else {}
        )
        self._wanted = model
        self._served: Mapping[str, Any] | None = None

    @property
    def identity(self) -> str:
        """The model that the server has.

        Raises
        ------
        ModelUnavailable
            The server cannot be reached.
        ModelError
            It refuses the key, or does not have the model.
        """
        served = self._model()
        return f"{served['id']}|{served.get('root') or ''}|{self._endpoint}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, or what went wrong with its request."""
        texts = [i for i, page in enumerate(pages) if page.picture is None]
        starts = range(0, len(texts), self._batch_size)
        batches = [texts[start : start + self._batch_size] for start in starts]
        batches += [[i] for i, page in enumerate(pages) if page.picture is not None]

        def work(batch: Sequence[int]) -> list[Relevance]:
            return self._score_batch(question, [pages[i] for i in batch], calls)

        results: dict[int, Relevance | DocragError] = {}
        for batch, found in zip(
            batches, each(work, batches, calls, n_parallel=self._n_parallel), strict=True
        ):
            for place, i in enumerate(batch):
                results[i] = found if isinstance(found, DocragError) else found[place]
        return [results[i] for i in range(len(pages))]

    def _score_batch(self, question: str, pages: Sequence[Shown], calls: Calls) -> list[Relevance]:
        picture = pages[0].picture
        documents: Any = [page.text for page in pages]
        if picture is not None:
            content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": picture.data_url}}]
            if pages[0].text:
                content.append({"type": "text", "text": pages[0].text})
            documents = {"content": content}
        body: dict[str, Any] = {"model": self._model()["id"]}
        if self._endpoint == "score":
            body |= {"text_1": question, "text_2": documents}
        else:
            body |= {"query": question, "documents": documents, "top_n": len(pages)}
        left_s = calls.start(self._timeout_s)
        start_s = time.monotonic()
        n_tokens = 0
        try:
            reply = self._request("POST", f"/{self._endpoint}", body, timeout_s=left_s)
            n_tokens = _n_tokens(reply)
            scores = self._scores(reply, len(pages))
        except ModelUnavailable as error:
            raise calls.failed(error) from error
        finally:
            elapsed_s = time.monotonic() - start_s
            n_images = int(picture is not None)
            calls.charge(CallUsage(elapsed_s=elapsed_s, n_input_tokens=n_tokens, n_images=n_images))
        return [Relevance(score) for score in scores]

    def _scores(self, reply: Any, n: int) -> list[float]:  # noqa: ANN401 (JSON)
        entries, field = ("data", "score") if self._endpoint == "score" else ("results", "relevance_score")
        scores = [_NAN] * n
        try:
            found = [(int(entry["index"]), float(entry[field])) for entry in reply[entries]]
        except (KeyError, TypeError, ValueError) as error:
            raise self._error(f"the answer holds no {entries} with index and {field} ({error!r})") from error
        for index, score in found:
            if not 0 <= index < n:
                raise self._error(f"got a score for document {index}, expected 0 to {n - 1}")
            scores[index] = score
        if len(found) != n or any(score != score for score in scores):
            raise self._error(f"got {len(found)} scores for {n} documents, or some that are no number")
        return scores

    def _model(self) -> Mapping[str, Any]:
        """What the server says of the model; two threads may ask it both at first."""
        if self._served is None:
            self._served = self._find_model(self._wanted)
        return self._served

    def _find_model(self, wanted: str | None) -> Mapping[str, Any]:
        body = self._request("GET", "/v1/models", None, timeout_s=self._timeout_s)
        try:
            entries = {str(entry["id"]): entry for entry in body["data"]}
        except (KeyError, TypeError) as error:
            raise self._error(f"/v1/models gave no list of models ({error!r})") from error
        if wanted is None and len(entries) == 1:
            return next(iter(entries.values()))
        if wanted is None or wanted not in entries:
            raise self._error(
                f"the server has the models {sorted(entries)}, asked for {wanted or 'its only one'}; "
                "set model"
            )
        return entries[wanted]

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, timeout_s: float | None
    ) -> Any:  # noqa: ANN401 (JSON)
        """Reply of the server within `timeout_s`, all tries together."""
        end_s = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        n_tries = self._max_retries + 1
        problem = ""
        for n_try in range(1, n_tries + 1):
            try:
                status, reply = self._send(method, path, body, end_s)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if 200 <= status < 300:
                    try:
                        return json.loads(reply)
                    except ValueError as error:
                        raise self._error(f"{path} answered with something else than JSON") from error
                detail = " ".join(reply.decode("utf-8", "replace").split())[:_KEPT_DETAIL]
                problem = f"{path}: HTTP {status} {detail}"
                if status == _NOT_FOUND:
                    problem += "; serve a reranker with --runner pooling, or set endpoint"
                if status not in _RETRIED_STATUS:
                    raise self._error(problem)
            pause_s = min(random.uniform(0, 0.5 * 2 ** (n_try - 1)), _MAX_PAUSE_S)
            if n_try == n_tries or time.monotonic() + pause_s >= end_s:
                break
            self._sleep(pause_s)
        raise ModelUnavailable(f"reranker at {self._base_url}: gave up; the last try: {problem}")

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, end_s: float
    ) -> tuple[int, bytes]:
        """Status and body of one reply, however slowly it trickles in; ReadTimeout after `end_s`."""
        left_s = max(0.001, end_s - time.monotonic())
        url = self._base_url + path
        reply = bytearray()
        with self._client.stream(method, url, json=body, timeout=left_s) as response:
            for piece in response.iter_bytes():
                reply += piece
                if len(reply) > _MAX_REPLY_BYTES:
                    raise self._error(f"{path} answered with more than {_MAX_REPLY_BYTES} bytes")
                if time.monotonic() > end_s:
                    raise httpx.ReadTimeout("the reply took too long")
            return response.status_code, bytes(reply)

    def _error(self, problem: str) -> ModelError:
        return ModelError(f"reranker at {self._base_url}: {problem}")


def _n_tokens(reply: Any) -> int:  # noqa: ANN401 (JSON)
    """Tokens that the server says it read; 0 when it does not say."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    counted = usage.get("prompt_tokens") or usage.get("total_tokens") if isinstance(usage, dict) else 0
    return counted if isinstance(counted, int) else 0
