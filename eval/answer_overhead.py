"""What docrag itself adds to a question that a chat model answers: times by part, on a made-up index.

Run with ``python eval/answer_overhead.py [--pages 10000] [--questions 200] [--modality text] [--dense]``. The
model is scripted and answers at once, so everything that is timed is docrag's own. Pages hold 250 words drawn
from a Zipf-like vocabulary of 20,000; a question is five words of one page. With ``--modality text`` no page
is drawn; "both" adds stand-ins for pictures, whose tokens are counted and whose bytes are encoded, but which
are not drawn either. ``--dense`` adds vectors, random ones, of the default encoder's dimension. On a busy
machine only "cpu", the processor time of the whole process, means something.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from docrag.answer.options import ContextOptions, SinglePassOptions
from docrag.answer.parts import AnswerParts
from docrag.answer.run import RunParts
from docrag.answer.single_pass import SinglePassAnswerer
from docrag.chat.messages import ImagePart
from docrag.chat.model import Chats
from docrag.geometry import Box
from docrag.models.build import build_chats
from docrag.models.options import RoleOptions, ScriptedOptions
from docrag.protocols import EncoderIdentity
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.options import RetrievalOptions
from docrag.store.reader import IndexReader
from docrag.store.writer import IndexWriter
from docrag.types import Answer, Chunk, Document, Page, PageRef, Query, Region, Word

N_WORDS = 250
N_VOCABULARY = 20_000
PAGES_PER_DOCUMENT = 100
WORDS_PER_LINE = 10
WARM_UP = 10
PICTURE_BYTES = 150_000
IDENTITY = EncoderIdentity("random", "1", 384, "none")
PARTS = ("search", "make context", "call answer", "verify citations")


class RandomEmbedder:
    """Vectors without meaning, in no time."""

    identity = IDENTITY

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        vectors = self._random.normal(size=(len(texts), IDENTITY.dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    embed_passages = embed_queries


class StandIns:
    """Pictures of the right size whose bytes show nothing."""

    def picture(self, ref: PageRef, *, dpi: float, clip: Box | None = None) -> ImagePart:
        """As large as the page would be."""
        width_pt, height_pt = (595.0, 842.0) if clip is None else (clip.width, clip.height)
        data = bytes(PICTURE_BYTES)
        return ImagePart(data, "image/jpeg", round(width_pt * dpi / 72), round(height_pt * dpi / 72))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--modality", choices=["text", "both"], default="text")
    parser.add_argument("--dense", action="store_true")
    args = parser.parse_args()
    random = np.random.default_rng(7)
    embedder = RandomEmbedder(7) if args.dense else None
    with tempfile.TemporaryDirectory() as folder:
        texts = write_index(Path(folder) / "index", args.pages, random, embedder)
        corpus = IndexReader(Path(folder) / "index")
        stage = build_retrieval_stage(corpus, embedder, RetrievalOptions())
        questions = [
            " ".join(random.choice(text.split(), 5)) for text in random.choice(texts, args.questions)
        ]
        model = scripted()
        answerer = SinglePassAnswerer(
            AnswerParts(corpus, stage.search, RunParts(model), StandIns()),
            SinglePassOptions(context=ContextOptions(modality=args.modality)),
        )
        for question in questions[:WARM_UP]:
            answerer.answer(Query(question))
        times: dict[str, list[float]] = {}
        for question in questions:
            start_s, start_cpu_s = time.perf_counter(), time.process_time()
            answer = answerer.answer(Query(question))
            record(times, answer, time.perf_counter() - start_s, time.process_time() - start_cpu_s)
        corpus.close()
    report = {
        "pages": args.pages,
        "questions": args.questions,
        "modality": args.modality,
        "dense": args.dense,
        "load": os.getloadavg()[0],
        "ms": {name: summary(values) for name, values in times.items()},
    }
    print(json.dumps(report, indent=1))


def scripted() -> Chats:
    """Two sentences, each with a quote that has to be looked for."""
    sentence = {"text": "The words stand there.", "citations": [{"id": "E1", "quote": "w1 w2 w3 w4 w5 w6"}]}
    reply = json.dumps({"answerable": True, "sentences": [sentence, sentence | {"text": "So they do."}]})
    options = ScriptedOptions(replies=(reply,), repeat_last=True, chunk_chars=8)
    return build_chats(RoleOptions(default=options))


def record(times: dict[str, list[float]], answer: Answer, elapsed_s: float, cpu_s: float) -> None:
    """Add the times of one question's parts; what no step holds is the rest."""
    steps = {name: sum(s.elapsed_s for s in answer.trace if s.name == name) for name in PARTS}
    rest_s = elapsed_s - sum(steps.values())
    for name, seconds in {**steps, "rest": rest_s, "total": elapsed_s, "cpu": cpu_s}.items():
        times.setdefault(name, []).append(seconds * 1000)


def summary(values_ms: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {
        "p50": round(float(np.median(values_ms)), 2),
        "p95": round(float(np.percentile(values_ms, 95)), 2),
    }


# ── the index ────────────────────────────────────────────────────────────────────────────────────────


def write_index(
    path: Path, n_pages: int, random: np.random.Generator, embedder: RandomEmbedder | None
) -> list[str]:
    """Write documents of made-up pages; return the texts of the pages."""
    weights = 1 / np.arange(1, N_VOCABULARY + 1)
    texts: list[str] = []
    with IndexWriter(path, owner="eval", text_encoder=embedder.identity if embedder else None) as writer:
        for first in range(0, n_pages, PAGES_PER_DOCUMENT):
            doc_id = f"{first:032x}"
            count = min(PAGES_PER_DOCUMENT, n_pages - first)
            drawn = random.choice(N_VOCABULARY, (count, N_WORDS), p=weights / weights.sum())
            pages = [make_page(n, [f"w{w}" for w in row]) for n, row in enumerate(drawn, 1)]
            texts += [page.text for page in pages]
            draft = writer.draft(doc_id, fingerprint="eval")
            n_chunks = sum(len(page.chunks) for page in pages)
            draft.add(pages, embedder.embed_passages([""] * n_chunks) if embedder else None, [])
            writer.commit(draft, Document(f"d{first:06}.pdf", doc_id, count, count, (), 1, 1, "eval"))
        writer.finish()
    return texts


def make_page(page_no: int, tokens: Sequence[str]) -> Page:
    """Lines of ten words; two chunks."""
    words: list[Word] = []
    text = ""
    for i, token in enumerate(tokens):
        line_no, column = divmod(i, WORDS_PER_LINE)
        box = Box(60 + 48 * column, 60 + 14 * line_no, 100 + 48 * column, 70 + 14 * line_no)
        words.append(Word(len(text), len(text) + len(token), box, line_no, False))
        text += token + ("\n" if column == WORDS_PER_LINE - 1 else " ")
    half = words[len(words) // 2].start
    box = Box(60, 60, 540, 420)
    regions = (Region(0, "text", box, 0, half), Region(1, "text", box, half, len(text)))
    chunks = tuple(
        Chunk(i + 1, "text", text[r.start : r.end], r.start, r.end, (box,), (i,))
        for i, r in enumerate(regions)
    )
    return Page(page_no, str(page_no), 595, 842, 0, text, text, "text-layer", tuple(words), regions, chunks)


if __name__ == "__main__":
    main()
