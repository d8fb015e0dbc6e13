"""What `DocRAG.index` does: decide what is read below which folder, and read it into the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from docrag.errors import DocragError, UsageError
from docrag.ingest.events import Event
from docrag.ingest.folder import scan
from docrag.ingest.options import IngestOptions
from docrag.ingest.plan import make_plan
from docrag.ingest.report import IndexReport
from docrag.ingest.run import index_paths
from docrag.pipeline import location
from docrag.protocols import TextEmbedder
from docrag.store import manifest
from docrag.store.writer import IndexWriter
from docrag.types import Document


def what_to_read(
    index_dir: Path, asked: Sequence[Path], *, opened: Sequence[Path]
) -> tuple[list[Path], Path]:
    """Paths to bring the index in line with, and the folder that documents are named below.

    Nothing `asked` is the whole folder of the index. Names in a new index count from what was `opened`.
    Called before an index is made, so that a wrong path leaves none.

    Raises
    ------
    UsageError
        A path is missing, is an index, or lies outside the folder.
    DocragError
        There is no folder known, or no PDF below the paths and no index yet.
    """
    folder = location.folder_of(index_dir)
    paths = list(asked)
    for path in paths:
        if manifest.exists(path):
            about = location.folder_of(path)
            where = f": {about}" if about is not None else ""
            raise UsageError(f"{path}: is an index; name the folder of its documents{where}")
    if not paths:
        if folder is None:
            raise DocragError(f"{index_dir}: no folder is known for this index; name what to index")
        paths = [folder]
    if folder is None:
        folder = location.around(opened or paths)
    found = scan(paths, root=folder)
    if not (found.files or found.unusable or manifest.exists(index_dir)):
        names = ", ".join(map(str, paths))
        raise DocragError(f"{names}: no PDF found; name a folder that holds some, or PDF files")
    return paths, folder


def not_taken_in(index_dir: Path, paths: Sequence[Path], documents: Sequence[Document]) -> list[str]:
    """Names of what below `paths` is new, changed, renamed or gone beside the `documents` of the index."""
    asked, folder = what_to_read(index_dir, paths, opened=paths)
    plan = make_plan(scan(asked, root=folder), documents)
    names = {*(a.file.doc for a in plan.additions), *(d.doc for d in plan.removals)}
    for keep in plan.kept:
        names |= {keep.name, *keep.aliases} ^ {keep.document.doc, *keep.document.aliases}
    return sorted(names)


def read_into(
    index_dir: Path,
    paths: Sequence[Path],
    *,
    folder: Path,
    options: IngestOptions,
    embedder: TextEmbedder | None,
    password: str | None,
    force: bool,
    on_event: Callable[[Event], None],
) -> IndexReport:
    """Read what changed below `paths`; the report counts files that stay as other options read them.

    Raises
    ------
    IndexLocked, EncoderMismatch, IndexFormatError, StorageError
        The index cannot be written; what is committed is intact.
    """
    with IndexWriter(
        index_dir,
        owner="docrag index",
        text_encoder=embedder.identity if embedder is not None else None,
    ) as writer:
        location.record_folder(index_dir, folder)
        report = index_paths(
            paths,
            writer=writer,
            root=folder,
            options=options,
            embedder=embedder,
            password=password,
            force=force,
            on_event=on_event,
        )
        fingerprint = options.fingerprint()
        unchanged = [f.doc for f in report.files if f.status == "unchanged" and not f.reason]
        n_otherwise = sum(writer.fingerprint(doc) != fingerprint for doc in unchanged)
    return replace(report, n_read_otherwise=n_otherwise)
