"""A scanned form and letter: images alone, a little turned, grey and grainy."""

from __future__ import annotations

import io

import numpy as np
import pymupdf
from PIL import Image, ImageFilter

from samples.drawing import BLACK, Sheet, save

SCAN_DPI = 130
INK = (0.12, 0.12, 0.25)


def write_scan(path: str) -> None:
    """Write the scan: the drawn pages are turned into pixels and leave no text behind."""
    drawn = pymupdf.open()
    _form(Sheet(drawn))
    _letter(Sheet(drawn))
    document = pymupdf.open()
    for page, angle_deg in zip(drawn, (0.9, -0.6), strict=True):
        scanned = document.new_page(width=595, height=842)
        scanned.insert_image(scanned.rect, stream=_scanned(page, angle_deg))
    save(document, path, title="Scan 0417", author="Larkfield Cycles incoming goods")


def _scanned(page: pymupdf.Page, angle_deg: float) -> bytes:
    """The page as a flat-bed scanner would give it: turned, soft, with paper grain (seeded)."""
    pixels = page.get_pixmap(dpi=SCAN_DPI)
    image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples).convert("L")
    image = image.rotate(angle_deg, Image.Resampling.BICUBIC, fillcolor=255).filter(
        ImageFilter.GaussianBlur(0.5)
    )
    grain = np.random.default_rng(417).normal(0, 7, (image.height, image.width))
    grey = np.clip(np.asarray(image, dtype=np.float64) * 0.93 + 8 + grain, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG", quality=75)
    return stream.getvalue()


def _form(sheet: Sheet) -> None:
    sheet.text(60, 80, "LARKFIELD CYCLES", size=18, font="serif-bold")
    sheet.text(60, 98, "Incoming goods, Harrowmere plant", size=11, font="serif")
    sheet.text(535, 80, "No. 2025-0417", size=14, font="mono", align="right")
    sheet.text(60, 150, "Incoming inspection report", size=20, font="serif-bold")
    rows = [
        ("Item", "Entry"),
        ("Supplier", "Brightwater Forgings"),
        ("Part", "Rear dropout RD-7, aluminium 7005"),
        ("Batch", "88-1204"),
        ("Pieces delivered", "2,400"),
        ("Pieces checked", "50"),
        ("Pieces rejected", "3"),
        ("Hole diameter allowed", "10.00 to 10.20 mm"),
        ("Largest diameter found", "10.31 mm"),
    ]
    y = sheet.table(60, 180, [190, 285], rows, size=12, font="serif", grid=True, header_color=BLACK)
    sheet.text(60, y + 40, "Decision", size=14, font="serif-bold")
    y, _ = sheet.paragraph(
        60,
        y + 62,
        475,
        "Batch blocked. The supplier sorts all pieces at its own cost and replaces those out of tolerance "
        "within ten working days. The assembly line stops on 12 and 13 May.",
        size=12.5,
        font="serif",
    )
    sheet.rule(60, y + 60, 240, y + 60, color=BLACK)
    sheet.text(60, y + 76, "Inspector", size=10, font="serif")
    sheet.text(70, y + 52, "Marit Okafor", size=20, font="serif-italic", color=INK)
    sheet.rule(330, y + 60, 510, y + 60, color=BLACK)
    sheet.text(330, y + 76, "Date", size=10, font="serif")
    sheet.text(340, y + 52, "9 May 2025", size=20, font="serif-italic", color=INK)


def _letter(sheet: Sheet) -> None:
    sheet.text(60, 80, "Brightwater Forgings", size=18, font="serif-bold")
    sheet.text(60, 98, "Quay Street 3, Eastwick", size=11, font="serif")
    sheet.text(535, 150, "16 May 2025", size=12, font="serif", align="right")
    y = 190.0
    for text in (
        "Your inspection report No. 2025-0417",
        "Dear Ms Okafor,",
        "we have sorted all 2,400 rear dropouts of batch 88-1204. 137 pieces were out of tolerance and have "
        "been replaced. The cause was a worn reamer on machine 6, which was not changed at the end of the "
        "night shift.",
        "From now on the reamer is changed after every 800 holes, and the first and the last piece of each "
        "shift are measured. We enclose the measuring records.",
        "We will credit you EUR 6,850 for the two days during which your line stood still.",
        "Yours sincerely,",
    ):
        y, _ = sheet.paragraph(60, y, 475, text, size=12.5, font="serif", leading=1.5)
        y += 12
    sheet.text(70, y + 30, "Henk Abara", size=20, font="serif-italic", color=INK)
    sheet.text(60, y + 52, "Head of quality", size=11, font="serif")
