"""``docrag eval``: run every question of a data set and print the metrics, or tune retrieval on it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from docrag.cli.index import run_index, run_visual_pass, summary
from docrag.cli.options import ConfigOption, JsonOption, QuietOption, SetOption
from docrag.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from docrag.evaluation.run import Progress
    from docrag.evaluation.tasks import Task
    from docrag.pipeline import DocRAG

PROGRESS_EVERY = 20
EXIT_SOME_FAILED = 2
DEFAULT_METRIC = "recall@5"


class TaskName(StrEnum):
    """What is measured."""

    RETRIEVAL = "retrieval"
    ANSWERS = "answers"


class ScopeName(StrEnum):
    """Where a question may look."""

    DOCUMENT = "document"
    COLLECTION = "collection"


def evaluate(
    dataset_dir: Annotated[Path, typer.Argument(help="Folder with questions.jsonl and documents/*.pdf.")],
    task: Annotated[TaskName | None, typer.Option("--task", help="Rank pages, or answer.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="JSONL", help="Result lines; a rerun continues them.")
    ] = None,
    scope: Annotated[
        ScopeName, typer.Option("--scope", help="Look into the question's document, or into all.")
    ] = ScopeName.DOCUMENT,
    index_dir: Annotated[
        Path | None,
        typer.Option("--index", metavar="DIR", help="Folder of the index.  [default: in the user's cache]"),
    ] = None,
    documents: Annotated[
        Path | None, typer.Option("--documents", metavar="DIR", help="Folder of the PDFs, when elsewhere.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help="Ask the first N questions of the file only; a rerun with a higher N adds the next ones.",
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Fit weights of retrieval instead, by cross-validation over documents."),
    ] = False,
    out_config: Annotated[
        Path | None,
        typer.Option("--out-config", metavar="YAML", help="With --tune: write the settings to this file."),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", help="With --tune: what to maximise, such as recall@5 or MRR@10.")
    ] = DEFAULT_METRIC,
    folds: Annotated[int, typer.Option("--folds", help="With --tune: parts of the documents.")] = 5,
    keep: Annotated[
        float | None,
        typer.Option(
            "--cutoff-keeps",
            metavar="SHARE",
            min=0,
            max=1,
            help="With --tune: also fit a cut-off, the one that shows the fewest pages and keeps this share "
            "of Recall@10, such as 0.97.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure retrieval or answers on a data set, indexing its documents first where needed."""
    from docrag.cli import tuning
    from docrag.config import load_settings
    from docrag.evaluation import run
    from docrag.evaluation.dataset import default_index, load_dataset
    from docrag.pipeline import DocRAG
    from docrag.pipeline.tuned_config import check_writable
    from docrag.pipeline.tuning import labelled

    aim = tuning.metric_named(metric)
    asked: tuple[TaskName, Path] | None = None
    if tune:
        _check_tuning(task, out, fresh=fresh, limit=limit)
        if out_config is not None:
            check_writable(out_config)
    else:
        asked = _check_run(task, out, is_tuned=out_config is not None or keep is not None)
    output = Output(as_json=as_json, quiet=quiet)
    settings = load_settings(config, overrides=set_ or ())
    dataset = load_dataset(dataset_dir, documents=documents)
    if tune:
        labelled(dataset, folds)  # what is wrong with the labels is said before hours of indexing
    index_dir = index_dir or default_index(dataset.documents_folder)
    searched = tuning.before_reranking(settings, output) if tune else settings
    with DocRAG.open(dataset.documents_folder, index=index_dir, settings=searched) as rag:
        report = run_index(rag, list(dataset.paths), output)
        run_visual_pass(rag, output)
        output.note(f"{rag.index_dir}: {summary(report)}")
        if asked is None:
            tuning.tune(
                rag,
                dataset,
                output,
                settings=settings,
                scope=scope.value,
                metric=aim,
                n_folds=folds,
                keep=keep,
                out_config=out_config,
            )
            return
        n_all = len(dataset.questions)
        if limit is not None and limit < n_all:
            output.note(f"the first {limit} of {n_all} questions; without --limit a rerun adds the others")
        result = run.evaluate(
            dataset,
            _task(rag, asked[0]),
            scope=scope.value,
            out=asked[1],
            settings=_identity(rag),
            limit=limit,
            indexed={name for document in rag.documents() for name in (document.doc, *document.aliases)},
            fresh=fresh,
            on_progress=_progress(output),
        )
    if as_json:
        output.json(result.to_dict())
    else:
        output.print(result.to_text())
    if result.n_failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _check_tuning(task: TaskName | None, out: Path | None, *, fresh: bool, limit: int | None) -> None:
    from docrag.errors import UsageError

    if task is TaskName.ANSWERS:
        raise UsageError("--tune fits retrieval; it goes with --task retrieval, or without --task")
    if out is not None or fresh:
        raise UsageError("--tune writes no result lines; leave --out and --fresh, or name --out-config FILE")
    if limit is not None:
        raise UsageError("--tune fits to all questions; leave --limit")


def _check_run(task: TaskName | None, out: Path | None, *, is_tuned: bool) -> tuple[TaskName, Path]:
    from docrag.errors import UsageError

    if is_tuned:
        raise UsageError("--out-config and --cutoff-keeps go with --tune; add it, or leave them")
    if task is None:
        raise UsageError("what to measure is missing; name it with --task retrieval or --task answers")
    if out is None:
        raise UsageError("where to write result lines is missing; name a file with --out FILE.jsonl")
    return task, out


def _task(rag: DocRAG, name: TaskName) -> Task:
    from docrag.evaluation.tasks import AnswerTask, RetrievalTask
    from docrag.types import Query

    def rank(query: Query, k: int) -> list[tuple[str, int]]:
        hits = rag.search(query.text, k=k, unit=query.unit, scope=query.scope).hits
        return [(hit.doc, hit.page_no) for hit in hits]

    other_names = {document.doc: document.aliases for document in rag.documents()}
    if name is TaskName.RETRIEVAL:
        return RetrievalTask(rank, other_names=other_names)
    return AnswerTask(lambda query: rag.ask(query.text, scope=query.scope), other_names=other_names)


def _identity(rag: DocRAG) -> dict[str, Any]:
    """Everything beside the data set that decides the lines."""
    from importlib.metadata import version

    return {
        "docrag": version("docrag"),
        "config": rag.settings.model_dump(mode="json", exclude={"ingest": {"n_workers"}}),
        "documents": {document.doc: document.doc_id for document in rag.documents()},
    }


def _progress(output: Output) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        from docrag.cli.progress import duration

        if progress.n_done % PROGRESS_EVERY and progress.n_done != progress.n_total:
            return
        left = f", {duration(progress.eta_s)} left" if progress.eta_s else ""
        failed = f", {progress.n_failed} failed" if progress.n_failed else ""
        output.note(f"{progress.n_done}/{progress.n_total} questions{left}{failed}")

    return show
