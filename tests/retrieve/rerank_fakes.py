"""What rerankers are tested with: pages, a scripted chat model, pictures, and a judge with a list."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence

from tests.retrieve.small_corpus import SmallCorpus, unit

from docrag.chat.messages import ImagePart, Message
from docrag.chat.model import CallUsage, Limits, Reply, Request
from docrag.errors import BudgetExceeded, DocragError, IngestError, ModelError
from docrag.geometry import Box
from docrag.retrieve.rerank.cache import MemoryCache
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown
from docrag.types import Fused, PageRef, SourceScore

WORTH = {"gold": 9, "silver": 7, "bronze": 4, "tin": 2, "lead": 1}
"""How relevant every page is on which one of these words stands, out of 10."""

CORPUS = SmallCorpus(
    {
        "a.pdf": ["page with lead", "page with gold\n\nand a second part", "page with bronze"],
        "b.pdf": ["page with tin", "page with silver", ""],
    }
)
PAGES = [unit("a.pdf", 1), unit("b.pdf", 1), unit("a.pdf", 3), unit("b.pdf", 2), unit("a.pdf", 2)]
"""From the least relevant to the most: fusion has it all wrong."""

BEST_FIRST = PAGES[::-1]


def candidates(units: Sequence = PAGES) -> list[Fused]:
    """A fused ranking of `units` in this order with the scores 0, -1, …"""
    return [Fused(u, float(-i), {"bm25": SourceScore(i + 1, 10.0 - i)}) for i, u in enumerate(units)]


def worth_of(text: str) -> int:
    return next((worth for word, worth in WORTH.items() if word in text), 0)


class FakeChat:
    """Replies by a function of the conversation; counts its calls."""

    def __init__(
        self,
        reply: Callable[[Sequence[Message], Request], Reply],
        *,
        name: str = "fake",
        max_images: int = 50,
    ) -> None:
        self.name = name
        self.limits = Limits(max_images=max_images)
        self.requests: list[Request] = []
        self.conversations: list[Sequence[Message]] = []
        self._reply = reply
        self._lock = threading.Lock()

    def count_text(self, text: str) -> int:
        return len(text) // 4

    def count_image(self, width_px: int, height_px: int) -> int:
        return 100

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            self.conversations.append(messages)
        return self._reply(messages, request)


def fenced_page(message: str) -> str:
    """Text of the page of a pointwise prompt; the question beside it does not count."""
    found = re.search(r"<<<\w+ page\n(.*?)\n\w+>>>", message, re.DOTALL)
    return found[1] if found is not None else ""


USAGE = CallUsage(elapsed_s=0.25, n_input_tokens=100, n_output_tokens=1)


def logprobs_reply(messages: Sequence[Message], request: Request) -> Reply:
    """Yes with probability worth / 10, by log-probabilities."""
    share = max(worth_of(fenced_page(messages[-1].text)) / 10, 0.01)
    pair = {"yes": math.log(share), "no": math.log(1 - share)}
    return Reply("yes", usage=USAGE, first_logprobs=pair)


def verdict_reply(messages: Sequence[Message], request: Request) -> Reply:
    """The same as a number, from a model without log-probabilities."""
    text = "yes" if request.schema is None else f'{{"relevance": {worth_of(fenced_page(messages[-1].text))}}}'
    return Reply(text, usage=USAGE)


def fenced_pages(message: str) -> dict[int, str]:
    """Text of every numbered page of a listwise prompt."""
    found = re.findall(r"<<<\w+ \[(\d+)\]\n(.*?)\n\w+>>>", message, re.DOTALL)
    return {int(n): text for n, text in found}


def order_reply(messages: Sequence[Message], request: Request) -> Reply:
    """The right order of the pages shown."""
    pages = fenced_pages(messages[-1].text)
    order = sorted(pages, key=lambda n: -worth_of(pages[n]))
    return Reply(f'{{"order": {order}}}', usage=USAGE)


def keep_all_reply(messages: Sequence[Message], request: Request) -> Reply:
    return Reply(f'{{"keep": {list(fenced_pages(messages[-1].text))}}}', usage=USAGE)


def failing(error: DocragError) -> Callable[[Sequence[Message], Request], Reply]:
    def reply(messages: Sequence[Message], request: Request) -> Reply:
        raise error

    return reply


class FakePictures:
    """A picture whose bytes name the page and the clip; `missing` pages have none."""

    def __init__(self, *missing: PageRef) -> None:
        self.missing = set(missing)
        self.asked: list[tuple[PageRef, float, Box | None]] = []

    def picture(self, ref: PageRef, *, dpi: float, clip: Box | None = None) -> ImagePart:
        self.asked.append((ref, dpi, clip))
        if ref in self.missing:
            raise IngestError("io_error", f"{ref.doc_id} page {ref.page_no}: the file is gone")
        return ImagePart(f"{ref} {dpi:g} {clip}".encode(), "image/png", 10, 10)


class ListScorer:
    """A judge that goes by `WORTH`, or by what `scores` says of a text."""

    def __init__(
        self,
        scores: Mapping[str, Relevance | DocragError] | None = None,
        *,
        name: str = "list",
        identity: str = "list 1",
    ) -> None:
        self.name = name
        self._identity = identity
        self.asked: list[str] = []
        self._scores = scores

    def identify(self, calls: Calls) -> str:
        return self._identity

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        results: list[Relevance | DocragError] = []
        for page in pages:
            try:
                calls.start()
            except BudgetExceeded as error:
                results.append(error)
                continue
            calls.charge(USAGE)
            self.asked.append(page.text)
            worth = Relevance(worth_of(page.text) / 10)
            results.append(worth if self._scores is None else self._scores.get(page.text, worth))
        return results


class BrokenScorer(ListScorer):
    """A judge that fails as a whole, or gives too few scores."""

    def __init__(self, *, raises: bool) -> None:
        super().__init__(name="broken")
        self._raises = raises

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        if self._raises:
            raise ModelError("no weights today")
        return super().score(question, pages[1:], calls)


class DamagedCache(MemoryCache):
    """Has `text` for every key under which nothing was put."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def get(self, key: str) -> str | None:
        return super().get(key) or self._text


class Clock:
    """Moves on by `step_s` at every look."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s
