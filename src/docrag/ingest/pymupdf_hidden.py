"""What MuPDF says about text that is not seen: how a span is painted, annotations, layers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pymupdf

from docrag.ingest.hidden_text import MIN_LETTERS, OPAQUE, TINY_PT, HiddenKind, is_light, n_letters_of

_PAINTED = 16 | 32 | 64  # bits of a span's char_flags: filled, stroked, used as a clip (fz_stext_char)
_NOT_SHOWN = 1 | 2 | 32  # annotation flags invisible, hidden, no view (ISO 32000-1, table 165)


def why_unseen(span: Mapping[str, Any]) -> HiddenKind | None:
    """Why a span of text would not be seen on white paper, None when it would."""
    if not span["char_flags"] & _PAINTED or span["alpha"] < OPAQUE:
        return "invisible"
    if span["size"] < TINY_PT:
        return "tiny"
    color = int(span["color"])
    return "no_contrast" if is_light(color >> 16 & 0xFF, color >> 8 & 0xFF, color & 0xFF) else None


class UnshownText:
    """Finds text that MuPDF does not give with a page: in annotations, and on layers switched off."""

    def __init__(self, doc: pymupdf.Document, path: Path, *, password: str) -> None:
        self._doc = doc
        self._path = path
        self._password = password

    def kinds(self, page_no: int, page: pymupdf.Page) -> set[HiddenKind]:
        """Kinds of such text on a page, which is PyMuPDF's own object for `page_no`."""
        found: set[HiddenKind] = set()
        if page.first_annot is not None:
            contents = [
                str(annotation.info.get("content", ""))
                for annotation in page.annots()
                if annotation.flags & _NOT_SHOWN
            ]
            if n_letters_of("".join(contents)) >= MIN_LETTERS:
                found.add("annotation")
        if self._layered is not None:
            shown, every = (str(p.get_text()) for p in (page, self._layered.load_page(page_no - 1)))
            if n_letters_of(every) - n_letters_of(shown) >= MIN_LETTERS:
                found.add("layer_off")
        return found

    @cached_property
    def _layered(self) -> pymupdf.Document | None:
        """The document with all its layers switched on, None when they are anyway."""
        mupdf: Any = vars(pymupdf)["mupdf"]
        try:
            if all(layer["on"] for layer in self._doc.get_ocgs().values()):
                return None
            other = pymupdf.open(str(self._path), filetype="pdf")
            if other.needs_pass:
                other.authenticate(self._password)
            pdf = mupdf.pdf_document_from_fz_document(other.this)
            for layer in range(int(mupdf.pdf_count_layers(pdf))):
                mupdf.pdf_enable_layer(pdf, layer, 1)
        except Exception:  # damaged layers must not cost the page
            return None
        return other

    def close(self) -> None:
        """Release the file if it was opened a second time."""
        layered = self.__dict__.get("_layered")
        if layered is not None:
            layered.close()
