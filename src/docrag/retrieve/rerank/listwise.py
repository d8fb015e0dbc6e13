"""Order pages by asking a chat model for their order, window by window (RankGPT, 2304.09542).

Models favour what stands first or last. So every window is put several times, in seeded random orders, and
the mean place decides (permutation self-consistency, 2310.07712, with Borda counts for its Kemeny ranking).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.chat.fence import MakeMarker, random_marker
from docrag.chat.json_reply import json_objects
from docrag.chat.model import Chat, Request
from docrag.chat.prompts import Prompt
from docrag.errors import BudgetExceeded, DocragError, ModelFormatError, ModelUnavailable
from docrag.retrieve.rerank.cache import Cache, cache_key, cached
from docrag.retrieve.rerank.calls import Calls, each
from docrag.retrieve.rerank.judging import MakeCalls
from docrag.retrieve.rerank.reranked import Reranked, describe, how_many, placed
from docrag.retrieve.rerank.shown import Shown, Views
from docrag.retrieve.rerank.together import key_of, messages_of, shown_of
from docrag.types import Fused, Query, SourceScore

_SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "array", "items": {"type": "integer"}}},
    "required": ["order"],
    "additionalProperties": False,
}
_ID = r"\[?[ \t]*\d+[ \t]*\]?"
_ONE_ID = re.compile(r"\s*\[?\s*(\d{1,6})\s*\]?\s*")
_RUN = re.compile(rf"{_ID}(?:[ \t]*[>,;\n]\s*{_ID})+")


def parse_order(text: str, n: int) -> list[int]:
    """Ids from 1 to `n` in the order that a reply gives them, each once; some may be missing.

    Taken are the last JSON object with an ``order``, else the longest run of numbers such as ``[2] > [1]`` or
    ``2, 1``. An id that is repeated counts where it stands first, one out of range not at all. Raises
    `docrag.errors.ModelFormatError` when no id is left.
    """
    orders = [found["order"] for found in json_objects(text) if isinstance(found.get("order"), list)]
    named: list[Any] = orders[-1] if orders else []
    if not orders:
        runs = [re.findall(r"\d+", run) for run in _RUN.findall(text)]
        named = max(reversed(runs), key=len, default=[])
    if not named:
        named = [text]  # perhaps a single number
    ids = [int(match[1]) for value in named if (match := _ONE_ID.fullmatch(str(value)))]
    order = [value for value in dict.fromkeys(ids) if 1 <= value <= n]
    if not order:
        raise ModelFormatError(f"expected the numbers 1 to {n} in an order, got {text[:80]!r}")
    return order


def places_of(order: Sequence[int], n: int) -> NDArray[np.float64]:
    """0-based place of each id 1 to `n`; those that `order` leaves out share the mean of the places left.

    Examples
    --------
    >>> places_of([3, 1], 4).tolist()
    [1.0, 2.5, 0.0, 2.5]
    """
    places = np.full(n, (len(order) + n - 1) / 2)
    places[np.array(order, int) - 1] = np.arange(len(order))
    return places


def windows(n: int, *, size: int, stride: int) -> list[tuple[int, int]]:
    """Bounds of the windows over `n` places, from the back to the front, where the last one starts at 0.

    Examples
    --------
    >>> windows(20, size=10, stride=5)
    [(10, 20), (5, 15), (0, 10)]
    """
    found: list[tuple[int, int]] = []
    end = n
    while end > 0:
        found.append((max(0, end - size), end))
        if end <= size:
            break
        end -= stride
    return found


def permutations(n: int, n_permutations: int, *, seed: str) -> list[list[int]]:
    """Orders of ``range(n)``: as it is, backwards, then random ones; the same for equal seeds."""
    shuffler = random.Random(seed)
    found = [list(range(n)), list(reversed(range(n)))][:n_permutations]
    while len(found) < n_permutations:
        found.append(shuffler.sample(range(n), n))
    return found


class ListwiseReranker:
    """Orders the first `n_head` units; the others follow in their old order.

    Windows of `window` units go from the back to the front in steps of `stride`, each put to the model
    `n_permutations` times. Equal mean places are ordered by fused score, then by unit. A budget that
    ends leaves what the windows so far have done; a window of which no call succeeds leaves the order of
    fusion, with a warning. The prompt is ``rerank_listwise``.
    """

    name = "listwise"

    def __init__(
        self,
        chat: Chat,
        prompt: Prompt,
        views: Views,
        *,
        cache: Cache,
        make_calls: MakeCalls = Calls,
        n_head: int = 20,
        window: int = 10,
        stride: int = 5,
        n_permutations: int = 2,
        seed: int = 0,
        n_parallel: int = 4,
        timeout_s: float | None = 60.0,
        make_marker: MakeMarker = random_marker,
    ) -> None:
        if not 1 <= stride <= window:
            raise ValueError(f"stride is {stride}, expected 1 to {window}, the size of a window")
        self._chat = chat
        self._prompt = prompt
        self._views = views
        self._cache = cache
        self._make_calls = make_calls
        self._n_head = n_head
        self._window = window
        self._stride = stride
        self._n_permutations = n_permutations
        self._seed = seed
        self._n_parallel = n_parallel
        self._timeout_s = timeout_s
        self._make_marker = make_marker

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        """Return all of `candidates`; a unit that was in a window has its place as a source, best 1."""
        question = query.text.strip()
        head, tail = candidates[: self._n_head], candidates[self._n_head :]
        if not question or len(head) < 2:
            return Reranked(list(candidates))
        listener.on_event(StepEvent(self.name, f"reranking {how_many(head)}"))
        calls = self._make_calls(listener.cancelled)
        shown, failed = shown_of(self._views, head)
        warnings = [
            f"{self.name}: {describe(head[place].unit)} keeps its place: {error}"
            for place, error in failed.items()
        ]
        order = list(shown)  # places of the head, in the order that is being made
        ranked_from = len(order)
        for start, end in windows(len(order), size=self._window, stride=self._stride):
            if end - start < 2:
                continue
            pages = [shown[place] for place in order[start:end]]
            scores = [head[place].score for place in order[start:end]]
            outcome, lost = self._order_window(question, pages, scores, calls)
            if isinstance(outcome, BudgetExceeded):
                warnings.append(f"{self.name}: {outcome}; the results up to {end} keep their order")
                break
            if isinstance(outcome, DocragError):
                warnings.append(f"{self.name}: {outcome}; the order of fusion stays")
                return Reranked(list(candidates), warnings=tuple(warnings), usage=calls.usage)
            if lost:
                warnings.append(
                    f"{self.name}: {lost} replies for the results {start + 1} to {end} failed; the others"
                    " decide"
                )
            order[start:end] = [order[start + i] for i in outcome]
            ranked_from = start
        if ranked_from == len(order):  # no window was ordered
            return Reranked(list(candidates), warnings=tuple(warnings), usage=calls.usage)
        n_ranked = len(order) - ranked_from
        opinions = {
            head[place].unit: SourceScore(rank, (n_ranked - rank + 1) / n_ranked)
            for rank, place in enumerate(order[ranked_from:], 1)
        }
        moving = iter(order)
        ordered = [head[next(moving)] if place in shown else item for place, item in enumerate(head)]
        return Reranked(
            [*placed(ordered, head, opinions, name=self.name), *tail],
            warnings=tuple(warnings),
            usage=calls.usage,
            detail={"n_judged": n_ranked, "n_calls": len(calls.usage)},
        )

    def _order_window(
        self, question: str, pages: Sequence[Shown], scores: Sequence[float], calls: Calls
    ) -> tuple[list[int] | DocragError, str]:
        """Indices of `pages`, best first by mean place over all orders, and what was lost: "1 of 2", or "".

        `scores` are what fusion gave them.
        """
        seed = cache_key(str(self._seed), question, *(page.digest for page in pages))
        tries = permutations(len(pages), self._n_permutations, seed=seed)
        presented = [[pages[i] for i in put] for put in tries]
        keys = [key_of(self.name, self._chat, self._prompt, question, shown) for shown in presented]
        orders: dict[str, list[int] | DocragError] = {}
        for key in keys:
            order = cached(self._cache, key, lambda text: _read_order(text, len(pages)))
            if order is not None:
                orders[key] = order
        first = {key: i for i, key in reversed(list(enumerate(keys)))}  # two orders of few pages may be equal
        asked = sorted(i for key, i in first.items() if key not in orders)

        def work(i: int) -> list[int]:
            return self._ask(question, presented[i], calls)

        for i, order in zip(asked, each(work, asked, calls, n_parallel=self._n_parallel), strict=True):
            orders[keys[i]] = order
            if not isinstance(order, DocragError):
                self._cache.put(keys[i], json.dumps(order))
        errors = [order for order in orders.values() if isinstance(order, DocragError)]
        gone = next((error for error in errors if isinstance(error, ModelUnavailable)), None)
        found = [
            _put_back(order, put)
            for key, put in zip(keys, tries, strict=True)
            if not isinstance(order := orders[key], DocragError)
        ]
        if gone is not None or not found:
            return (gone if gone is not None else errors[0]), ""
        means = np.mean(found, axis=0)
        lost = f"{len(errors)} of {len(orders)}" if errors else ""
        return sorted(range(len(pages)), key=lambda i: (means[i], -scores[i], pages[i].unit)), lost

    def _ask(self, question: str, presented: Sequence[Shown], calls: Calls) -> list[int]:
        """Numbers of the pages, from 1 on, in the order that the model gives them."""
        request = Request(schema=_SCHEMA, schema_name="order")
        n = str(len(presented))
        messages = messages_of(self._prompt, presented, self._make_marker(), question=question, n=n)
        reply = calls.ask(self._chat, messages, request, timeout_s=self._timeout_s)
        return parse_order(reply.text, len(presented))


def _read_order(text: str, n: int) -> list[int]:
    """The order that a cache holds; raises ValueError unless it has ids from 1 to `n`, each once."""
    order: Any = json.loads(text)
    ids = [value for value in order if type(value) is int] if isinstance(order, list) else []
    if not ids or len(ids) != len(order) or len(set(ids)) != len(ids) or not 1 <= min(ids) <= max(ids) <= n:
        raise ValueError(f"got {text[:80]!r}, expected some of the numbers 1 to {n} in an order")
    return ids


def _put_back(order: Sequence[int], put: Sequence[int]) -> NDArray[np.float64]:
    """Place of every page when `put` says which of them was shown first, second and so on."""
    places = np.empty(len(put))
    places[list(put)] = places_of(order, len(put))
    return places
