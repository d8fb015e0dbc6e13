"""PDF pages read by pypdfium2 (BSD and Apache-2.0 licences)."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray

from docrag.errors import IngestError
from docrag.geometry import Box, union_box
from docrag.ingest.hidden_text import (
    HiddenKind,
    Suspicion,
    covered_text,
    hidden_kinds,
    n_letters_of,
    odd_characters,
    off_page_text,
)
from docrag.ingest.lines import is_right_to_left
from docrag.ingest.pdfium_hidden import hides_annotations, why_unseen
from docrag.ingest.pdfium_marks import read_marks
from docrag.ingest.pdfium_user_unit import may_have_user_units, user_unit
from docrag.ingest.pixels import MAX_IMAGE_PIXELS, fitted_dpi
from docrag.ingest.report import DAMAGED
from docrag.ingest.words import clean_text
from docrag.protocols import RawPage, RawWord
from docrag.types import OutlineEntry, Reason

_BOLD_WEIGHT = 600  # CSS: 600 is semi-bold
_FORCE_BOLD = 1 << 18  # font descriptor flag 19 (ISO 32000-1, table 123)
_MAX_FONT_NAME = 200
_ERROR_REASONS = {
    pdfium_c.FPDF_ERR_PASSWORD: Reason.ENCRYPTED,
    pdfium_c.FPDF_ERR_SECURITY: Reason.ENCRYPTED,
}
# A new block starts where the gap to the line above is wider than this share of the line height.
_BLOCK_GAP = 0.8


class _DisplayTransform:
    """From PDF user space (origin bottom left) to the page as displayed, in points."""

    def __init__(self, page: pdfium.PdfPage, user_unit: float) -> None:
        self._left, self._bottom, self._right, self._top = (float(v) for v in page.get_bbox())
        self.rotation = int(page.get_rotation()) % 360
        self._unit = user_unit
        width, height = self._right - self._left, self._top - self._bottom
        if self.rotation in (90, 270):
            width, height = height, width
        self.width_pt, self.height_pt = width * user_unit, height * user_unit

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Box of the page as displayed, not clipped."""
        if self.rotation == 0:
            box = Box(left - self._left, self._top - top, right - self._left, self._top - bottom)
        elif self.rotation == 90:
            box = Box(bottom - self._bottom, left - self._left, top - self._bottom, right - self._left)
        elif self.rotation == 180:
            box = Box(self._right - right, bottom - self._bottom, self._right - left, top - self._bottom)
        else:
            box = Box(self._top - top, self._right - right, self._top - bottom, self._right - left)
        return box.scaled(self._unit)

    def sheet(self, page: pdfium.PdfPage) -> Box:
        """The media box where the page as displayed puts it."""
        return self.box(*(float(v) for v in page.get_mediabox() or page.get_bbox()))


class PdfiumSource:
    """A document opened with pypdfium2.

    Raises `IngestError`: ``encrypted`` without the right password, ``zero_pages``, or
    ``xref_unrecoverable`` when PDFium cannot open the file.
    """

    parser = "pdfium"

    def __init__(self, path: Path, *, password: str | None = None) -> None:
        self._name = path.name
        try:
            self._doc = pdfium.PdfDocument(path, password=password)
        except pdfium.PdfiumError as error:
            reason = _why_not(path, password)
            if reason is Reason.ENCRYPTED:
                what = "is wrong" if password else "is needed"
                message = f"{self._name}: a password {what}; pass it with --password"
            elif reason is Reason.ZERO_PAGES:
                message = f"{self._name}: PDFium finds no page in it"
            else:
                message = f"{self._name}: PDFium cannot open it ({error})"
            raise IngestError(reason, message) from error
        self.n_pages: int = len(self._doc)
        self._has_user_units = may_have_user_units(path)
        self.metadata: Mapping[str, str] = {
            key.lower(): clean_text(value) for key, value in self._doc.get_metadata_dict().items() if value
        }
        self.title = self.metadata.get("title", "")
        self.outline: Sequence[OutlineEntry] = self._read_outline()
        is_whole = pdfium_c.FPDF_DocumentHasValidCrossReferenceTable(self._doc)
        self.notes: Sequence[str] = () if is_whole else (DAMAGED,)
        self._page_no: int | None = None
        self._page: pdfium.PdfPage | None = None

    def _read_outline(self) -> list[OutlineEntry]:
        entries: list[OutlineEntry] = []
        try:
            for bookmark in self._doc.get_toc():
                target = bookmark.get_dest()
                index = None if target is None else target.get_index()
                if index is not None and 0 <= index < self.n_pages:
                    entries.append(
                        OutlineEntry(bookmark.level + 1, clean_text(bookmark.get_title()), index + 1)
                    )
        except Exception:  # a damaged outline must not cost the document
            return entries
        return entries

    def _load(self, page_no: int) -> pdfium.PdfPage:
        if page_no != self._page_no:
            if not 1 <= page_no <= self.n_pages:
                raise ValueError(f"{self._name}: page {page_no} of {self.n_pages}")
            self._page_no = None
            if self._page is not None:
                self._page.close()
                self._page = None
            try:
                self._page = self._doc[page_no - 1]
            except Exception as error:
                raise IngestError(
                    Reason.PAGE_UNREADABLE, f"{self._name}: page {page_no}: PDFium cannot load it ({error})"
                ) from error
            self._page_no = page_no
        return cast(pdfium.PdfPage, self._page)

    def _user_unit(self, page_no: int) -> float:
        return user_unit(self._doc, page_no) if self._has_user_units else 1.0

    def read(self, page_no: int) -> RawPage:
        """Words, images and drawings of one page."""
        page = self._load(page_no)
        try:
            transform = _DisplayTransform(page, self._user_unit(page_no))
            width_pt, height_pt = transform.width_pt, transform.height_pt
            if not (width_pt > 0 and height_pt > 0):
                raise IngestError(
                    Reason.PAGE_UNREADABLE,
                    f"{self._name}: page {page_no}: its size is {width_pt} x {height_pt} pt, "
                    "expected more than 0",
                )
            words, n_unmapped, suspicions, odd = _read_words(page, transform)
            images, drawings, marks, optional = read_marks(page, transform.box, width_pt, height_pt)
            suspicions += [*covered_text(marks, page_area=width_pt * height_pt), *optional]
            suspicions += off_page_text(marks, transform.sheet(page))
            hidden = hidden_kinds(
                suspicions,
                odd,
                images=images,
                drawings=drawings,
                page_size=(width_pt, height_pt),
                render=lambda clip, dpi: self.render(page_no, dpi=dpi, clip=clip),
            )
            if hides_annotations(page):
                hidden = tuple(sorted((*hidden, "annotation")))
            label = clean_text(str(self._doc.get_page_label(page_no - 1) or ""))
        except IngestError:
            raise
        except Exception as error:
            raise IngestError(
                Reason.PAGE_UNREADABLE, f"{self._name}: page {page_no}: PDFium cannot read it ({error})"
            ) from error
        return RawPage(
            page_no=page_no,
            label=label,
            width_pt=width_pt,
            height_pt=height_pt,
            rotation=transform.rotation,
            words=words,
            images=images,
            drawings=drawings,
            n_unmapped=n_unmapped,
            hidden=hidden,
        )

    def check_images(self, page_no: int) -> None:
        """Raise ``image_too_large`` when decoding an image of the page would break the pixel budget."""
        for image in self._load(page_no).get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE]):
            width_px, height_px = cast(pdfium.PdfImage, image).get_px_size()
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
        page = self._load(page_no)
        self.check_images(page_no)
        unit = self._user_unit(page_no)
        width_pt, height_pt = (float(v) * unit for v in page.get_size())
        area = Box(0.0, 0.0, width_pt, height_pt)
        if clip is not None:
            area = clip.clipped(width_pt, height_pt)
        if area.area <= 0:
            raise ValueError(f"{self._name}: page {page_no}: nothing to render in {clip}")
        scale = fitted_dpi(area.width, area.height, dpi) / 72
        crop = tuple(v / unit for v in (area.x0, height_pt - area.y1, width_pt - area.x1, area.y0))
        try:
            bitmap = cast(Any, page).render(
                scale=scale * unit, crop=crop, rev_byteorder=True, draw_annots=True
            )
            pixels = cast(NDArray[np.uint8], bitmap.to_numpy())
        except Exception as error:
            raise IngestError(
                Reason.PAGE_UNREADABLE, f"{self._name}: page {page_no}: PDFium cannot render it ({error})"
            ) from error
        if pixels.ndim == 2 or pixels.shape[2] == 1:
            pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
        return np.ascontiguousarray(pixels[:, :, :3])

    def close(self) -> None:
        """Release the file."""
        if self._page is not None:
            self._page.close()
        self._doc.close()


def _why_not(path: Path, password: str | None) -> Reason:
    """Why pypdfium2 does not open a file.

    It reports the last error that PDFium had; but a file that opens and has no page is no error to PDFium, so
    that one may be of another file.
    """
    name, secret = (
        None if text is None else f"{text}\0".encode("utf-8", "surrogateescape") for text in (path, password)
    )
    document = pdfium_c.FPDF_LoadDocument(name, secret)
    if document:
        pdfium_c.FPDF_CloseDocument(document)
        return Reason.ZERO_PAGES
    return _ERROR_REASONS.get(int(pdfium_c.FPDF_GetLastError()), Reason.XREF_UNRECOVERABLE)


def _read_words(
    page: pdfium.PdfPage, transform: _DisplayTransform
) -> tuple[tuple[RawWord, ...], int, list[Suspicion], Counter[HiddenKind]]:
    """Words from PDFium's characters; lines end where PDFium generates a line break."""
    text_page = page.get_textpage()
    words: list[RawWord] = []
    n_unmapped = 0
    line_no = block_no = 0
    line_top: Box | None = None  # box of the line so far
    line_above: Box | None = None
    chars: list[str] = []
    boxes: list[Box] = []
    size_pt, is_bold = 0.0, False
    unseen: HiddenKind | None = None
    suspicions: list[Suspicion] = []
    odd: Counter[HiddenKind] = Counter()
    rect = pdfium_c.FS_RECTF()

    def end_word() -> None:
        nonlocal line_top
        raw = "".join(_logical_order(chars, boxes))
        if not raw.isascii():
            odd.update(odd_characters(raw))
        text = clean_text(raw)
        if text and boxes:
            box = union_box(boxes).clipped(transform.width_pt, transform.height_pt)
            if box.area > 0:
                words.append(RawWord(text, box, block_no, line_no, size_pt, is_bold))
                if unseen is not None:
                    suspicions.append(Suspicion(unseen, box, n_letters_of(text)))
                line_top = box if line_top is None else union_box((line_top, box))
        chars.clear()
        boxes.clear()

    def end_line() -> None:
        nonlocal line_no, block_no, line_top, line_above
        end_word()
        if line_top is None:
            return
        line_no += 1
        line_above, line_top = line_top, None

    high = 0
    for index in range(text_page.count_chars()):
        code = int(pdfium_c.FPDFText_GetUnicode(text_page, index))
        if code in (0x0A, 0x0D):
            end_line()
            continue
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if 0xDC00 <= code < 0xE000 and high:
            code, high = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00), 0
        is_generated = pdfium_c.FPDFText_IsGenerated(text_page, index) == 1
        if pdfium_c.FPDFText_HasUnicodeMapError(text_page, index) == 1:
            n_unmapped += 1
            code = 0xFFFD
        if code == 0x02:  # PDFium's mark for a hyphen at the end of a line
            code = 0x2D
        char = chr(code) if code else ""
        if is_generated or char.isspace() or not char:
            end_word()
            continue
        if not pdfium_c.FPDFText_GetLooseCharBox(text_page, index, rect):
            continue
        box = transform.box(rect.left, rect.bottom, rect.right, rect.top)
        if not chars:
            size_pt = float(pdfium_c.FPDFText_GetFontSize(text_page, index))
            is_bold = _is_bold(text_page, index)
            unseen = why_unseen(text_page, index, box)
            if line_top is None and line_above is not None and _is_apart(box, line_above):
                block_no += 1
        chars.append(char)
        boxes.append(box)
    end_word()
    text_page.close()
    return tuple(words), n_unmapped, suspicions, odd


def _logical_order(chars: Sequence[str], boxes: Sequence[Box]) -> Sequence[str]:
    """`chars` of a word as they are read: PDFium gives some right-to-left words from left to right."""
    if len(chars) > 1 and boxes[-1].x0 > boxes[0].x0 and is_right_to_left("".join(chars)):
        return chars[::-1]
    return chars


def _is_bold(text_page: pdfium.PdfTextPage, index: int) -> bool:
    """Whether the font says so by its weight, its flags or its name: standard fonts have no weight."""
    if int(pdfium_c.FPDFText_GetFontWeight(text_page, index)) >= _BOLD_WEIGHT:
        return True
    name = ctypes.create_string_buffer(_MAX_FONT_NAME)
    flags = ctypes.c_int()
    pdfium_c.FPDFText_GetFontInfo(text_page, index, name, _MAX_FONT_NAME, flags)
    return bool(flags.value & _FORCE_BOLD) or b"bold" in name.value.lower()


def _is_apart(box: Box, above: Box) -> bool:
    gap = box.y0 - above.y1
    return gap > _BLOCK_GAP * above.height or box.y1 < above.y0 or box.x0 > above.x1 or box.x1 < above.x0
