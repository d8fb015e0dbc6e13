"""A two-column paper: figures and tables with captions, running heads, justified Times."""

from __future__ import annotations

from collections.abc import Callable

import pymupdf

from samples.drawing import BLACK, GREY, ORANGE, PALE, PETROL, Sheet, save
from samples.paper_text import ABSTRACT, AUTHORS, REFERENCES, SECTIONS, TITLE

COLUMN_X = (52.0, 306.0)
COLUMN_WIDTH = 237.0
TOP, BOTTOM = 72.0, 784.0
SIZE = 9.6
LEADING = 1.22
RUNS_ROW_HEIGHT = 15.2

SPECIMENS = (
    ("Series", "Joint", "Tube (mm)", "Number"),
    ("A", "TIG welded", "16 x 1.2", "12"),
    ("B", "TIG, heat treated", "16 x 1.2", "12"),
    ("C", "Brazed", "14 x 1.0", "9"),
)
RUNS = (
    ("Series", "Median life (cycles)", "Weakest", "Strongest"),
    ("A", "182,000", "121,000", "240,000"),
    ("B", "431,000", "305,000", "612,000"),
    ("C", "268,000", "204,000", "355,000"),
)


class Flow:
    """Fills the two columns of page after page from top to bottom."""

    def __init__(self, document: pymupdf.Document) -> None:
        self._document = document
        self._n_pages = 0
        self.new_page()

    def new_page(self) -> None:
        """Start a page with its running head."""
        self._n_pages += 1
        self.sheet = Sheet(self._document)
        if self._n_pages > 1:
            self.sheet.text(
                COLUMN_X[0], 46, "M. Okafor and L. Brandvold", size=8, font="serif-italic", color=GREY
            )
            self.sheet.text(
                543,
                46,
                "Fatigue life of seat-stay joints",
                size=8,
                font="serif-italic",
                color=GREY,
                align="right",
            )
        self.sheet.text(297, 816, str(self._n_pages), size=8.5, font="serif", align="center")
        self.column, self.top, self.y = 0, TOP, TOP

    def span_top(self, height: float) -> None:
        """Keep the first `height` points of this page for what spans both columns."""
        self.top = self.y = TOP + height

    def next_column(self) -> None:
        """Go on at the top of the next column, or page."""
        if self.column == 0:
            self.column, self.y = 1, self.top
        else:
            self.new_page()

    def heading(self, text: str) -> None:
        """A section heading, never alone at the foot of a column."""
        if self.y + 45 > BOTTOM:
            self.next_column()
        self.y += 6 if self.y > self.top else 0
        self.sheet.text(COLUMN_X[self.column], self.y + 8, text, size=11.5, font="serif-bold")
        self.y += 26

    def paragraph(self, text: str, *, size: float = SIZE) -> None:
        """Justified text that runs on into the next column."""
        while text:
            x = COLUMN_X[self.column]
            self.y, text = self.sheet.paragraph(
                x,
                self.y,
                COLUMN_WIDTH,
                text,
                size=size,
                font="serif",
                align="justify",
                leading=LEADING,
                bottom=BOTTOM,
            )
            if text:
                self.next_column()
                self.y += SIZE * 0.8
        self.y += 5

    def figure(self, draw: Callable[[Sheet, float, float], float], caption: str) -> None:
        """What `draw` puts at ``(x, y)``, with its caption below; `draw` returns its height."""
        scratch = Sheet(pymupdf.open())
        height = draw(scratch, 0, 0)
        if self.y + height + 50 > BOTTOM:
            self.next_column()
        self.y += 4
        draw(self.sheet, COLUMN_X[self.column], self.y)
        self.y, _ = self.sheet.paragraph(
            COLUMN_X[self.column],
            self.y + height + 12,
            COLUMN_WIDTH,
            caption,
            size=8.4,
            font="serif-italic",
            leading=1.2,
        )
        self.y += 10


def write_paper(path: str) -> None:
    """Write the paper."""
    document = pymupdf.open()
    flow = Flow(document)
    _head(flow)
    for heading, blocks in SECTIONS:
        flow.heading(heading)
        for block in blocks:
            if block in FIGURES:
                flow.figure(*FIGURES[block])
            else:
                flow.paragraph(block)
    flow.heading("References")
    for reference in REFERENCES:
        flow.paragraph(reference, size=8.4)
    save(document, path, title=TITLE, author=AUTHORS)


def _head(flow: Flow) -> None:
    sheet = flow.sheet
    sheet.text(297, 84, TITLE.split(": ")[0] + ":", size=17, font="serif-bold", align="center")
    sheet.text(297, 105, TITLE.split(": ")[1], size=17, font="serif-bold", align="center")
    sheet.text(297, 130, AUTHORS, size=11, font="serif", align="center")
    sheet.text(
        297,
        145,
        "Larkfield Cycles Test Laboratory, Harrowmere",
        size=9.5,
        font="serif-italic",
        align="center",
    )
    sheet.text(90, 172, "Abstract", size=10, font="serif-bold")
    y, _ = sheet.paragraph(90, 186, 415, ABSTRACT, size=9.2, font="serif", align="justify", leading=1.25)
    flow.span_top(y - TOP + 12)


def _rig(sheet: Sheet, x: float, y: float) -> float:
    """The test rig as a line drawing with labels."""
    sheet.rectangle(x + 12, y + 112, x + 225, y + 122, PALE)
    sheet.page.draw_polyline([(x + 40, y + 112), (x + 40, y + 40), (x + 60, y + 40)], color=BLACK, width=3)
    sheet.page.draw_polyline([(x + 60, y + 34), (x + 170, y + 92)], color=PETROL, width=5)
    sheet.page.draw_polyline([(x + 170, y + 92), (x + 170, y + 112)], color=BLACK, width=3)
    sheet.page.draw_circle((x + 60, y + 36), 6, color=ORANGE, fill=ORANGE)
    sheet.rectangle(x + 100, y + 8, x + 122, y + 44, ORANGE)
    sheet.rule(x + 111, y + 44, x + 111, y + 60, color=ORANGE, width=3)
    sheet.text(x + 128, y + 24, "Actuator", size=8, font="sans")
    sheet.text(x + 4, y + 26, "Clamp", size=8, font="sans")
    sheet.text(x + 178, y + 88, "Dropout", size=8, font="sans")
    sheet.text(x + 62, y + 84, "Specimen", size=8, font="sans")
    return 126


def _curve(sheet: Sheet, x: float, y: float) -> float:
    """Stress against life, both series on a logarithmic life axis."""
    welded = [(4.6, 142.0), (4.9, 121.0), (5.26, 100.0), (5.6, 84.0), (6.0, 71.0)]
    treated = [(4.9, 148.0), (5.25, 126.0), (5.63, 106.0), (6.0, 95.0)]
    sheet.lines(
        (x + 38, y + 8, x + 230, y + 138),
        [("A: welded", welded), ("B: heat treated", treated)],
        x_range=(4.5, 6.1),
        y_range=(60, 160),
        x_ticks=[(5, "100,000"), (5.5, "316,000"), (6, "1,000,000")],
        y_ticks=[(v, str(v)) for v in (60, 80, 100, 120, 140)],
        x_title="Cycles to failure",
        y_title="Stress amplitude (MPa)",
    )
    return 166


def _fracture(sheet: Sheet, x: float, y: float) -> float:
    """A sketch of the fracture surface, as pixels, with its labels burnt in."""
    image = pymupdf.open()
    drawn = Sheet(image, 300, 150)
    drawn.rectangle(0, 0, 300, 150, (0.80, 0.80, 0.78))
    drawn.page.draw_circle((95, 75), 58, color=(0.3, 0.3, 0.3), fill=(0.62, 0.62, 0.60), width=2)
    drawn.page.draw_circle((95, 75), 44, color=(0.3, 0.3, 0.3), fill=(0.80, 0.80, 0.78), width=2)
    for i in range(6):
        drawn.page.draw_circle((52, 60), 6 + 5 * i, color=(0.4, 0.4, 0.4), width=0.6)
    drawn.rule(52, 60, 170, 34, color=ORANGE, width=1.5)
    drawn.text(174, 38, "Crack origin", size=13, font="sans-bold")
    drawn.rule(120, 110, 170, 118, color=ORANGE, width=1.5)
    drawn.text(174, 122, "Final fracture", size=13, font="sans-bold")
    drawn.text(174, 80, "Wall 1.2 mm", size=13)
    sheet.picture((x, y, x + COLUMN_WIDTH, y + COLUMN_WIDTH / 2), image)
    return COLUMN_WIDTH / 2


def _specimens(sheet: Sheet, x: float, y: float) -> float:
    return sheet.table(x, y, [44, 87, 62, 44], SPECIMENS, size=8, font="serif", header_color=BLACK) - y


def _runs(sheet: Sheet, x: float, y: float) -> float:
    return sheet.table(x, y, [40, 95, 50, 52], RUNS, size=8, font="serif", header_color=BLACK) - y


FIGURES: dict[str, tuple[Callable[[Sheet, float, float], float], str]] = {
    "rig": (
        _rig,
        "Figure 1: The test rig. The actuator loads the specimen at 8 Hz between clamp and dropout.",
    ),
    "specimens": (_specimens, "Table 1: The three series of specimens."),
    "curve": (_curve, "Figure 2: Stress amplitude against life for welded and for heat-treated joints."),
    "runs": (_runs, "Table 2: Life at a stress amplitude of 100 MPa."),
    "fracture": (
        _fracture,
        "Figure 3: Fracture surface of specimen A-07; cracks start at the toe of the weld.",
    ),
}
