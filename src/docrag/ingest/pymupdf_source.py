"""PDF pages read by PyMuPDF 2 (AGPL or commercial licence)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pymupdf
from numpy.typing import NDArray

from docrag.errors import IngestError
from docrag.geometry import Box, union_box
from docrag.ingest.hidden_text import (
    HiddenKind,
    Mark,
    Suspicion,
    covered_text,
    hidden_kinds,
    n_letters_of,
    odd_characters,
    off_page_text,
)
from docrag.ingest.lines import is_right_to_left
from docrag.ingest.pixels import MAX_IMAGE_PIXELS, fitted_dpi
from docrag.ingest.pymupdf_hidden import UnshownText, why_unseen
from docrag.ingest.report import DAMAGED
from docrag.ingest.words import clean_text
from docrag.protocols import RawPage, RawWord
from docrag.types import OutlineEntry, Reason

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)

# Ligatures are left to MuPDF to split; text outside the page is dropped; a character without a Unicode
# value becomes U+FFFD, which `RawPage.n_unmapped` counts.
_TEXT_FLAGS = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP
_BOLD = 16  # bit 4 of a span's flags (PyMuPDF documentation, "Font flags")
_UNKNOWN = "\ufffd"
_TOUCHING_EM = 0.1  # characters of one word; a space is 0.2 font sizes wide or more


def _was_cut(before: RawWord, word: RawWord) -> bool:
    """Whether MuPDF ended a word only because the direction of the script changed within it."""
    if before.line_no != word.line_no or (before.text.isascii() and word.text.isascii()):
        return False
    if is_right_to_left(before.text) == is_right_to_left(word.text):
        return False
    gap = max(word.box.x0 - before.box.x1, before.box.x0 - word.box.x1)
    return -0.5 <= gap / max(word.font_size_pt, 1.0) <= _TOUCHING_EM


class PyMuPdfSource:
    """A document opened with PyMuPDF.

    Raises `IngestError`: ``encrypted`` without the right password, ``zero_pages`` when MuPDF finds none
    (it does not call that an error), ``xref_unrecoverable`` when it cannot open the file.
    """

    parser = "pymupdf"

    def __init__(self, path: Path, *, password: str | None = None) -> None:
        self._name = path.name
        try:
            self._doc = pymupdf.open(str(path), filetype="pdf")
        except Exception as error:  # MuPDF's own classes, RuntimeError and ValueError: each means the same
            raise IngestError(
                Reason.XREF_UNRECOVERABLE, f"{self._name}: MuPDF cannot open it ({error})"
            ) from error
        if not self._doc.is_pdf:
            self._doc.close()
            raise IngestError(Reason.NOT_PDF, f"{self._name}: not a PDF; convert it to PDF first")
        if self._doc.needs_pass and not self._doc.authenticate(password or ""):
            self._doc.close()
            what = "is wrong" if password else "is needed"
            raise IngestError(Reason.ENCRYPTED, f"{self._name}: a password {what}; pass it with --password")
        try:
            self.n_pages: int = self._doc.page_count
        except Exception as error:
            self._doc.close()
            raise IngestError(
                Reason.XREF_UNRECOVERABLE, f"{self._name}: MuPDF cannot find its pages ({error})"
            ) from error
        if self.n_pages < 1:
            self._doc.close()
            raise IngestError(Reason.ZERO_PAGES, f"{self._name}: MuPDF finds no page in it")
        self.metadata: Mapping[str, str] = {
            key.lower(): clean_text(str(value)) for key, value in (self._doc.metadata or {}).items() if value
        }
        self.title = self.metadata.get("title", "")
        self.outline: Sequence[OutlineEntry] = self._read_outline()
        self.notes: Sequence[str] = (DAMAGED,) if self._doc.is_repaired else ()
        self._unshown = UnshownText(self._doc, path, password=password or "")
        self._page_no: int | None = None
        self._page: Any = None
        self._display_list: Any = None

    def _read_outline(self) -> list[OutlineEntry]:
        try:
            entries = cast(list[list[Any]], self._doc.get_toc(simple=True))
        except Exception:  # a damaged outline must not cost the document
            return []
        return [
            OutlineEntry(int(level), clean_text(str(title)), int(page_no))
            for level, title, page_no in entries
            if 1 <= int(page_no) <= self.n_pages
        ]

    def _load(self, page_no: int) -> None:
        if page_no == self._page_no:
            return
        if not 1 <= page_no <= self.n_pages:
            raise ValueError(f"{self._name}: page {page_no} of {self.n_pages}")
        self._page_no = None
        try:
            self._page = self._doc.load_page(page_no - 1)
            self._display_list = self._page.get_displaylist()
        except Exception as error:
            raise IngestError(
                Reason.PAGE_UNREADABLE, f"{self._name}: page {page_no}: MuPDF cannot load it ({error})"
            ) from error
        self._page_no = page_no

    def read(self, page_no: int) -> RawPage:
        """Words, images and drawings of one page."""
        self._load(page_no)
        page = self._page
        width_pt, height_pt = float(page.rect.width), float(page.rect.height)
        if not (width_pt > 0 and height_pt > 0):
            raise IngestError(
                Reason.PAGE_UNREADABLE,
                f"{self._name}: page {page_no}: its size is {width_pt} x {height_pt} pt, "
                "expected more than 0",
            )
        try:
            words, n_unmapped, suspicions, odd = self._read_words(width_pt, height_pt)
            images, drawings, marks = self._read_marks(width_pt, height_pt)
            suspicions += covered_text(marks, page_area=width_pt * height_pt)
            suspicions += off_page_text(marks, self._sheet())
            hidden = hidden_kinds(
                suspicions,
                odd,
                images=images,
                drawings=drawings,
                page_size=(width_pt, height_pt),
                render=lambda clip, dpi: self.render(page_no, dpi=dpi, clip=clip),
            )
            label = clean_text(str(page.get_label() or ""))
        except Exception as error:
            raise IngestError(
                Reason.PAGE_UNREADABLE, f"{self._name}: page {page_no}: MuPDF cannot read it ({error})"
            ) from error
        return RawPage(
            page_no=page_no,
            label=label,
            width_pt=width_pt,
            height_pt=height_pt,
            rotation=int(page.rotation) % 360,
            words=words,
            images=images,
            drawings=drawings,
            n_unmapped=n_unmapped,
            hidden=tuple(sorted({*hidden, *self._unshown.kinds(page_no, page)})),
        )

    def _read_words(
        self, width_pt: float, height_pt: float
    ) -> tuple[tuple[RawWord, ...], int, list[Suspicion], Counter[HiddenKind]]:
        """Words from the display list, which has rotation, crop box and user unit applied already."""
        text_page = pymupdf.TextPage(self._display_list.get_textpage(_TEXT_FLAGS))
        styles: dict[tuple[int, int], list[tuple[int, float, bool]]] = {}
        n_unmapped = 0
        suspicions: list[Suspicion] = []
        odd: Counter[HiddenKind] = Counter()
        for block in text_page.extractDICT()["blocks"]:
            for line_no, line in enumerate(block.get("lines", ())):
                runs: list[tuple[int, float, bool]] = []
                for span in line["spans"]:
                    text = str(span["text"])
                    n_unmapped += text.count(_UNKNOWN)
                    n_chars = len("".join(text.split()))
                    runs.append((n_chars, float(span["size"]), bool(span["flags"] & _BOLD)))
                    kind = why_unseen(span)
                    if kind is not None:
                        box = Box(*span["bbox"]).clipped(width_pt, height_pt)
                        suspicions.append(Suspicion(kind, box, n_letters_of(text)))
                    if not text.isascii():
                        odd.update(odd_characters(text))
                styles[block["number"], line_no] = runs
        words: list[RawWord] = []
        line_key, line_index = (-1, -1), -1
        runs, n_left, run_index = [], 0, 0
        for x0, y0, x1, y1, text, block_no, line_no, _ in text_page.extractWORDS():
            if (block_no, line_no) != line_key:
                line_key = (block_no, line_no)
                line_index += 1
                runs, run_index = styles.get(line_key, []), 0
                n_left = runs[0][0] if runs else 0
            while run_index < len(runs) - 1 and n_left <= 0:
                run_index += 1
                n_left += runs[run_index][0]
            _, size_pt, is_bold = runs[run_index] if runs else (0, 0.0, False)
            n_left -= len(text)
            text = clean_text(text)
            box = Box(x0, y0, x1, y1).clipped(width_pt, height_pt)
            if not text or box.area <= 0:
                continue
            word = RawWord(text, box, block_no, line_index, size_pt, is_bold)
            if words and _was_cut(words[-1], word):
                before = words.pop()
                word = before._replace(text=before.text + text, box=union_box((before.box, box)))
            words.append(word)
        return tuple(words), n_unmapped, suspicions, odd

    def _read_marks(
        self, width_pt: float, height_pt: float
    ) -> tuple[tuple[Box, ...], tuple[Box, ...], list[Mark]]:
        """Boxes of images and of drawings on the page, and of everything in the order of painting.

        PyMuPDF gives them before rotation, user unit applied.
        """
        rotation = int(self._page.rotation) % 360
        images: list[Box] = []
        drawings: list[Box] = []
        marks: list[Mark] = []
        for kind, (x0, y0, x1, y1) in self._page.get_bboxlog():
            found = None
            if "image" in kind or "imgmask" in kind:
                found = images
            elif "path" in kind or "shade" in kind:
                found = drawings
            elif kind not in ("fill-text", "stroke-text"):
                continue
            if rotation == 90:
                x0, y0, x1, y1 = width_pt - y1, x0, width_pt - y0, x1
            elif rotation == 180:
                x0, y0, x1, y1 = width_pt - x1, height_pt - y1, width_pt - x0, height_pt - y0
            elif rotation == 270:
                x0, y0, x1, y1 = y0, height_pt - x1, y1, height_pt - x0
            if found is None:
                marks.append(Mark("text", Box(x0, y0, x1, y1)))
            elif x1 > 0 and y1 > 0 and x0 < width_pt and y0 < height_pt:
                found.append(Box(x0, y0, x1, y1).clipped(width_pt, height_pt))
                if "clip" not in kind and "stroke" not in kind:
                    marks.append(Mark("image" if found is images else "paint", found[-1]))
        return tuple(images), tuple(drawings), marks

    def _sheet(self) -> Box:
        """The media box where the page as displayed puts it."""
        page = self._page
        rotation = int(page.rotation) % 360
        media, crop = page.mediabox, page.cropbox
        unit = float(page.rect.width) / float(crop.width if rotation in (0, 180) else crop.height)
        left, right = crop.x0 - media.x0, media.x1 - crop.x1
        top, bottom = crop.y0 - media.y0, media.y1 - crop.y1
        for _ in range(rotation // 90):  # a quarter turn clockwise brings the left side to the top
            left, top, right, bottom = bottom, left, top, right
        return Box(
            -left * unit,
            -top * unit,
            float(page.rect.width) + right * unit,
            float(page.rect.height) + bottom * unit,
        )

    def check_images(self, page_no: int) -> None:
        """Raise ``image_too_large`` when decoding an image of the page would break the pixel budget."""
        self._load(page_no)
        for image in self._doc.get_page_images(page_no - 1):
            width_px, height_px = int(image[2]), int(image[3])
            if width_px * height_px > MAX_IMAGE_PIXELS:
                raise IngestError(
                    Reason.IMAGE_TOO_LARGE,
                    f"{self._name}: page {page_no}: an image has {width_px} x {height_px} pixels, "
                    f"at most {MAX_IMAGE_PIXELS} are decoded",
                )

    def render(self, page_no: int, *, dpi: float, clip: Box | None = None) -> NDArray[np.uint8]:
        """The page, or the part of it inside `clip`, as ``(height, width, 3) uint8``.

        `dpi` is lowered where the picture would break the pixel budget: take the scale from the shape.
        """
        self._load(page_no)
        self.check_images(page_no)
        rect = self._page.rect
        area = Box(0.0, 0.0, float(rect.width), float(rect.height))
        if clip is not None:
            area = clip.clipped(area.x1, area.y1)
        if area.area <= 0:
            raise ValueError(f"{self._name}: page {page_no}: nothing to render in {clip}")
        scale = fitted_dpi(area.width, area.height, dpi) / 72
        try:
            # `clip` is in points; only the matrix scales.
            pixmap = self._display_list.get_pixmap(
                matrix=pymupdf.Matrix(scale, scale), clip=pymupdf.Rect(*area)
            )
            samples = np.frombuffer(pixmap.samples, dtype=np.uint8)
        except Exception as error:
            raise IngestError(
                Reason.PAGE_UNREADABLE, f"{self._name}: page {page_no}: MuPDF cannot render it ({error})"
            ) from error
        return samples.reshape(pixmap.height, pixmap.stride)[:, : pixmap.width * 3].reshape(
            pixmap.height, pixmap.width, 3
        )

    def mupdf_page(self, page_no: int) -> pymupdf.Page:
        """PyMuPDF's own page object, for its bundled layout model."""
        self._load(page_no)
        return self._page

    def close(self) -> None:
        """Release the file."""
        self._page = self._display_list = None
        self._unshown.close()
        self._doc.close()
