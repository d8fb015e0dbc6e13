"""Twelve ways to hide text in a PDF. Each writes one file with an ordinary paragraph and the hidden text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pymupdf
from tests.pdfs import A4, save, text_pixmap, write_objects

BOX = pymupdf.Rect(60, 300, 535, 360)
"""Where the hidden text stands, unless its place is what hides it."""
WIDE = pymupdf.Rect(50, 290, 545, 370)


def _page(visible: str) -> tuple[pymupdf.Document, pymupdf.Page]:
    doc = pymupdf.open()
    page = doc.new_page(width=A4[0], height=A4[1])
    page.insert_textbox(pymupdf.Rect(60, 72, 535, 250), visible, fontsize=11)
    return doc, page


def _styled(**style: object) -> Callable[[Path, str, str], Path]:
    def write(path: Path, visible: str, hidden: str) -> Path:
        doc, page = _page(visible)
        page.insert_textbox(BOX, hidden, **{"fontsize": 8, **style})
        return save(doc, path)

    return write


def invisible_mode(path: Path, visible: str, hidden: str) -> Path:
    """Text rendering mode 3: neither filled nor stroked."""
    return _styled(render_mode=3)(path, visible, hidden)


def off_page(path: Path, visible: str, hidden: str) -> Path:
    """Below the lower edge of the sheet."""
    doc, page = _page(visible)
    page.insert_text((60, A4[1] + 150), hidden, fontsize=8)
    return save(doc, path)


def behind_image(path: Path, visible: str, hidden: str) -> Path:
    """Under a picture that is painted later."""
    doc, page = _page(visible)
    page.insert_textbox(BOX, hidden, fontsize=8)
    plain = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 60, 20), False)
    plain.set_rect(plain.irect, (90, 140, 200))
    page.insert_image(WIDE, pixmap=plain, keep_proportion=False)
    page.insert_image(pymupdf.Rect(100, 420, 400, 520), pixmap=text_pixmap(["River gauge"]))
    return save(doc, path)


def painted_over(path: Path, visible: str, hidden: str) -> Path:
    """Under a grey bar that is painted later."""
    doc, page = _page(visible)
    page.insert_textbox(BOX, hidden, fontsize=8)
    page.draw_rect(WIDE, fill=(0.9, 0.9, 0.9), color=None)
    return save(doc, path)


def layer_off(path: Path, visible: str, hidden: str) -> Path:
    """On a layer that is switched off."""
    doc, page = _page(visible)
    page.insert_textbox(BOX, hidden, fontsize=8, oc=doc.add_ocg("notes", on=False))
    return save(doc, path)


def metadata_and_annotation(path: Path, visible: str, hidden: str) -> Path:
    """As the document's subject and keywords, and in a note that is not shown."""
    doc, page = _page(visible)
    doc.set_metadata({"title": "Rain", "subject": hidden, "keywords": hidden})
    note = page.add_text_annot((500, 60), hidden)
    note.set_flags(pymupdf.PDF_ANNOT_IS_HIDDEN)
    note.update()
    return save(doc, path)


def _hand_made(path: Path, visible: str, shown: bytes, unicode_of: Mapping[int, str]) -> Path:
    """A page whose second font gives its glyphs other characters than they look like."""
    rows = "\n".join(
        f"<{code:02X}> <{char.encode('utf-16-be').hex().upper()}>" for code, char in unicode_of.items()
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Own def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange {len(unicode_of)} beginbfchar\n{rows}\n"
        "endbfchar endcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode()
    lines = [visible[i : i + 90].encode("latin-1") for i in range(0, len(visible), 90)]
    content = b"BT /F0 10 Tf 14 TL 60 740 Td " + b" ".join(
        b"<" + x.hex().encode() + b"> Tj T*" for x in lines
    )
    pieces = [shown[i : i + 90] for i in range(0, len(shown), 90)]
    content += b" ET BT /F1 8 Tf 12 TL 60 500 Td " + b" ".join(
        b"<" + x.hex().encode() + b"> Tj T*" for x in pieces
    )
    content += b" ET"
    return write_objects(
        path,
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F0 5 0 R /F1 6 0 R >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 7 0 R >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap),
        ],
    )


_PLAIN = {code: chr(code) for code in range(32, 127)}


def zero_width(path: Path, visible: str, hidden: str) -> Path:
    """A zero-width space after every letter, so that no filter finds the words."""
    shown = b"".join(
        bytes([code]) + (b"\x01" if chr(code).isalpha() else b"") for code in hidden.encode("ascii")
    )
    return _hand_made(path, visible, shown, {**_PLAIN, 1: "\u200b"})


def reversed_direction(path: Path, visible: str, hidden: str) -> Path:
    """Written backwards under a right-to-left override, word by word."""
    words = b" ".join(b"\x01" + word[::-1] + b"\x02" for word in hidden.encode("ascii").split())
    return _hand_made(path, visible, words, {**_PLAIN, 1: "\u202e", 2: "\u202c"})


def tag_characters(path: Path, visible: str, hidden: str) -> Path:
    """Spelled with tag characters, which no font draws."""
    return _hand_made(
        path, visible, hidden.encode("ascii"), {code: chr(0xE0000 + code) for code in range(32, 127)}
    )


WAYS: Mapping[str, Callable[[Path, str, str], Path]] = {
    "invisible": invisible_mode,
    "white": _styled(color=(1, 1, 1)),
    "tiny": _styled(fontsize=0.5),
    "transparent": _styled(fill_opacity=0.0),
    "off_page": off_page,
    "behind_image": behind_image,
    "painted_over": painted_over,
    "layer_off": layer_off,
    "metadata": metadata_and_annotation,
    "zero_width": zero_width,
    "reversed": reversed_direction,
    "tags": tag_characters,
}
NOTES: Mapping[str, str] = {
    "invisible": "invisible",
    "white": "no_contrast",
    "tiny": "tiny",
    "transparent": "invisible",
    "off_page": "off_page",
    "behind_image": "covered",
    "painted_over": "covered",
    "layer_off": "layer_off",
    "metadata": "annotation",
    "zero_width": "zero_width",
    "reversed": "bidi",
    "tags": "tags",
}
"""What a page that hides text in this way is said to have."""
