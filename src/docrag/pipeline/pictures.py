"""Pictures of pages for chat models, drawn from the original files."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from docrag.chat.messages import ImagePart
from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.protocols import PageSource
from docrag.results.files import open_document
from docrag.types import Document, PageRef, Reason

JPEG_QUALITY = 85
MAX_CACHE_BYTES = 256 * 2**20
"""Some thousand pages at 144 dpi: what a conversation comes back to."""
MAX_OPEN = 4
"""Files held open; opening a large one again costs more than drawing a page of it."""

Key = tuple[PageRef, float, Box | None]


class FilePictures:
    """Draws pages of the documents of one index below `folder`; satisfies `docrag.protocols.PagePictures`.

    Equal arguments give equal bytes: the encoder, its quality and its options are fixed, and encoded
    pictures are kept, the ones used last, up to `max_cache_bytes`. Safe to use from several threads, which
    draw one after the other. `password` opens encrypted files.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        folder: Path | None,
        *,
        password: str | None = None,
        max_cache_bytes: int = MAX_CACHE_BYTES,
    ) -> None:
        self._documents = {document.doc_id: document for document in documents}
        self._folder = folder
        self._password = password
        self._max_cache_bytes = max_cache_bytes
        self._lock = threading.Lock()
        self._cache: OrderedDict[Key, ImagePart] = OrderedDict()
        self._n_cached_bytes = 0
        self._open: OrderedDict[str, PageSource] = OrderedDict()

    def picture(self, ref: PageRef, *, dpi: float, clip: Box | None = None) -> ImagePart:
        """The page, or the part of it inside `clip`, as JPEG.

        Raises
        ------
        IngestError
            The file is gone, has changed since it was indexed or needs a password, or the page cannot be
            drawn; the reason is a `docrag.types.Reason`. Too large a picture is drawn at a lower resolution.
        """
        key = (ref, dpi, clip)
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
                return known
            drawn = self._draw(ref, dpi, clip)
            self._remember(key, drawn)
            return drawn

    def close(self) -> None:
        """Close the files and forget the pictures."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
            self._cache.clear()
            self._n_cached_bytes = 0

    def _draw(self, ref: PageRef, dpi: float, clip: Box | None) -> ImagePart:
        from PIL import Image

        document = self._documents.get(ref.doc_id)
        if document is None:
            raise IngestError(Reason.IO_ERROR, f"the document {ref.doc_id} is not in the index any more")
        source = self._source(document)
        try:
            pixels = source.render(ref.page_no, dpi=dpi, clip=clip)
        except ValueError as error:  # nothing of `clip` lies on the page
            raise IngestError(
                Reason.PAGE_UNREADABLE, f"{document.doc}, page {ref.page_no}: cannot be drawn: {error}"
            ) from error
        buffer = io.BytesIO()
        image = Image.fromarray(pixels)
        image.save(buffer, "JPEG", quality=JPEG_QUALITY)
        return ImagePart(buffer.getvalue(), "image/jpeg", image.width, image.height)

    def _source(self, document: Document) -> PageSource:
        """The file, which stays as it was indexed while it is open, whatever becomes of its name."""
        source = self._open.pop(document.doc_id, None)
        if source is None:
            source = open_document(document, self._folder, self._password)
        self._open[document.doc_id] = source
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)[1].close()
        return source

    def _remember(self, key: Key, picture: ImagePart) -> None:
        self._cache[key] = picture
        self._n_cached_bytes += len(picture.data)
        while self._n_cached_bytes > self._max_cache_bytes and len(self._cache) > 1:
            _, gone = self._cache.popitem(last=False)
            self._n_cached_bytes -= len(gone.data)
