"""``docrag eval``: run every question of a data set, write one line each, and print the metrics."""

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
    task: Annotated[TaskName, typer.Option("--task", help="Rank pages, or answer.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="JSONL", help="Result lines; a rerun continues them.")
    ],
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
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure retrieval or answers on a data set, indexing its documents first where needed."""
    from docrag.config import load_settings
    from docrag.evaluation import run
    from docrag.evaluation.dataset import default_index, load_dataset
    from docrag.pipeline import DocRAG

    output = Output(as_json=as_json, quiet=quiet)
    settings = load_settings(config, overrides=set_ or ())
    dataset = load_dataset(dataset_dir, documents=documents)
    index_dir = index_dir or default_index(dataset.documents_folder)
    with DocRAG.open(dataset.documents_folder, index=index_dir, settings=settings) as rag:
        report = run_index(rag, list(dataset.paths), output)
        run_visual_pass(rag, output)
        output.note(f"{rag.index_dir}: {summary(report)}")
        result = run.evaluate(
            dataset,
            _task(rag, task),
            scope=scope.value,
            out=out,
            settings=_identity(rag),
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


def _task(rag: DocRAG, name: TaskName) -> Task:
    from docrag.evaluation.tasks import AnswerTask, RetrievalTask
    from docrag.types import Query

    def rank(query: Query, k: int) -> list[tuple[str, int]]:
        hits = rag.search(query.text, k=k, unit=query.unit, scope=query.scope).hits
        return [(hit.doc, hit.page_no) for hit in hits]

    if name is TaskName.RETRIEVAL:
        return RetrievalTask(rank)
    return AnswerTask(lambda query: rag.ask(query.text, scope=query.scope))


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
