"""What the report says of documents: those that were kept, removed or read, and their copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from docrag.ingest.plan import Keep, Plan
from docrag.ingest.report import FileResult, FileStatus
from docrag.types import Document, Reason


def kept_results(keep: Keep) -> Iterator[FileResult]:
    """The document that was kept, renamed or not, then its copies."""
    document = keep.document
    is_renamed = keep.name != document.doc
    message = f"was {document.doc}" if is_renamed else ""
    yield document_result(document, keep.name, "renamed" if is_renamed else "unchanged", None, message)
    for alias in keep.aliases:
        is_known = alias in document.aliases or alias == document.doc
        yield duplicate_result(document, alias, "unchanged" if is_known else "indexed", original=keep.name)


def removed_results(plan: Plan, before: Sequence[Document]) -> Iterator[FileResult]:
    """Every name that documents had and have no longer; the file of one may be there with other bytes."""
    kept = {keep.document.doc_id: keep for keep in plan.kept}
    for document in before:
        keep = kept.get(document.doc_id)
        still = {keep.name, *keep.aliases} if keep is not None else set[str]()
        for name in (document.doc, *document.aliases):
            if keep is None:
                yield FileResult(name, document.doc_id, "removed")
            elif name not in still:
                message = f"had the same bytes as {keep.name}"
                yield FileResult(
                    name, document.doc_id, "removed", Reason.DUPLICATE_OF, message, duplicate_of=keep.name
                )


def document_result(
    document: Document, name: str, status: FileStatus, reason: Reason | None, message: str
) -> FileResult:
    """What is said of a document under one of its names."""
    return FileResult(
        name,
        document.doc_id,
        status,
        reason,
        message,
        document.n_pages,
        document.n_pages_indexed,
        document.failures,
        notes=document.notes,
    )


def duplicate_result(document: Document, alias: str, status: FileStatus, *, original: str = "") -> FileResult:
    """What is said of a copy; `original` is the present name of what it is a copy of."""
    original = original or document.doc
    message = f"the same bytes as {original}"
    result = document_result(document, alias, status, Reason.DUPLICATE_OF, message)
    return replace(result, duplicate_of=original)
