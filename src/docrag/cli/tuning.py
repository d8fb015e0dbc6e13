"""``docrag eval --tune``: its progress, and the file of settings that it writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docrag.cli.output import Output
from docrag.cli.progress import PLAIN_INTERVAL_S, counted, duration
from docrag.errors import UsageError

if TYPE_CHECKING:
    from docrag.evaluation.dataset import Dataset
    from docrag.evaluation.run import EvalScope
    from docrag.pipeline import DocRAG
    from docrag.pipeline.settings import Settings
    from docrag.pipeline.tuning import TuningProgress
    from docrag.pipeline.tuning_report import TuningReport

_NAMES = {"r": "R", "recall": "R", "hit": "hit", "mrr": "MRR", "ndcg": "nDCG"}


def metric_named(name: str) -> str:
    """The metric that is meant by ``recall@5``, ``R@5`` or ``ndcg@5``; UsageError when there is none."""
    from docrag.evaluation.ranking_metrics import RANKING_METRICS

    kind, at, depth = name.strip().partition("@")
    found = f"{_NAMES.get(kind.lower(), kind)}{at}{depth}"
    if found not in RANKING_METRICS:
        raise UsageError(f'--metric "{name}" is not known; expected one of: {", ".join(RANKING_METRICS)}')
    return found


def tune(
    rag: DocRAG,
    dataset: Dataset,
    output: Output,
    *,
    settings: Settings,
    scope: EvalScope,
    metric: str,
    n_folds: int,
    keep: float | None,
    out_config: Path | None,
) -> None:
    """Tune retrieval, print the report, and write or print the settings.

    `rag` searches as `before_reranking` has it, `settings` are what is written but for what is fitted.
    """
    from docrag.pipeline.tuned_config import config_text, write_config
    from docrag.pipeline.tuning import tune_retrieval

    with tuning_progress(output) as on_progress:
        report = tune_retrieval(
            dataset,
            rag.corpus,
            lambda query, k: rag.search(query.text, k=k, unit=query.unit, scope=query.scope),
            settings.retrieval,
            scope=scope,
            metric=metric,
            n_folds=n_folds,
            keep=keep,
            on_progress=on_progress,
        )
    for question_id, why in report.failed.items():
        output.warn(f"question {question_id} failed and counts as wrong: {why}")
    text = config_text(settings, report.options, comments=_comments(report, dataset, out_config))
    if out_config is not None:
        write_config(out_config, text)
    if output.as_json:
        path = str(out_config) if out_config is not None else None
        output.json(report.to_dict() | {"config": text, "config_file": path})
    else:
        output.print(report.to_text())
        output.print(
            f"\nsettings written to {out_config}" if out_config is not None else f"\n{text.rstrip()}"
        )


def before_reranking(settings: Settings, output: Output) -> Settings:
    """`settings` without what reorders the fused ranking: it is slow, and not what is fitted."""
    from docrag.retrieve.rerank.options import RerankOptions

    retrieval = settings.retrieval
    names = [f"rerank.{step.kind}" for step in retrieval.rerank.steps]
    names += ["guided_query"] if retrieval.guided_query is not None else []
    for name in names:
        output.warn(f"retrieval.{name} is left out of the tuning: what is fitted is the ranking before it")
    without = retrieval.model_copy(update={"rerank": RerankOptions(), "guided_query": None})
    return settings.model_copy(update={"retrieval": without})


def _comments(report: TuningReport, dataset: Dataset, out_config: Path | None) -> list[str]:
    from importlib.metadata import version

    return [
        f"on {dataset.folder.resolve().name}, docrag {version('docrag')}.",
        *report.to_lines(),
        f"Use it with: docrag search QUERY --config {out_config or 'FILE'}",
    ]


@contextmanager
def tuning_progress(
    output: Output, *, clock: Callable[[], float] = time.monotonic
) -> Generator[Callable[[TuningProgress], None]]:
    """Yield the function that takes the progress of a tuning run and shows it until the block ends."""
    if output.quiet:
        yield lambda _progress: None
    elif output.stderr.is_terminal:
        with _bar(output) as show:
            yield show
    else:
        next_s = clock() + PLAIN_INTERVAL_S

        def print_line(progress: TuningProgress) -> None:
            nonlocal next_s
            if clock() >= next_s:
                next_s = clock() + PLAIN_INTERVAL_S
                output.note(describe(progress))

        yield print_line


def describe(progress: TuningProgress) -> str:
    """``ranking: 120/246 questions, 8 s left`` or ``choosing: fold 2 of 5, 37 settings measured``."""
    if progress.phase == "ranking":
        left_s = progress.elapsed_s / max(progress.n_done, 1) * (progress.n_total - progress.n_done)
        return f"ranking: {progress.n_done}/{progress.n_total} questions, {duration(left_s)} left"
    settings = counted(progress.n_settings, "setting")
    return f"choosing: {progress.n_done} of {progress.n_total} choices made, {settings} measured"


@contextmanager
def _bar(output: Output) -> Generator[Callable[[TuningProgress], None]]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.fields[text]}", markup=False))
    with Progress(*columns, console=output.stderr, transient=True) as bar:
        task = bar.add_task("", total=None, text="loading")

        def show(progress: TuningProgress) -> None:
            bar.update(task, total=progress.n_total, completed=progress.n_done, text=describe(progress))

        yield show
