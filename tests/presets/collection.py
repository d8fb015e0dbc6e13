"""A small collection: pages of text, a table, coloured charts with captions."""

from __future__ import annotations

from pathlib import Path

import pymupdf

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}

FLEET = [
    (None, ["Fleet report", "The fleet of Alder Ferries had 12 ships at the end of 2024."]),
    ("red", ["Figure 1: Passengers of the northern route by month"]),
    ("green", ["Figure 2: Fuel burnt on the southern route"]),
    (
        None,
        ["Revenue", "Revenue of Alder Ferries was 48 million euros in 2024 and 45 million euros in 2023."],
    ),
    (None, ["Crew", "On average 310 people worked on the ships of Alder Ferries in 2024."]),
]
HARBOUR = [
    (None, ["Harbour report", "The harbour of Birch has seven piers. It was dredged to 11 metres in 2022."]),
    ("blue", ["Figure 1: Depth of the harbour of Birch"]),
    (None, ["Fees", "Berth fees rose by 4 percent in 2024. A ship of 100 metres pays 900 euros a day."]),
]


def write_collection(folder: Path) -> Path:
    """Write two PDFs into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pages in (("fleet.pdf", FLEET), ("harbour.pdf", HARBOUR)):
        document = pymupdf.open()
        for colour, lines in pages:
            page = document.new_page(width=400, height=400)
            for n, line in enumerate(lines):
                page.insert_textbox((30, 30 + 40 * n, 370, 80 + 40 * n), line, fontsize=14 if n == 0 else 11)
            if colour is not None:
                page.insert_image((60, 120, 380, 380), pixmap=_square(COLOURS[colour]))
        document.save(folder / name)
        document.close()
    return folder


def _square(colour: tuple[int, int, int]) -> pymupdf.Pixmap:
    return pymupdf.Pixmap(pymupdf.csRGB, 64, 52, bytes(colour) * (64 * 52), False)
