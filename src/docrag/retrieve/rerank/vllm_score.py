"""Relevance by a reranker behind a server's ``/score`` or ``/rerank``, as vLLM has them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from pydantic import SecretStr

from docrag.chat.model import CallUsage
from docrag.errors import DocragError, ModelError, ModelUnavailable
from docrag.http_loop import HttpLoop
from docrag.retrieve.rerank.calls import Calls, each
from docrag.retrieve.rerank.options import Endpoint
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown
from docrag.retrieve.side_by_side import Ending

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_NOT_FOUND = 404
MAX_PAUSE_S = 10.0
"""Longest pause between two tries."""

_KEPT_DETAIL = 200
_MAX_REPLY_BYTES = 64 * 2**20
"""Far more than a list of scores; ``/rerank`` sends the documents back, pictures included."""

_NAN = float("nan")


class VllmScorer:
    """Scores of a server, in batches of texts; pages with a picture travel one by one, as ``data:`` URLs.

    One by one, because servers before vLLM 0.16 take several parts for several documents. The scores are the
    server's own: probabilities of a cross-encoder, or sums of a late-interaction model. Redirects are not
    followed. The server is first asked when it is first needed. Requests of a search that is called off are
    dropped.
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
        max_pause_s: float = MAX_PAUSE_S,
    ) -> None:
        self._base_url = base_url
        self._endpoint: Endpoint = endpoint
        self._batch_size = batch_size
        self._n_parallel = n_parallel
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._max_pause_s = max_pause_s
        key = api_key.get_secret_value() if api_key is not None else ""
        client = httpx.AsyncClient(
            follow_redirects=False,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=None,  # a request as a whole has one
        )
        self._http = HttpLoop(client, where=f"reranker at {base_url}")
        self._wanted = model
        self._served: Mapping[str, Any] | None = None

    def identify(self, calls: Calls) -> str:
        """Name the model that the server has.

        Raises
        ------
        ModelUnavailable
            The server cannot be reached.
        ModelError
            It refuses the key, or does not have the model.
        Cancelled
            The search was called off.
        """
        served = self._model(calls.ending)
        return f"{served['id']}|{served.get('root') or ''}|{self._endpoint}"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

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
        body: dict[str, Any] = {"model": self._model(calls.ending)["id"]}
        if self._endpoint == "score":
            body |= {"text_1": question, "text_2": documents}
        else:
            body |= {"query": question, "documents": documents, "top_n": len(pages)}
        left_s = calls.start(self._timeout_s)
        start_s = time.monotonic()
        n_tokens = 0
        try:
            reply = self._request("POST", f"/{self._endpoint}", body, calls.ending, timeout_s=left_s)
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

    def _model(self, ending: Ending) -> Mapping[str, Any]:
        """What the server says of the model; two threads may ask it both at first."""
        if self._served is None:
            self._served = self._find_model(self._wanted, ending)
        return self._served

    def _find_model(self, wanted: str | None, ending: Ending) -> Mapping[str, Any]:
        body = self._request("GET", "/v1/models", None, ending, timeout_s=self._timeout_s)
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
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        ending: Ending,
        *,
        timeout_s: float | None,
    ) -> Any:  # noqa: ANN401 (JSON)
        """Reply of the server within `timeout_s`, all tries together."""
        end_s = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        n_tries = self._max_retries + 1
        problem = ""
        for n_try in range(1, n_tries + 1):
            try:
                status, reply = self._http.run(
                    lambda client: self._send(client, method, path, body, end_s), cancelled=ending
                )
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
            pause_s = min(random.uniform(0, 0.5 * 2 ** (n_try - 1)), self._max_pause_s)
            if n_try == n_tries or time.monotonic() + pause_s >= end_s:
                break
            self._pause(pause_s, ending)
        raise ModelUnavailable(f"reranker at {self._base_url}: gave up; the last try: {problem}")

    def _pause(self, seconds: float, ending: Ending) -> None:
        self._http.run(lambda _client: asyncio.sleep(seconds), cancelled=ending)

    async def _send(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        end_s: float,
    ) -> tuple[int, bytes]:
        """Status and body of one reply, however slowly it trickles in; ReadTimeout after `end_s`."""
        reply = bytearray()
        try:
            async with (
                asyncio.timeout(max(0.001, end_s - time.monotonic())),
                client.stream(method, self._base_url + path, json=body) as response,
            ):
                async for piece in response.aiter_bytes():
                    reply += piece
                    if len(reply) > _MAX_REPLY_BYTES:
                        raise self._error(f"{path} answered with more than {_MAX_REPLY_BYTES} bytes")
                return response.status_code, bytes(reply)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the reply took too long") from error

    def _error(self, problem: str) -> ModelError:
        return ModelError(f"reranker at {self._base_url}: {problem}")


def _n_tokens(reply: Any) -> int:  # noqa: ANN401 (JSON)
    """Tokens that the server says it read; 0 when it does not say."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    counted = usage.get("prompt_tokens") or usage.get("total_tokens") if isinstance(usage, dict) else 0
    return counted if isinstance(counted, int) else 0
