"""What a judge is shown of a page or region: its text, its picture, or both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from docrag.chat.messages import ImagePart
from docrag.protocols import Corpus, PagePictures
from docrag.types import UnitRef

Show = Literal["text", "image", "both"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A unit as a judge sees it. `digest` is the sha256 of the text and of the picture's bytes."""

    unit: UnitRef
    text: str
    picture: ImagePart | None = None

    @property
    def digest(self) -> str:
        """The same for equal content, whatever the document is called."""
        text = self.text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(f"{len(text)}:".encode())
        digest.update(text)
        digest.update(self.picture.data if self.picture is not None else b"")
        return digest.hexdigest()


class Views:
    """Makes what judges are shown.

    Text is cut after `max_chars` characters. Pictures are rendered at `dpi`; that of a region is cut out of
    its page. Raises ValueError when pictures are to be shown and there are none.
    """

    def __init__(
        self,
        corpus: Corpus,
        pictures: PagePictures | None = None,
        *,
        show: Show = "text",
        max_chars: int = 6_000,
        dpi: float = 100.0,
    ) -> None:
        if show != "text" and pictures is None:
            raise ValueError(f"show is {show!r}, which needs pictures of pages; got none")
        self._corpus = corpus
        self._pictures = pictures if show != "text" else None
        self._with_text = show != "image"
        self._max_chars = max_chars
        self._dpi = dpi

    def shown(self, unit: UnitRef) -> Shown:
        """Return the unit as it is shown; raises `docrag.errors.IngestError` when its picture cannot be made.

        A unit without text is shown as an empty one.
        """
        chunk = self._corpus.chunk(unit) if unit.chunk_no else None
        text = ""
        if self._with_text:
            text = (chunk.text if chunk is not None else self._corpus.page(unit.page).text)[: self._max_chars]
        if self._pictures is None:
            return Shown(unit, text)
        clip = chunk.box if chunk is not None and chunk.boxes else None
        return Shown(unit, text, self._pictures.picture(unit.page, dpi=self._dpi, clip=clip))
