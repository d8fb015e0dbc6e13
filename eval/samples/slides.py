"""Landscape slides: large words, a comparison table, a time line, and a survey chart made of pixels."""

from __future__ import annotations

import pymupdf

from samples.drawing import GREY, ORANGE, PALE, PETROL, SAND, WHITE, Sheet, save

WIDTH, HEIGHT = 960.0, 540.0
MODELS = (
    ("", "Puffin C1", "Puffin C2", "Heron 5"),
    ("Weight", "34.5 kg", "29.8 kg", "18.2 kg"),
    ("Payload", "120 kg", "160 kg", "25 kg"),
    ("Battery", "500 Wh", "750 Wh", "500 Wh"),
    ("Range", "55 km", "90 km", "80 km"),
    ("Price", "EUR 4,290", "EUR 4,890", "EUR 3,150"),
)
SURVEY = (("Longer range", 46), ("Lower weight", 28), ("Two child seats", 17), ("More colours", 9))
PLAN = (
    ("March", "Ten prototypes"),
    ("June", "Pilot with 40 riders"),
    ("September", "First series of 300"),
    ("November", "In the shops"),
)


def write_slides(path: str) -> None:
    """Write the slides."""
    document = pymupdf.open()
    _title(Sheet(document, WIDTH, HEIGHT))
    for number, (title, draw) in enumerate(
        [
            ("What riders asked for", _survey),
            ("Puffin C2 against its sisters", _models),
            ("The road to launch in 2026", _plan),
            ("Decisions we need today", _decisions),
        ],
        2,
    ):
        sheet = Sheet(document, WIDTH, HEIGHT)
        sheet.rectangle(0, 0, WIDTH, 84, PETROL)
        sheet.text(48, 54, title, size=30, font="sans-bold", color=WHITE)
        sheet.text(48, 520, "Larkfield Cycles · Product council, 19 January 2026", size=11, color=GREY)
        sheet.text(912, 520, f"Slide {number}", size=11, color=GREY, align="right")
        draw(sheet)
    save(document, path, title="Puffin C2: launch plan", author="Larkfield Cycles product team")


def _title(sheet: Sheet) -> None:
    sheet.rectangle(0, 0, WIDTH, HEIGHT, SAND)
    sheet.rectangle(0, 380, WIDTH, 388, ORANGE)
    sheet.text(80, 220, "Puffin C2", size=64, font="sans-bold", color=PETROL)
    sheet.text(80, 270, "Launch plan for our second cargo bicycle", size=26)
    sheet.text(80, 430, "Amara Lindqvist, product manager", size=18)
    sheet.text(80, 456, "Product council, Harrowmere, 19 January 2026", size=18, color=GREY)


def _survey(sheet: Sheet) -> None:
    chart = pymupdf.open()
    drawn = Sheet(chart, 560, 300)
    drawn.rectangle(0, 0, 560, 300, WHITE)
    drawn.text(20, 34, "One wish per rider, 812 answers", size=16, font="sans-bold", color=PETROL)
    names, values = zip(*SURVEY, strict=True)
    drawn.bars((20, 55, 540, 285), names, values, suffix=" %", size=15, label_width=150)
    sheet.picture((40, 120, 600, 420), chart)
    y = sheet.bullets(
        630,
        160,
        290,
        [
            "Range matters most, and more than price.",
            "Weight is the reason for not buying in three of ten talks.",
            "Colour is cheap to offer but wins nobody.",
        ],
        size=18,
    )
    sheet.paragraph(630, y + 20, 290, "Source: riders' survey, autumn 2025", size=12, color=GREY)


def _models(sheet: Sheet) -> None:
    y = sheet.table(48, 120, [216, 216, 216, 216], MODELS, size=20)
    sheet.paragraph(
        48,
        y + 50,
        864,
        "The C2 is 4.7 kg lighter than the C1 because its frame is welded from hydroformed tubes.",
        size=20,
    )


def _plan(sheet: Sheet) -> None:
    sheet.rule(100, 260, 860, 260, color=PETROL, width=5)
    for i, (month, event) in enumerate(PLAN):
        x = 130 + i * 233
        sheet.page.draw_circle((x, 260), 13, color=WHITE, fill=ORANGE, width=3)
        sheet.text(x, 222, month, size=22, font="sans-bold", color=PETROL, align="center")
        sheet.text(x, 304, event, size=17, align="center")
    sheet.rectangle(100, 370, 860, 440, SAND)
    sheet.text(480, 412, "Budget: EUR 1.9 million, of which 0.7 million for tools", size=20, align="center")


def _decisions(sheet: Sheet) -> None:
    y = sheet.bullets(
        64,
        150,
        800,
        [
            "Release the tooling order to Brightwater Forgings by 30 January.",
            "Choose the battery supplier: two offers, the same price, different warranty (3 or 5 years).",
            "Agree on the launch price of EUR 4,890.",
            "Name the four pilot cities.",
        ],
        size=24,
    )
    sheet.rule(64, y + 6, 896, y + 6, color=PALE)
    sheet.text(64, y + 44, "Next product council: 16 February 2026", size=20, font="sans-bold", color=PETROL)
