"""Text, tables and charts on a PDF page, in points from the top left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pymupdf

Colour = tuple[float, float, float]
Align = Literal["left", "right", "center", "justify"]

PETROL: Colour = (0.05, 0.32, 0.38)
ORANGE: Colour = (0.88, 0.45, 0.13)
SAND: Colour = (0.95, 0.92, 0.86)
GREY: Colour = (0.42, 0.44, 0.46)
PALE: Colour = (0.85, 0.86, 0.87)
BLACK: Colour = (0.1, 0.1, 0.12)
WHITE: Colour = (1, 1, 1)
SERIES: tuple[Colour, ...] = (PETROL, ORANGE, (0.35, 0.60, 0.55), (0.75, 0.66, 0.42), (0.55, 0.33, 0.40))

FONTS = {
    name: pymupdf.Font(code)
    for name, code in {
        "sans": "helv",
        "sans-bold": "hebo",
        "sans-italic": "heit",
        "serif": "tiro",
        "serif-bold": "tibo",
        "serif-italic": "tiit",
        "mono": "cour",
    }.items()
}


class Sheet:
    """A new page of a document, with pens for words, rules, tables and charts."""

    def __init__(self, document: pymupdf.Document, width: float = 595, height: float = 842) -> None:
        self.page = document.new_page(width=width, height=height)
        self.width, self.height = width, height

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 10,
        font: str = "sans",
        color: Colour = BLACK,
        align: Align = "left",
    ) -> None:
        """One line with its baseline at `y`; `x` is its left end, its right end, or its middle."""
        length = FONTS[font].text_length(text, size)
        x -= {"right": length, "center": length / 2}.get(align, 0)
        writer = pymupdf.TextWriter(self.page.rect)
        writer.append((x, y), text, font=FONTS[font], fontsize=size)
        writer.write_text(self.page, color=color)

    def upright(self, x: float, y: float, text: str, *, size: float = 8, color: Colour = GREY) -> None:
        """One line that reads upwards, its middle at ``(x, y)``: the title of a vertical axis."""
        length = FONTS["sans"].text_length(text, size)
        self.page.insert_text(
            (x, y + length / 2), text, fontsize=size, fontname="helv", color=color, rotate=90
        )

    def paragraph(
        self,
        x: float,
        y: float,
        width: float,
        text: str,
        *,
        size: float = 10,
        font: str = "sans",
        color: Colour = BLACK,
        align: Align = "left",
        leading: float = 1.4,
        bottom: float = math.inf,
    ) -> tuple[float, str]:
        """Lines of at most `width` from the first baseline `y` on, down to `bottom`.

        Returns the baseline below the last line, and the words that did not fit.
        """
        face, words = FONTS[font], text.split()
        writer = pymupdf.TextWriter(self.page.rect)
        while words and y <= bottom:
            n_fit = 1
            while n_fit < len(words) and face.text_length(" ".join(words[: n_fit + 1]), size) <= width:
                n_fit += 1
            line, words = words[:n_fit], words[n_fit:]
            if align == "justify" and words and len(line) > 1:
                gap = (width - sum(face.text_length(word, size) for word in line)) / (len(line) - 1)
                left = x
                for word in line:
                    writer.append((left, y), word, font=face, fontsize=size)
                    left += face.text_length(word, size) + gap
            else:
                writer.append((x, y), " ".join(line), font=face, fontsize=size)
            y += size * leading
        writer.write_text(self.page, color=color)
        return y, " ".join(words)

    def bullets(self, x: float, y: float, width: float, items: Sequence[str], *, size: float = 10) -> float:
        """A list with bullets; returns the baseline below it."""
        for item in items:
            self.text(x, y, "•", size=size, color=ORANGE)
            y, _ = self.paragraph(x + 1.2 * size, y, width - 1.2 * size, item, size=size)
            y += size * 0.4
        return y

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, color: Colour) -> None:
        """A filled rectangle."""
        self.page.draw_rect(pymupdf.Rect(x0, y0, x1, y1), color=None, fill=color)

    def rule(
        self, x0: float, y0: float, x1: float, y1: float, *, color: Colour = PALE, width: float = 0.7
    ) -> None:
        """A straight line."""
        self.page.draw_line((x0, y0), (x1, y1), color=color, width=width)

    def table(
        self,
        x: float,
        y: float,
        widths: Sequence[float],
        rows: Sequence[Sequence[str]],
        *,
        size: float = 9,
        font: str = "sans",
        grid: bool = False,
        header_color: Colour = PETROL,
    ) -> float:
        """A table whose first row is the header; numbers align right. Returns the y below it."""
        row_height = size * 1.9
        right = x + sum(widths)
        for i, row in enumerate(rows):
            top = y + i * row_height
            if i == 0:
                self.rectangle(x, top, right, top + row_height, header_color)
            elif i % 2 == 0 and not grid:
                self.rectangle(x, top, right, top + row_height, SAND)
            left = x
            for j, (cell, width) in enumerate(zip(row, widths, strict=True)):
                face = font + "-bold" if i == 0 or cell.startswith("Total") else font
                where: tuple[float, Align] = (left + 5, "left") if j == 0 else (left + width - 5, "right")
                color = WHITE if i == 0 else BLACK
                baseline = top + row_height * 0.68
                self.text(where[0], baseline, cell, size=size, font=face, color=color, align=where[1])
                left += width
        bottom = y + len(rows) * row_height
        if grid:
            for i in range(len(rows) + 1):
                self.rule(x, y + i * row_height, right, y + i * row_height, color=GREY)
            edges = [x + sum(widths[:j]) for j in range(len(widths) + 1)]
            for edge in edges:
                self.rule(edge, y, edge, bottom, color=GREY)
        else:
            self.rule(x, bottom, right, bottom, color=header_color, width=1)
        return bottom

    def columns(
        self,
        box: tuple[float, float, float, float],
        names: Sequence[str],
        values: Sequence[float],
        *,
        unit: str,
        n_digits: int = 1,
        color: Colour = PETROL,
        size: float = 8,
    ) -> None:
        """A column chart with a value on every column; `unit` titles the vertical axis."""
        x0, y0, x1, y1 = box
        top = max(values) * 1.15
        self.rule(x0, y1, x1, y1, color=GREY)
        self.rule(x0, y0, x0, y1, color=GREY)
        self.upright(x0 - 8, (y0 + y1) / 2, unit, size=size)
        step = (x1 - x0) / len(values)
        for i, (name, value) in enumerate(zip(names, values, strict=True)):
            middle = x0 + (i + 0.5) * step
            height = value / top * (y1 - y0)
            self.rectangle(middle - step * 0.3, y1 - height, middle + step * 0.3, y1, color)
            self.text(middle, y1 - height - 4, f"{value:.{n_digits}f}", size=size, align="center")
            self.text(middle, y1 + size * 1.5, name, size=size, color=GREY, align="center")

    def bars(
        self,
        box: tuple[float, float, float, float],
        names: Sequence[str],
        values: Sequence[float],
        *,
        suffix: str = "",
        size: float = 9,
        label_width: float = 90,
    ) -> None:
        """Horizontal bars, one colour each, names on the left, values at the end."""
        x0, y0, x1, y1 = box
        step = (y1 - y0) / len(values)
        reach = x1 - x0 - label_width - 5 * size
        for i, (name, value) in enumerate(zip(names, values, strict=True)):
            middle = y0 + (i + 0.5) * step
            end = x0 + label_width + value / max(values) * reach
            self.text(x0 + label_width - 6, middle + size / 3, name, size=size, align="right")
            fill = SERIES[i % len(SERIES)]
            self.rectangle(x0 + label_width, middle - step * 0.32, end, middle + step * 0.32, fill)
            self.text(end + 5, middle + size / 3, f"{value:g}{suffix}", size=size, font="sans-bold")

    def lines(
        self,
        box: tuple[float, float, float, float],
        series: Sequence[tuple[str, Sequence[tuple[float, float]]]],
        *,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
        x_title: str,
        y_title: str,
        size: float = 7.5,
    ) -> None:
        """A line chart with markers, light grid and a legend at the top right."""
        x0, y0, x1, y1 = box

        def place(x: float, y: float) -> tuple[float, float]:
            across = (x - x_range[0]) / (x_range[1] - x_range[0])
            up = (y - y_range[0]) / (y_range[1] - y_range[0])
            return x0 + across * (x1 - x0), y1 - up * (y1 - y0)

        for value, name in y_ticks:
            _, y = place(x_range[0], value)
            self.rule(x0, y, x1, y, width=0.4)
            self.text(x0 - 4, y + size / 3, name, size=size, color=GREY, align="right")
        for value, name in x_ticks:
            x, _ = place(value, y_range[0])
            self.text(x, y1 + size * 1.4, name, size=size, color=GREY, align="center")
        self.rule(x0, y1, x1, y1, color=GREY)
        self.rule(x0, y0, x0, y1, color=GREY)
        self.text((x0 + x1) / 2, y1 + size * 3, x_title, size=size, color=GREY, align="center")
        self.upright(x0 - 26, (y0 + y1) / 2, y_title, size=size)
        for i, (name, points) in enumerate(series):
            color = SERIES[i % len(SERIES)]
            placed = [place(x, y) for x, y in points]
            self.page.draw_polyline(placed, color=color, width=1.4)
            for point in placed:
                self.page.draw_circle(point, 2, color=color, fill=color)
            y = y0 + 6 + i * size * 1.5
            self.rule(x1 - 84, y, x1 - 68, y, color=color, width=1.4)
            self.text(x1 - 64, y + size / 3, name, size=size)

    def pie(
        self,
        center: tuple[float, float],
        radius: float,
        parts: Sequence[tuple[str, float]],
        *,
        size: float = 11,
    ) -> None:
        """A pie with a legend that gives names and values."""
        total = sum(value for _, value in parts)
        point = pymupdf.Point(center[0], center[1] - radius)
        for i, (name, value) in enumerate(parts):
            color = SERIES[i % len(SERIES)]
            angle = -360 * value / total
            point = self.page.draw_sector(center, point, angle, color=WHITE, fill=color, width=1)
            y = center[1] - radius + (i + 0.8) * size * 2.4
            left = center[0] + radius + 3 * size
            self.rectangle(left, y - size * 0.8, left + size, y + size * 0.2, color)
            self.text(left + size * 1.6, y, f"{name}: {value:g}", size=size)

    def picture(
        self, box: tuple[float, float, float, float], other: pymupdf.Document, *, dpi: int = 150
    ) -> None:
        """The first page of `other` as pixels, scaled into `box`: no text layer."""
        pixels = other[0].get_pixmap(dpi=dpi)
        self.page.insert_image(pymupdf.Rect(*box), stream=pixels.tobytes("jpeg", jpg_quality=88))


def save(document: pymupdf.Document, path: str, *, title: str, author: str) -> None:
    """Write the file with subset fonts and fixed dates, the same bytes every time."""
    moment = "D:20260302090000Z"
    document.set_metadata(
        {
            "title": title,
            "author": author,
            "creationDate": moment,
            "modDate": moment,
            "producer": "docrag samples",
        }
    )
    document.subset_fonts()
    document.save(path, garbage=4, deflate=True, no_new_id=True, reproducible=True)
