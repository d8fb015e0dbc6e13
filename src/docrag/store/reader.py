"""Reading an index: documents, pages, full-text search and vector search over one committed state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from docrag.errors import EncoderMismatch
from docrag.protocols import EncoderIdentity
from docrag.store import fulltext, manifest
from docrag.store.durable import storage_errors
from docrag.store.manifest import Manifest
from docrag.store.selection import Place, select
from docrag.store.snapshot import Snapshot
from docrag.types import Chunk, Document, Page, PageRef, RegionKind, Scope, Scored, Unit, UnitRef

T = TypeVar("T")
_log = logging.getLogger(__name__)


class IndexReader:
    """A committed state of the index in `path`; satisfies `docrag.protocols.Corpus`.

    It does not change under the caller: `refresh` moves on to the newest commit. Only a reader that stayed on
    its commit while the index was tidied an hour or more later (`docrag.store.tidy.RETENTION_S`) moves on by
    itself, since the files are gone. It may be used from several threads.

    Raises `IndexMissing` when there is no index, `IndexFormatError` when this docrag cannot read it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._snapshot = Snapshot(self.path, manifest.read(self.path))

    def __enter__(self) -> IndexReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was read into memory; a reader holds no lock."""
        self._snapshot.forget()

    def refresh(self) -> bool:
        """Move on to the newest committed state; return whether there was a newer one."""
        fresh = Snapshot(self.path, manifest.read(self.path))
        is_newer = fresh.versions != self._snapshot.versions
        if is_newer:
            self._snapshot = fresh
        return is_newer

    @property
    def manifest(self) -> Manifest:
        """Format, encoder and full-text settings of the index."""
        return self._snapshot.manifest

    def check_encoder(self, encoder: EncoderIdentity) -> None:
        """Raise `EncoderMismatch` unless the index holds vectors of exactly this encoder."""
        manifest.check_encoder(self.path, self.manifest, encoder)

    def ingest_ids(self) -> Mapping[str, str]:
        """Id of the ingest that is committed, by doc_id: rows and segments of any other are not visible."""
        return self._snapshot.ingest_id_of

    # ── documents and pages ──────────────────────────────────────────────────────────────────────────

    def documents(self) -> Sequence[Document]:
        """All committed documents, sorted by name."""
        return self._snapshot.documents

    def select(self, scope: Scope) -> Sequence[Document]:
        """Documents that the scope's `docs` and `metadata` admit, sorted by name.

        Raises `UsageError` with what is nearest for a name, pattern or metadata that matches no document.
        """
        return select(self._snapshot.documents, scope)

    def page(self, ref: PageRef) -> Page:
        """A page with its words, regions and chunks; KeyError when it is not in the index."""
        return self.read_pages([ref])[ref]

    def read_pages(self, refs: Iterable[PageRef]) -> Mapping[PageRef, Page]:
        """Several pages at the price of one, each once; KeyError when one is not in the index."""
        wanted = list(refs)
        return self._read(lambda snapshot: snapshot.read_pages(wanted))

    def chunk(self, unit: UnitRef) -> Chunk:
        """A chunk of a page; KeyError when it is not in the index."""
        for chunk in self.page(unit.page).chunks:
            if chunk.chunk_no == unit.chunk_no:
                return chunk
        raise KeyError(f"{unit.doc} page {unit.page_no} has no chunk {unit.chunk_no}")

    def page_labels(self, doc_id: str) -> Mapping[int, str]:
        """Printed label by page number, in page order; KeyError when there is no such document."""
        return self._read(lambda snapshot: snapshot.labels[doc_id])

    def chunk_kinds(self, doc_id: str) -> Mapping[tuple[int, int], RegionKind]:
        """Kind of every chunk of a document, by page number and chunk number; KeyError without such one."""
        return self._read(lambda snapshot: snapshot.chunk_kinds[doc_id])

    # ── search ───────────────────────────────────────────────────────────────────────────────────────

    def search_text(self, text: str, *, unit: Unit, scope: Scope, k: int) -> list[Scored]:
        """BM25 over pages or chunks, best first; units that share no term with the query are absent.

        Term statistics are those of the whole index, whatever the scope.
        """

        def search(snapshot: Snapshot) -> list[Scored]:
            docs = select(snapshot.documents, scope)
            if k <= 0 or not docs or () in (scope.pages, scope.kinds):
                return []
            return fulltext.search(snapshot, text, Place(docs, scope.pages, scope.kinds), unit=unit, k=k)

        return self._read(search)

    def search_vector(self, vector: NDArray[np.float32], *, scope: Scope, k: int) -> list[Scored]:
        """Cosine similarity of `vector` ``(dim,)`` to every chunk's vector, best first.

        Raises `EncoderMismatch` when the index has no vectors, or vectors of another dimension.
        """

        def search(snapshot: Snapshot) -> list[Scored]:
            docs = select(snapshot.documents, scope)
            vectors = snapshot.vectors
            dim = vectors.matrix.shape[1] if vectors is not None else None
            if vectors is None or vector.shape != (dim,):
                held = "none" if dim is None else f"vectors of dim {dim}"
                raise EncoderMismatch(
                    f"{self.path}: got a query vector of shape {vector.shape}, the index holds {held}; "
                    "configure the encoder of the index, or index again with another --index"
                )
            return vectors.search(vector, Place(docs, scope.pages, scope.kinds), k=k)

        return self._read(search)

    def _read(self, use: Callable[[Snapshot], T]) -> T:
        """Use the snapshot, or the newest one when files of this one were deleted meanwhile."""
        try:
            return use(self._snapshot)
        except (OSError, RuntimeError) as error:
            if not self.refresh():
                with storage_errors(self.path, "reading"):
                    raise
            _log.info("files of an old version are gone (%s); moved on to the newest", error)
        with storage_errors(self.path, "reading"):
            return use(self._snapshot)
