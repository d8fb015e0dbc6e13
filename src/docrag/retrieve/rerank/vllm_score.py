"""Relevance by a reranker behind a server's ``/score`` or ``/rerank``, as vLLM has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from docrag.chat.model import CallUsage
from docrag.chat.side_by_side import Ending
from docrag.errors import DocragError, ModelUnavailable
from docrag.http.json_server import JsonServer, shape_of
from docrag.http.model_list import find_model
from docrag.retrieve.rerank.calls import Calls, each
from docrag.retrieve.rerank.options import VllmScoreOptions
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown

_NO_RERANKER = "serve a reranker with --runner pooling, or set endpoint"

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
        self, options: VllmScoreOptions, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._options = options
        self._server = JsonServer(
            options,
            where=f"reranker at {options.base_url}",
            timeout_s=None,  # a request as a whole has one
            max_retries=options.max_retries,
            pause=pause,
        )
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
        return f"{served['id']}|{served.get('root') or ''}|{self._options.endpoint}"

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, or what went wrong with its request."""
        texts = [i for i, page in enumerate(pages) if page.picture is None]
        starts = range(0, len(texts), self._options.batch_size)
        batches = [texts[start : start + self._options.batch_size] for start in starts]
        batches += [[i] for i, page in enumerate(pages) if page.picture is not None]

        def work(batch: Sequence[int]) -> list[Relevance]:
            return self._score_batch(question, [pages[i] for i in batch], calls)

        results: dict[int, Relevance | DocragError] = {}
        for batch, found in zip(
            batches, each(work, batches, calls, n_parallel=self._options.n_parallel), strict=True
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
        if self._options.endpoint == "score":
            body |= {"text_1": question, "text_2": documents}
        else:
            body |= {"query": question, "documents": documents, "top_n": len(pages)}
        left_s = calls.start(self._options.timeout_s)
        start_s = time.monotonic()
        n_tokens = 0
        try:
            reply = self._server.ask(
                "POST",
                self._path,
                body,
                next_steps={HTTPStatus.NOT_FOUND: _NO_RERANKER},
                within_s=left_s,
                cancelled=calls.ending,
            )
            n_tokens = _n_tokens(reply)
            scores = self._scores(reply, len(pages))
        except ModelUnavailable as error:
            raise calls.failed(error) from error
        finally:
            elapsed_s = time.monotonic() - start_s
            n_images = int(picture is not None)
            calls.charge(CallUsage(elapsed_s=elapsed_s, n_input_tokens=n_tokens, n_images=n_images))
        return [Relevance(score) for score in scores]

    @property
    def _path(self) -> str:
        return f"/{self._options.endpoint}"

    def _scores(self, reply: Any, n: int) -> list[float]:  # noqa: ANN401 (JSON)
        is_score = self._options.endpoint == "score"
        entries, field = ("data", "score") if is_score else ("results", "relevance_score")
        scores = [_NAN] * n
        try:
            found = [(int(entry["index"]), float(entry[field])) for entry in reply[entries]]
        except (KeyError, TypeError, ValueError) as error:
            raise self._server.error(
                f"{self._path}: the answer holds no {entries} with index and {field}, but is"
                f" {shape_of(reply)} ({error!r}); set endpoint to what the server has"
            ) from error
        for index, score in found:
            if not 0 <= index < n:
                raise self._server.error(
                    f"{self._path}: got a score for document {index}, expected 0 to {n - 1}"
                )
            scores[index] = score
        if len(found) != n or any(score != score for score in scores):
            raise self._server.error(
                f"{self._path}: got {len(found)} scores for {n} documents, or some that are no number"
            )
        return scores

    def _model(self, ending: Ending) -> Mapping[str, Any]:
        """What the server says of the model; two threads may ask it both at first."""
        if self._served is None:
            self._served = find_model(
                self._server,
                self._options.model,
                setting="model",
                within_s=self._options.timeout_s,
                cancelled=ending,
            )
        return self._served


def _n_tokens(reply: Any) -> int:  # noqa: ANN401 (JSON)
    """Tokens that the server says it read; 0 when it does not say."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    counted = usage.get("prompt_tokens") or usage.get("total_tokens") if isinstance(usage, dict) else 0
    return counted if isinstance(counted, int) else 0
