"""Small PDFs for tests, made with PyMuPDF: each function writes one file and returns its path.

Every page is A4 upright unless said otherwise. Words are chosen so that a test can look for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pymupdf

A4 = (595.0, 842.0)
PROSE = (
    "The river council met in spring and agreed on a plan for the lower valley. "
    "Farmers asked for two new gates, the town asked for a higher bank, and the fishers asked for neither. "
    "After a long evening the engineers were told to draw both and to price them by the end of May. "
)


def save(doc: pymupdf.Document, path: Path, **options: object) -> Path:
    """Write and close a document."""
    doc.save(str(path), **options)
    doc.close()
    return path


def add_text_page(doc: pymupdf.Document, paragraphs: Sequence[str], *, size_pt: float = 11) -> pymupdf.Page:
    """Add a page with one column of paragraphs, 60 pt apart from the edges."""
    page = doc.new_page(width=A4[0], height=A4[1])
    y = 72.0
    for paragraph in paragraphs:
        rect = pymupdf.Rect(60, y, 535, 800)
        left = page.insert_textbox(rect, paragraph, fontsize=size_pt, fontname="helv")
        y += rect.height - left + 14
    return page


def text_pdf(path: Path, *, pages: Sequence[Sequence[str]] = ((PROSE, PROSE),)) -> Path:
    """Pages of plain paragraphs."""
    doc = pymupdf.open()
    for paragraphs in pages:
        add_text_page(doc, paragraphs)
    return save(doc, path)


def many_pages_pdf(path: Path, n_pages: int) -> Path:
    """`n_pages` pages, each saying "Page N of the long report" and a sentence."""
    doc = pymupdf.open()
    for page_no in range(1, n_pages + 1):
        page = doc.new_page(width=A4[0], height=A4[1])
        page.insert_text((60, 90), f"Page {page_no} of the long report", fontsize=14)
        page.insert_text(
            (60, 120), f"Station {page_no} measured {page_no * 3} millimetres of rain.", fontsize=11
        )
    return save(doc, path)


def titled_pdf(path: Path, *, title: str = "Valley Plan", author: str = "River Council") -> Path:
    """Three pages with metadata, an outline of two levels, and the labels i, ii, A-1."""
    doc = pymupdf.open()
    for text in ("Contents", "Opening words", "Annex of prices"):
        add_text_page(doc, [text, PROSE])
    doc.set_metadata({"title": title, "author": author})
    doc.set_toc([[1, "Front matter", 1], [2, "Opening", 2], [1, "Annex", 3]])
    doc.set_page_labels(
        [
            {"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 1},
            {"startpage": 2, "prefix": "A-", "style": "D", "firstpagenum": 1},
        ]
    )
    return save(doc, path)


def displayed_pdf(
    path: Path,
    *,
    rotation: int = 0,
    crop: tuple[float, float, float, float] | None = None,
    user_unit: float = 1.0,
) -> Path:
    """One page of words in three sizes, displayed through `/Rotate`, `/CropBox` and `/UserUnit`.

    `crop` is in PDF points from the top left of the unrotated A4 page.
    """
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    for row in range(12):
        page.insert_text((90, 120 + 48 * row), f"Row{row} carries some printed words", fontsize=10 + row)
    if crop is not None:
        page.set_cropbox(pymupdf.Rect(crop))
    page.set_rotation(rotation)
    if user_unit != 1.0:
        doc.xref_set_key(page.xref, "UserUnit", str(user_unit))
    return save(doc, path)


def two_columns_pdf(path: Path, *, n_lines: int = 30) -> Path:
    """A title over two columns: left lines say "left-N", right lines "right-N", written row by row."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    page.insert_text((120, 80), "A Study of Rivers in Two Columns", fontsize=20, fontname="hebo")
    for line in range(n_lines):
        y = 130 + 14 * line
        for x, side in ((60, "left"), (310, "right")):
            page.insert_text((x, y), f"{side}-{line} the water flows on and on today", fontsize=11)
    return save(doc, path)


def article_pdf(path: Path) -> Path:
    """Header, heading, paragraph, bullet list, footnote and page number: one page of each kind of text."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    page.insert_text((60, 40), "River Council Yearbook", fontsize=8)
    page.insert_text((60, 100), "2. Findings of the Survey", fontsize=18, fontname="hebo")
    page.insert_textbox(pymupdf.Rect(60, 120, 535, 260), PROSE * 2, fontsize=11)
    for i, item in enumerate(("Raise the northern bank", "Open the western gate", "Dredge the harbour")):
        page.insert_text((70, 300 + 20 * i), f"\u2022 {item}", fontsize=11, fontname="helv")
    page.insert_textbox(pymupdf.Rect(60, 380, 535, 520), PROSE, fontsize=11)
    page.insert_text((60, 770), "1 Prices of the year before last.", fontsize=8)
    page.insert_text((290, 820), "17", fontsize=9)
    return save(doc, path)


TABLE_ROWS = (
    ("Station", "Rain", "Snow", "Total"),
    ("Alder", "120", "30", "150"),
    ("Birch", "95", "41", "136"),
    ("Cedar", "143", "12", "155"),
    ("Dogwood", "88", "67", "155"),
)


def table_pdf(path: Path, *, ruled: bool = True, caption: str = "Table 3: Rain and snow by station") -> Path:
    """A paragraph, a caption, and `TABLE_ROWS`, with or without rules, then a paragraph."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    page.insert_textbox(pymupdf.Rect(60, 72, 535, 180), PROSE, fontsize=11)
    page.insert_text((60, 214), caption, fontsize=10)
    left, top, width, height = 60.0, 226.0, 110.0, 22.0
    for i, row in enumerate(TABLE_ROWS):
        for j, cell in enumerate(row):
            page.insert_text((left + width * j + 6, top + height * i + 15), cell, fontsize=10)
    if ruled:
        right, bottom = left + width * len(TABLE_ROWS[0]), top + height * len(TABLE_ROWS)
        for i in range(len(TABLE_ROWS) + 1):
            page.draw_line((left, top + height * i), (right, top + height * i), width=0.6)
        for j in range(len(TABLE_ROWS[0]) + 1):
            page.draw_line((left + width * j, top), (left + width * j, bottom), width=0.6)
    page.insert_textbox(pymupdf.Rect(60, 380, 535, 520), PROSE, fontsize=11)
    return save(doc, path)


def text_pixmap(
    lines: Sequence[str], *, size_pt: float = 24, width_pt: float = 400, dpi: int = 144
) -> pymupdf.Pixmap:
    """A picture with lines of text drawn as pixels, black on white, inside a frame."""
    doc = pymupdf.open()
    page = doc.new_page(width=width_pt, height=size_pt * 1.6 * len(lines) + 30)
    page.draw_rect(
        pymupdf.Rect(2, 2, page.rect.width - 2, page.rect.height - 2), color=(0.2, 0.4, 0.8), width=2
    )
    for i, line in enumerate(lines):
        page.insert_text((20, 15 + size_pt * 1.6 * (i + 0.7)), line, fontsize=size_pt)
    return page.get_pixmap(dpi=dpi)


def picture_pdf(
    path: Path,
    *,
    lines: Sequence[str] = ("Harbour depth 42 metres", "Tide at seven"),
    caption: str = "Figure 2: The harbour gauge",
) -> Path:
    """A paragraph, a raster picture with `lines` as pixels, its caption, a paragraph."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    page.insert_textbox(pymupdf.Rect(60, 72, 535, 180), PROSE, fontsize=11)
    page.insert_image(pymupdf.Rect(100, 200, 500, 340), pixmap=text_pixmap(lines))
    page.insert_text((100, 362), caption, fontsize=10)
    page.insert_textbox(pymupdf.Rect(60, 400, 535, 540), PROSE, fontsize=11)
    return save(doc, path)


def outlined_chart_pdf(path: Path) -> Path:
    """A paragraph over a chart of thin bars whose labels are paths, not text, then a paragraph."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    page.insert_textbox(pymupdf.Rect(60, 72, 535, 180), PROSE, fontsize=11)
    for i in range(8):
        y = 220 + 24 * i
        for j in range(6):  # a word of six letters, each a filled path of its own
            x = 110 + 7 * j
            page.draw_rect(pymupdf.Rect(x, y, x + 2 + j % 3, y + 7), fill=(0, 0, 0), color=None)
        page.draw_rect(pymupdf.Rect(170, y, 220 + 30 * i, y + 9), fill=(0.2, 0.4, 0.7), color=None)
    page.insert_textbox(pymupdf.Rect(60, 460, 535, 600), PROSE, fontsize=11)
    return save(doc, path)


def scanned_pdf(
    path: Path, *, lines: Sequence[str] = ("Minutes of the meeting", "Agreed: nothing"), stamp: str = ""
) -> Path:
    """A page that is one image of text, with an optional stamp of real text on it."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    scan = pymupdf.open()
    inner = scan.new_page(width=A4[0], height=A4[1])
    for i, line in enumerate(lines):
        inner.insert_text((72, 100 + 30 * i), line, fontsize=14)
    page.insert_image(page.rect, pixmap=inner.get_pixmap(dpi=120))
    scan.close()
    if stamp:
        page.insert_text((400, 20), stamp, fontsize=8)
    return save(doc, path)


def blank_image_pdf(path: Path) -> Path:
    """A page that is one uniformly grey image: nothing to read."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    pixmap = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 400, 560), False)
    pixmap.set_rect(pixmap.irect, (200, 200, 200))
    page.insert_image(page.rect, pixmap=pixmap)
    return save(doc, path)


def encrypted_pdf(path: Path, *, password: str = "sesame", user_password: bool = True) -> Path:
    """An AES-256 file; without `user_password` it opens silently (an owner password only)."""
    doc = pymupdf.open()
    add_text_page(doc, ["The treasure is under the third willow.", PROSE])
    return save(
        doc,
        path,
        encryption=pymupdf.PDF_ENCRYPT_AES_256,
        owner_pw="owner-" + password,
        user_pw=password if user_password else "",
    )


def huge_page_pdf(path: Path, *, side_pt: float = 14_400) -> Path:
    """One square page of the largest size that PDF allows, with a line of text."""
    doc = pymupdf.open()
    page = doc.new_page(width=side_pt, height=side_pt)
    page.insert_text((100, 400), "A very large plan", fontsize=300)
    return save(doc, path)


def huge_image_pdf(path: Path, *, side_px: int = 30_000, text: str = "") -> Path:
    """One page with a 1-bit image of `side_px` squared, white, flate-compressed to a few kilobytes."""
    import zlib

    packer = zlib.compressobj(9)
    row = b"\xff" * ((side_px + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    content = b"q 500 0 0 500 40 200 cm /Im0 Do Q"
    if text:
        content += b" BT /F0 12 Tf 60 780 Td (" + text.encode("ascii") + b") Tj ET"
    image = (
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 1 "
        b"/Filter /FlateDecode /Length %d >>\nstream\n" % (side_px, side_px, len(data))
    )
    return write_objects(
        path,
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R "
            b"/Resources << /XObject << /Im0 4 0 R >> /Font << /F0 6 0 R >> >> >>",
            image + data + b"\nendstream",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ],
    )


def unmapped_font_pdf(
    path: Path, *, lines: Sequence[str] = ("Secret sealed letter", "Read by eye only")
) -> Path:
    """Text in an embedded font without ToUnicode, so that no parser knows its characters."""
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    font = pymupdf.Font("notos") if "notos" in pymupdf.fitz_fontdescriptors else pymupdf.Font("cjk")
    page.insert_font(fontname="F0", fontbuffer=font.buffer)
    for i, line in enumerate(lines):
        page.insert_text((72, 120 + 30 * i), line, fontname="F0", fontsize=18)
    for xref in range(1, doc.xref_length()):
        if doc.xref_get_key(xref, "ToUnicode")[0] != "null":
            doc.xref_set_key(xref, "ToUnicode", "null")
    return save(doc, path)


def hebrew_pdf(path: Path) -> Path:
    """A line of Hebrew with a comma and a number, and an English line with a Hebrew word in it."""
    doc = pymupdf.open()
    page = doc.new_page(width=400, height=200)
    page.insert_htmlbox(
        pymupdf.Rect(20, 20, 380, 180), '<p dir="rtl">שלום עולם, זהו מבחן 123 קצר</p><p>Hello שלום world</p>'
    )
    return save(doc, path)


def write_objects(path: Path, objects: Sequence[bytes]) -> Path:
    """A PDF of these objects, numbered from 1; the first is the catalog."""
    out = bytearray(b"%PDF-1.7\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(bytes(out))
    return path
