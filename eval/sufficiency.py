"""Measure how well a model judges whether pages suffice to answer, and find the threshold for abstaining.

    python eval/sufficiency.py DATASET_DIR --index DIR --base-url URL --model NAME
        [--scope document|collection] [--limit N] [--k 5] [--gold any|all] [--no-control]
        [--config FILE|PRESET] [--set NAME=VALUE]... [--out lines.jsonl]

Every question is put to the judge as ``answer.prompt.sufficiency: call`` does: pages are retrieved, shown as
the answerer shows them, and the judge gives P(sufficient). A model without eyes needs ``--set
answer.context.modality=text``. Pages count as sufficient when the question is answerable and a page of its
evidence is among those shown; with ``--gold all``, when all pages of its evidence are. For unanswerable
questions no pages are. The control shows the pages of the evidence alone, and as many pages of other
documents: a model that cannot tell those apart cannot judge.

Printed are the area under the ROC curve; what thresholds catch (insufficient pages that stop the answer) and
lose (sufficient ones that do, too); the threshold with the best balanced accuracy, chosen by
cross-validation over documents and scored on held-out ones; calibration; and how long a call takes. Intervals
are 95 % bootstrap intervals over documents. Questions that the judge answers by neither yes nor no pass, as
they do when docrag answers. The index is only read; make it with ``docrag index FOLDER --index DIR``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TextIO

import numpy as np

from docrag import DocRAG
from docrag.answer.context import Context, Viewer
from docrag.answer.one_pass import fragments, render_with
from docrag.answer.options import SinglePassOptions
from docrag.answer.run import Run, RunParts
from docrag.answer.single_pass import PROMPT
from docrag.answer.sufficiency import judge_sufficiency
from docrag.chat.events import SILENCE
from docrag.chat.messages import system
from docrag.chat.prompts import Prompts
from docrag.config import load_settings
from docrag.errors import DocragError, UsageError
from docrag.evaluation.binary_scores import (
    PASSING,
    Bools,
    area_interval,
    balanced_accuracy,
    best_threshold,
    calibration_error,
    held_out_passes,
    passing_columns,
    reliability,
)
from docrag.evaluation.bootstrap import Floats, bootstrap, paired_difference
from docrag.evaluation.dataset import Question, load_dataset
from docrag.models.build import build_chats
from docrag.pipeline.pictures import FilePictures
from docrag.pipeline.settings import Settings
from docrag.types import Document, Hit, PageRef, Scope, UnitRef

Gold = Literal["any", "all"]
Shown = Literal["retrieved", "evidence", "other"]
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SHARES_LOST = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Where the ROC curve is read: what is caught when so much sufficient evidence may be lost."""
N_FOLDS = 5
MAX_FAILURES = 3
"""Failed questions in a row after which the run ends: the server is gone, or nothing fits it."""
PROGRESS_EVERY = 10


@dataclass(frozen=True)
class Judged:
    """One call: what was shown, whether that suffices, and what the judge said; `error` says why nothing."""

    id: str
    doc: str
    shown: Shown
    pages: list[tuple[str, int]]
    any_gold: bool
    all_gold: bool
    p_sufficient: float | None = None
    judged_by: str | None = None
    p_yes_or_no: float | None = None
    elapsed_ms: float = 0.0
    error: str | None = None

    def is_sufficient(self, gold: Gold) -> bool:
        """Whether a page of the evidence was shown, or all of them were."""
        return self.all_gold if gold == "all" else self.any_gold


class Bench:
    """Puts questions to the judge, over one index with one set of settings."""

    def __init__(self, rag: DocRAG, options: SinglePassOptions, *, scope: str, k: int, seed: int) -> None:
        if rag.settings.models is None:
            raise UsageError("no model to measure; name it with --base-url URL --model NAME, or in --config")
        self._rag, self._scope, self._k, self._seed = rag, scope, k, seed
        self._prompt_options = options.prompt.model_copy(update={"sufficiency": "call"})
        self._documents = rag.documents()
        self._by_name = {name: d for d in self._documents for name in (d.doc, *d.aliases)}
        self._viewer = Viewer(rag.corpus, FilePictures(self._documents, rag.folder), options.context)
        self._runs = RunParts(
            build_chats(rag.settings.models), Prompts(rag.settings.prompts), rag.settings.budget
        )

    def check(self, questions: Sequence[Question]) -> None:
        """Raise `docrag.errors.UsageError` when a question's document is not in the index."""
        missing = sorted({q.doc for q in questions} - self._by_name.keys())
        if missing:
            raise UsageError(
                f"{self._rag.index_dir}: {len(missing)} documents of the data set are not in the index, such"
                f' as "{missing[0]}"; index them with: docrag index DATASET_DIR/documents --index DIR'
            )

    def judge(self, question: Question, *, control: bool) -> Iterator[Judged]:
        """Judge what retrieval shows, then with `control` the evidence's pages and as many of others."""
        where = Scope(docs=(question.doc,)) if self._scope == "document" else Scope()
        yield self._judge(question, "retrieved", self._rag.search(question.text, k=self._k, scope=where).hits)
        if control and question.is_answerable:
            own = self._by_name[question.doc]
            evidence = [self._page(own, n) for n in question.evidence_pages[: self._k]]
            yield self._judge(question, "evidence", evidence)
            if other := self._other_pages(question, len(evidence)):
                yield self._judge(question, "other", other)

    def _judge(self, question: Question, shown: Shown, hits: Sequence[Hit]) -> Judged:
        run = self._runs.start(SILENCE)
        units: list[UnitRef] = []
        probability = error = None
        try:
            context = self._context(run, question.text, hits)
            units = [evidence.hit.unit for evidence in context.evidence]
            probability = judge_sufficiency(run, question.text, context)
        except DocragError as caught:
            error = str(caught)
        steps = [step for step in run.trace.build().steps if step.name == "judge sufficiency"]
        detail = steps[0].detail if steps else {}
        own = self._by_name[question.doc].doc_id
        gold = {PageRef(own, n) for n in question.evidence_pages if question.is_answerable}
        pages = {unit.page for unit in units}
        return Judged(
            question.question_id,
            question.doc,
            shown,
            [(unit.doc, unit.page_no) for unit in units],
            any_gold=bool(gold & pages),
            all_gold=bool(gold) and gold <= pages,
            p_sufficient=probability,
            judged_by=detail.get("judged_by"),
            p_yes_or_no=detail.get("p_yes_or_no"),
            elapsed_ms=round(1000 * steps[0].elapsed_s, 1) if steps else 0.0,
            error=error,
        )

    def _context(self, run: Run, question: str, hits: Sequence[Hit]) -> Context:
        """What the answerer would show; its own instructions take their room, too."""
        inner = fragments(run, self._prompt_options)
        rendered = render_with(run.prompts.get(PROMPT), inner, question=question)
        beside = [system(rendered.system), Context().message(rendered.user)]
        context = self._viewer.show(run, hits, beside=beside)
        if not context.evidence:
            raise UsageError("nothing to show: retrieval found no page, or the pages are not in the index")
        return context

    def _other_pages(self, question: Question, n: int) -> list[Hit]:
        """Pages of documents that are not the question's, the same ones for every model."""
        chance = random.Random(f"{self._seed} {question.question_id}")
        own = self._by_name[question.doc]
        others = [d for d in self._documents if d.doc_id != own.doc_id and d.n_pages_indexed]
        drawn = [chance.choice(others) for _ in range(n)] if others else []
        return [self._page(d, chance.choice(sorted(self._rag.corpus.page_labels(d.doc_id)))) for d in drawn]

    def _page(self, document: Document, page_no: int) -> Hit:
        label = self._rag.corpus.page_labels(document.doc_id).get(page_no, "")
        return Hit(UnitRef(document.doc, page_no, 0, document.doc_id), label, 0.0, {}, "")


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def report(lines: Sequence[Judged], *, gold: Gold, threshold: float) -> str:
    """All figures, in words and tables; `threshold` is the one configured."""
    done = [line for line in lines if line.error is None]
    retrieved = [line for line in done if line.shown == "retrieved"]
    control = [line for line in done if line.shown != "retrieved"]
    parts = [calls(lines)]
    if retrieved:
        parts.append(f"RETRIEVED PAGES, sufficient with {gold} of the evidence's pages among those shown")
        parts.append(figures(retrieved, gold, threshold))
    if control:
        parts.append("CONTROL, the evidence's pages alone against as many pages of other documents")
        parts.append(figures(control, "any", threshold))
        parts.append(pairs(control))
    return "\n\n".join(parts)


def calls(lines: Sequence[Judged]) -> str:
    """How often the judge gave a probability, and what that took."""
    done = [line for line in lines if line.error is None]
    by_word = sum(line.judged_by == "word" for line in done)
    neither = sum(line.p_sufficient is None for line in done)
    ms = [line.elapsed_ms for line in done]
    on_words = [line.p_yes_or_no for line in done if line.p_yes_or_no is not None]
    likely = sum(p > 0.5 for p in on_words)
    n_questions, n_failed = len({line.id for line in lines}), len(lines) - len(done)
    return "\n".join(
        [
            f"{n_questions} questions, {len(lines)} calls, {n_failed} failed",
            f"neither yes nor no: {neither} of {len(done)}; these pass",
            f"without log-probabilities, by the word alone: {by_word} of {len(done)}"
            + ("; between 0 and 1 all thresholds are the same for these" if by_word else ""),
            f"more than half of the first token's probability on yes or no: {likely} of {len(on_words)}"
            + (f"; median share {np.median(on_words):.2f}" if on_words else ""),
            *([f"ms a call: median {np.median(ms):.0f}, p95 {np.percentile(ms, 95):.0f}"] if ms else []),
        ]
    )


def figures(lines: Sequence[Judged], gold: Gold, threshold: float) -> str:
    """Area, thresholds and calibration of some calls."""
    labels = np.array([line.is_sufficient(gold) for line in lines])
    docs = [line.doc for line in lines]
    n = f"{len(lines)} calls about {len(set(docs))} documents, {labels.sum()} with sufficient pages"
    if labels.all() or not labels.any():
        return f"{n}: nothing to tell apart; both kinds are needed"
    passing = np.array([1.0 if line.p_sufficient is None else line.p_sufficient for line in lines])
    judged = np.array([line.p_sufficient is not None for line in lines])
    parts = [n]
    if judged.any():
        sufficient = labels[judged]
        if not sufficient.all() and sufficient.any():
            of_judged = [doc for doc, is_judged in zip(docs, judged, strict=True) if is_judged]
            area = area_interval(passing[judged], sufficient, of_judged)
            parts[0] += f"\nAUC {area.show()}; 0.5 is chance"
        for name, kind in (("sufficient", sufficient), ("insufficient", ~sufficient)):
            if kind.any():
                low, middle, high = np.quantile(passing[judged][kind], [0.1, 0.5, 0.9])
                parts[0] += (
                    f"\nP(sufficient) of {name} pages: median {middle:.3f}, 10-90 % {low:.3f}-{high:.3f}"
                )
        parts.append(calibration(passing[judged], sufficient))
    return "\n\n".join(
        [*parts, thresholds(passing, labels, docs), held_out(passing, labels, docs, threshold)]
    )


def thresholds(passing: Floats, labels: Bools, docs: Sequence[str]) -> str:
    """What fixed thresholds catch and lose, then what can be caught when a share may be lost."""
    rows = [f"{'threshold':>9}  {'insufficient caught':22}  {'sufficient lost':22}  balanced accuracy"]
    for threshold in THRESHOLDS:
        columns = passing_columns(passing >= threshold, labels)
        shown = [f"{bootstrap(columns, docs, s).show():22}" for s in PASSING.values()]
        rows.append(f"{threshold:9.2f}  " + "  ".join(shown).rstrip())
    rows.append("\nROC: losing at most   threshold   catches")
    for share in SHARES_LOST:
        # The highest threshold that stops no more than the share of the sufficient.
        highest = float(np.sort(passing[labels])[int(share * labels.sum())])
        rows.append(f"{share:19.0%}   {highest:9.4f}   {(passing[~labels] < highest).mean():7.3f}")
    return "\n".join(rows)


def held_out(passing: Floats, labels: Bools, docs: Sequence[str], configured: float) -> str:
    """The best threshold, and what thresholds chosen on other documents are worth beside the configured."""
    chosen = f"best balanced accuracy on all of them: threshold {best_threshold(passing, labels):.4f}"
    n_folds = min(N_FOLDS, len(set(docs)))
    if n_folds < 2:
        return f"{chosen}; it cannot be scored on held-out documents, there is but one"
    found = held_out_passes(passing, labels, docs, n_folds)
    ours = passing_columns(found.passes, labels)
    theirs = passing_columns(passing >= configured, labels)
    gain = paired_difference(ours, theirs, docs, balanced_accuracy)
    return "\n".join(
        [
            chosen,
            f"chosen in {n_folds} folds of documents: {', '.join(f'{t:.4f}' for t in found.thresholds)};"
            " on the documents held out:",
            *(f"  {name:18} {bootstrap(ours, docs, s).show()}" for name, s in PASSING.items()),
            f"  balanced accuracy, gain over the configured {configured:g}: {gain.show(signed=True)}",
        ]
    )


def calibration(probabilities: Floats, labels: Bools) -> str:
    """Reliability by bins of ten percentage points, and the expected calibration error."""
    bins = reliability(probabilities, labels)
    rows = [
        f"  {b.low:.1f}-{b.high:.1f}  {b.n:5d}  {b.mean_probability:5.3f}  {b.share_positive:5.3f}"
        for b in bins
    ]
    head = f"expected calibration error {calibration_error(bins):.3f}\n  P            n   mean  sufficient"
    return "\n".join([head, *rows])


def pairs(control: Sequence[Judged]) -> str:
    """How often the evidence of a question gets more than the other pages do for the same question."""
    by_shown = {
        shown: {line.id: line for line in control if line.shown == shown and line.p_sufficient is not None}
        for shown in ("evidence", "other")
    }
    rows, docs = list[tuple[float, float]](), list[str]()
    for question_id, evidence in by_shown["evidence"].items():
        if (other := by_shown["other"].get(question_id)) is not None:
            gap = (evidence.p_sufficient or 0.0) - (other.p_sufficient or 0.0)
            rows.append(((np.sign(gap) + 1) / 2, 1.0))
            docs.append(evidence.doc)
    if not rows:
        return "no question has both"
    share = bootstrap(np.array(rows), docs)
    return f"questions whose evidence gets the higher probability: {share.show()} of {len(rows)}"


# ── the command line ─────────────────────────────────────────────────────────────────────────────────


def settings_of(arguments: argparse.Namespace) -> Settings:
    """What is configured, with the model named on the command line."""
    overrides = [] if arguments.config else ["answer.kind=single-pass"]
    if arguments.base_url or arguments.model:
        overrides += ["models.default.kind=openai"]
        overrides += [f"models.default.base_url={arguments.base_url}"] if arguments.base_url else []
        overrides += [f"models.default.model={arguments.model}"] if arguments.model else []
    return load_settings(arguments.config, overrides=[*overrides, *arguments.set])


def measure(
    bench: Bench, questions: Sequence[Question], *, control: bool, out: TextIO | None
) -> Iterator[Judged]:
    """Judge all questions and yield the lines, telling how far it is; ends early when everything fails."""
    started_s, in_a_row = time.perf_counter(), 0
    for n, question in enumerate(questions, 1):
        for line in bench.judge(question, control=control):
            if out is not None:
                out.write(json.dumps(asdict(line)) + "\n")
                out.flush()
            yield line
            in_a_row = 0 if line.error is None else in_a_row + 1
            if line.error is not None:
                print(f"{line.id}, {line.shown} pages: {line.error}", file=sys.stderr)
            if in_a_row == MAX_FAILURES:
                print(f"{in_a_row} calls failed one after the other; stopped", file=sys.stderr)
                return
        if n % PROGRESS_EVERY == 0 or n == len(questions):
            left_s = (time.perf_counter() - started_s) / n * (len(questions) - n)
            print(f"{n}/{len(questions)} questions, {left_s:.0f} s left", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when no call succeeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--base-url", help="of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", help="name of the model there")
    parser.add_argument(
        "--config", metavar="FILE|PRESET", help="whose models and answer options are measured"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--scope", choices=("document", "collection"), default="document")
    parser.add_argument("--limit", type=int, help="as many questions, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw, and of the control's pages")
    parser.add_argument("--k", type=int, help="pages that are shown; default: answer.n_pages")
    parser.add_argument("--gold", choices=("any", "all"), default="any", help="evidence pages to be shown")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--out", type=Path, metavar="JSONL", help="one line a call")
    arguments = parser.parse_args(argv)
    if any(given is not None and given < 1 for given in (arguments.limit, arguments.k)):
        parser.error("--limit and --k: expected 1 or more")
    settings = settings_of(arguments)
    if not isinstance(options := settings.answer, SinglePassOptions):
        raise UsageError(f"answer.kind is {options.kind}; the judge's own call belongs to single-pass")
    asked = load_dataset(arguments.dataset).questions
    questions = [q for q in asked if q.evidence_pages or not q.is_answerable]
    if len(questions) < len(asked):
        n = len(asked) - len(questions)
        print(f"{n} answerable questions are left out, which have no evidence pages", file=sys.stderr)
    if arguments.limit and arguments.limit < len(questions):
        questions = random.Random(arguments.seed).sample(questions, arguments.limit)
    with DocRAG.open(index=arguments.index, settings=settings) as rag, ExitStack() as stack:
        k = arguments.k or options.n_pages
        bench = Bench(rag, options, scope=arguments.scope, k=k, seed=arguments.seed)
        bench.check(questions)
        out = stack.enter_context(arguments.out.open("w", encoding="utf-8")) if arguments.out else None
        lines = list(measure(bench, questions, control=not arguments.no_control, out=out))
    print(f"{arguments.scope} scope, at most {k} pages, {options.context.modality}")
    print(report(lines, gold=arguments.gold, threshold=options.prompt.sufficiency_threshold))
    return 0 if any(line.error is None for line in lines) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DocragError, OSError) as error:
        sys.exit(f"sufficiency: {error}")
