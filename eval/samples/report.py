"""An annual report: roman front matter, tables, vector charts, and a pie chart whose words are pixels."""

from __future__ import annotations

import pymupdf

from samples.drawing import BLACK, GREY, ORANGE, PALE, PETROL, SAND, WHITE, Sheet, save

MARGIN = 62.0
WIDTH = 595 - 2 * MARGIN

YEARS = ("2021", "2022", "2023", "2024", "2025")
REVENUE = (41.2, 48.9, 57.3, 71.8, 84.6)
FIGURES = (
    ("Key figure", *YEARS),
    ("Net revenue (EUR million)", *(f"{v:.1f}" for v in REVENUE)),
    ("Operating profit (EUR million)", "3.1", "4.4", "5.0", "7.9", "10.2"),
    ("Operating margin (%)", "7.5", "9.0", "8.7", "11.0", "12.1"),
    ("Bicycles sold (thousand)", "38", "44", "51", "62", "71"),
    ("Employees at year end", "212", "238", "265", "301", "342"),
    ("Dividend per share (EUR)", "0.40", "0.45", "0.50", "0.70", "0.85"),
)
REGIONS = (("North", 31.4), ("Central", 27.9), ("South", 15.2), ("Overseas", 10.1))
STAFF = (("Assembly", 148), ("Frame shop", 76), ("Service", 52), ("Design", 41), ("Office", 25))


def write_report(path: str) -> None:
    """Write the annual report."""
    document = pymupdf.open()
    _cover(Sheet(document))
    _contents(Sheet(document))
    for number, (draw, chapter) in enumerate(
        [
            (_letter, "Letter to shareholders"),
            (_figures, "The year in figures"),
            (_regions, "Sales by region"),
            (_people, "People and plants"),
            (_outlook, "Risks and outlook"),
        ],
        1,
    ):
        sheet = Sheet(document)
        sheet.text(MARGIN, 40, "Larkfield Cycles · Annual report 2025", size=8, color=GREY)
        sheet.text(595 - MARGIN, 40, chapter, size=8, color=GREY, align="right")
        sheet.rule(MARGIN, 47, 595 - MARGIN, 47)
        sheet.text(595 / 2, 812, str(number), size=8, color=GREY, align="center")
        draw(sheet)
    document.set_page_labels(
        [
            {"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 1},
            {"startpage": 2, "prefix": "", "style": "D", "firstpagenum": 1},
        ]
    )
    document.set_toc(
        [
            [1, "Letter to shareholders", 3],
            [1, "The year in figures", 4],
            [1, "Sales by region", 5],
            [1, "People and plants", 6],
            [1, "Risks and outlook", 7],
        ]
    )
    save(document, path, title="Larkfield Cycles: Annual report 2025", author="Larkfield Cycles")


def _cover(sheet: Sheet) -> None:
    sheet.rectangle(0, 0, 595, 842, PETROL)
    sheet.rectangle(0, 560, 595, 572, ORANGE)
    for x in (210, 390):
        sheet.page.draw_circle((x, 440), 78, color=SAND, width=7)
        sheet.page.draw_circle((x, 440), 6, color=SAND, fill=SAND)
    frame = [(210, 440), (255, 350), (350, 345), (290, 440), (210, 440)]
    sheet.page.draw_polyline(frame, color=SAND, width=6)
    sheet.page.draw_polyline([(290, 440), (245, 330)], color=SAND, width=6)
    sheet.page.draw_polyline([(390, 440), (345, 320), (372, 312)], color=SAND, width=6)
    sheet.rule(228, 328, 264, 328, color=SAND, width=8)
    sheet.text(MARGIN, 130, "Larkfield Cycles", size=40, font="sans-bold", color=WHITE)
    sheet.text(MARGIN, 168, "Annual report 2025", size=22, color=SAND)
    sheet.text(MARGIN, 620, "Built in Harrowmere since 1974", size=14, font="sans-italic", color=WHITE)


def _contents(sheet: Sheet) -> None:
    _title(sheet, "Contents")
    chapters = (
        "Letter to shareholders",
        "The year in figures",
        "Sales by region",
        "People and plants",
        "Risks and outlook",
    )
    for i, chapter in enumerate(chapters):
        y = 150 + i * 30
        sheet.text(MARGIN, y, chapter, size=12)
        sheet.text(595 - MARGIN, y, str(i + 1), size=12, align="right")
        sheet.rule(MARGIN, y + 8, 595 - MARGIN, y + 8)
    sheet.paragraph(
        MARGIN,
        700,
        WIDTH,
        "This report covers the financial year from 1 January to 31 December 2025. Amounts are in euros and "
        "rounded; small differences in totals come from rounding.",
        size=9,
        color=GREY,
    )
    sheet.text(595 / 2, 812, "ii", size=8, color=GREY, align="center")


def _letter(sheet: Sheet) -> None:
    y = _title(sheet, "Letter to shareholders")
    for text in (
        "Dear shareholders,",
        "2025 was the best year in the history of Larkfield Cycles. Net revenue rose to EUR 84.6 million, "
        "and for the first time we sold more than 70,000 bicycles in one year. Every one of them was welded, "
        "painted and assembled in our two plants in Harrowmere and Eastwick.",
        "Two decisions of earlier years paid off. The new paint line in Eastwick, opened in March 2024, ran "
        "its first full year and cut the time from raw frame to finished bicycle from nine days to five. And "
        "the service vans, an experiment with four vehicles in 2023, have become a fleet of 36 that repaired "
        "18,400 bicycles at their owners' doors.",
        "Not everything went well. In May a supplier delivered rear dropouts whose holes were too wide, and "
        "we stopped the line for two days rather than build them in. The late start of the Puffin C2, our "
        "new cargo bicycle, moved about EUR 2.5 million of revenue into 2026.",
        "The board proposes a dividend of EUR 0.85 per share. We thank the 342 people who work for "
        "Larkfield, and you for your trust.",
    ):
        y, _ = sheet.paragraph(MARGIN, y, WIDTH, text, size=11, leading=1.5)
        y += 9
    sheet.text(MARGIN, y + 34, "Ingrid Castellan", size=15, font="serif-italic", color=PETROL)
    sheet.text(MARGIN, y + 52, "Chief executive, Harrowmere, 2 March 2026", size=9, color=GREY)


def _figures(sheet: Sheet) -> None:
    y = _title(sheet, "The year in figures")
    y, _ = sheet.paragraph(
        MARGIN,
        y,
        WIDTH,
        "Revenue grew by 18 % and operating profit by 29 %. The margin passed 12 % for the first time, "
        "mainly because the Eastwick paint line was used to capacity.",
        size=10.5,
    )
    sheet.text(MARGIN, y + 16, "Table 1: Five years at a glance", size=9, font="sans-bold")
    y = sheet.table(MARGIN, y + 24, [176, *[59] * 5], FIGURES)
    sheet.columns((MARGIN + 30, y + 50, 595 - MARGIN, y + 290), YEARS, REVENUE, unit="EUR million", size=9)
    _caption(sheet, y + 325, "Figure 1: Net revenue from 2021 to 2025, in millions of euros.")


def _regions(sheet: Sheet) -> None:
    y = _title(sheet, "Sales by region")
    y, _ = sheet.paragraph(
        MARGIN,
        y,
        WIDTH,
        "The North remained the largest market. Overseas sales, which began only in 2022, overtook the plan "
        "after the opening of the flagship shop in Port Amsel in September.",
        size=10.5,
    )
    names, values = zip(*REGIONS, strict=True)
    sheet.bars((MARGIN, y + 20, 595 - MARGIN, y + 210), names, values, size=10)
    _caption(sheet, y + 232, "Figure 2: Net revenue by region in 2025, in millions of euros.")
    rows = [
        ("Region", "2024", "2025", "Change", "Shops"),
        ("North", "28.9", "31.4", "+8.7 %", "41"),
        ("Central", "24.0", "27.9", "+16.3 %", "35"),
        ("South", "13.1", "15.2", "+16.0 %", "19"),
        ("Overseas", "5.8", "10.1", "+74.1 %", "8"),
        ("Total", "71.8", "84.6", "+17.8 %", "103"),
    ]
    sheet.text(
        MARGIN,
        y + 280,
        "Table 2: Net revenue by region (EUR million) and number of shops",
        size=9,
        font="sans-bold",
    )
    y = sheet.table(MARGIN, y + 288, [150, 80, 80, 80, 81], rows, size=9.5)
    sheet.paragraph(
        MARGIN,
        y + 26,
        WIDTH,
        "Shops are counted at the end of the year and include partner shops that sell no other brand.",
        size=8.5,
        color=GREY,
    )


def _people(sheet: Sheet) -> None:
    y = _title(sheet, "People and plants")
    y, _ = sheet.paragraph(
        MARGIN,
        y,
        WIDTH,
        "At the end of 2025 Larkfield employed 342 people, 41 more than a year before. Figure 3 shows where "
        "they work. Eleven apprentices finished their training, and all of them stayed.",
        size=10.5,
    )
    chart = pymupdf.open()
    drawn = Sheet(chart, 420, 210)
    drawn.rectangle(0, 0, 420, 210, (0.98, 0.98, 0.97))
    drawn.text(20, 26, "Employees by department", size=13, font="sans-bold", color=PETROL)
    drawn.pie((110, 122), 72, STAFF, size=12)
    sheet.picture((MARGIN, y + 8, MARGIN + 471, y + 8 + 235.5), chart)
    y += 262
    _caption(sheet, y, "Figure 3: Employees by department at the end of 2025.")
    years = [(float(year), value) for year, value in zip(YEARS, (61, 58, 52, 47, 43), strict=True)]
    sheet.lines(
        (MARGIN + 40, y + 45, 595 - MARGIN, y + 215),
        [("kWh per bicycle", years)],
        x_range=(2020.8, 2025.2),
        y_range=(30, 70),
        x_ticks=[(float(year), year) for year in YEARS],
        y_ticks=[(v, str(v)) for v in (30, 40, 50, 60, 70)],
        x_title="Year",
        y_title="kWh per bicycle",
        size=8.5,
    )
    _caption(sheet, y + 262, "Figure 4: Electricity used per bicycle built, both plants together.")


def _outlook(sheet: Sheet) -> None:
    y = _title(sheet, "Risks and outlook")
    y = _heading(sheet, y, "Main risks")
    y = sheet.bullets(
        MARGIN,
        y,
        WIDTH,
        [
            "Supply: aluminium tube comes from three mills; the loss of one would delay about a fifth of "
            "production.",
            "Currency: 12 % of revenue is earned outside the euro and only half of it is hedged.",
            "Product safety: a recall of a whole model year would cost up to EUR 6 million.",
            "Weather: a wet spring lowers second-quarter sales by up to 9 %.",
        ],
        size=10.5,
    )
    y = _heading(sheet, y + 10, "Outlook for 2026")
    y, _ = sheet.paragraph(
        MARGIN,
        y,
        WIDTH,
        "For 2026 the board expects net revenue between EUR 92 million and EUR 96 million and an operating "
        "margin of about 12 %. Capital expenditure of EUR 7.8 million is planned, more than half of it for a "
        "robot welding cell in Harrowmere. The Puffin C2 cargo bicycle will reach the shops in November.",
        size=10.5,
    )
    y = _heading(sheet, y + 10, "Financial calendar")
    rows = [
        ("Event", "Date"),
        ("Annual general meeting", "14 May 2026"),
        ("Dividend payment", "20 May 2026"),
        ("Half-year report", "27 August 2026"),
        ("Annual report 2026", "4 March 2027"),
    ]
    y = sheet.table(MARGIN, y, [250, 140], rows, size=10, grid=True)
    sheet.rectangle(MARGIN, y + 40, 595 - MARGIN, y + 112, SAND)
    sheet.text(MARGIN + 14, y + 64, "Contact", size=11, font="sans-bold", color=PETROL)
    sheet.text(
        MARGIN + 14, y + 82, "Investor relations: Tomas Ferreira, investors@larkfield.example", size=10
    )
    sheet.text(MARGIN + 14, y + 98, "Larkfield Cycles, Millrace 8, Harrowmere", size=10)


def _title(sheet: Sheet, text: str) -> float:
    sheet.text(MARGIN, 96, text, size=24, font="sans-bold", color=PETROL)
    sheet.rule(MARGIN, 106, MARGIN + 60, 106, color=ORANGE, width=3)
    return 140


def _heading(sheet: Sheet, y: float, text: str) -> float:
    sheet.text(MARGIN, y + 6, text, size=14, font="sans-bold", color=PETROL)
    return y + 28


def _caption(sheet: Sheet, y: float, text: str) -> None:
    sheet.rule(MARGIN, y - 12, 595 - MARGIN, y - 12, color=PALE)
    sheet.text(MARGIN, y, text, size=9, font="sans-italic", color=BLACK)
