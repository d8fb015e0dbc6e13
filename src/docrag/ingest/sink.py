"""Where pages go: what an `index` run needs of an index writer (`docrag.store.writer.IndexWriter` has it)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from docrag.types import Document, Page, PageFailure


class PageSink(Protocol):
    """One document being written; nothing of it is visible before it is committed."""

    @property
    def pages_done(self) -> Set[int]:
        """Numbers of the pages that are stored, failed ones and those of an interrupted run included."""
        ...

    @property
    def failures(self) -> Sequence[PageFailure]:
        """The failed pages among them."""
        ...

    def add(
        self, pages: Sequence[Page], vectors: NDArray[np.float32] | None, failures: Sequence[PageFailure]
    ) -> None:
        """Store pages and failures, durably; one row of `vectors` per chunk of the pages, in order."""
        ...


SinkT = TypeVar("SinkT", bound=PageSink)


class IndexSink(Protocol[SinkT]):
    """The writer of an index, with the lock held."""

    def documents(self) -> Sequence[Document]:
        """All committed documents."""
        ...

    def draft(self, doc_id: str, *, fingerprint: str) -> SinkT:
        """Resume the draft of these bytes and ingest settings, or start one."""
        ...

    def discard(self, draft: SinkT) -> None:
        """Give a draft up."""
        ...

    def commit(self, draft: SinkT, document: Document) -> None:
        """Make a draft visible in one step, in place of what had its name."""
        ...

    def remove_all(self, docs: Collection[str]) -> None:
        """Hide documents, in one step."""
        ...

    def rename_all(self, names: Mapping[str, str]) -> None:
        """Change names, from old to new, in one step."""
        ...

    def update_files(self, documents: Sequence[Document]) -> None:
        """Note size, time and aliases of the files of documents whose bytes stayed the same, in one step."""
        ...

    def finish(self, *, keep_drafts: Collection[str] | None = None) -> None:
        """Tidy up; `keep_drafts` are the doc_ids whose drafts stay, None keeps all."""
        ...
