"""Character error rate and speed of the OCR on rendered pages whose text is known.

    python eval/ocr_accuracy.py [--pages N] [--dpi 150]

The text is generated (sentences, numbers, dates, amounts), drawn in several fonts and sizes, rendered by
pypdfium2 and degraded: clean, blurred, noisy, JPEG, low contrast, skewed, faxed. Pages are full. Words are
compared in the order of the page, so the rate counts wrong and missing characters and spaces and wrong order
alike. Seconds are of CPU time on one thread: two workers read two pages in that time.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from docrag.ingest.rapid_ocr import RapidOcr

Picture = NDArray[np.uint8]
LEADING = 1.25
PAGE_PT = (595, 842)
MARGIN_PT = 50
FONTS = ("helv", "tiro", "cour", "hebo", "tiit")
SIZES_PT = (8, 9, 10, 11, 12, 16)
NOUNS = """
    revenue market share growth customer segment region survey household policy energy network battery
    warranty supplier inventory dividend goodwill equity amortization shareholder forecast
    appendix methodology margin
"""
VERBS = [
    "rose",
    "fell",
    "declined",
    "remained",
    "exceeded",
    "reached",
    "improved",
    "doubled",
    "offset",
    "matched",
]
LINKS = ["while", "because", "although", "whereas", "since", "as", "and", "but", "after", "before"]


def sentence(rng: random.Random) -> str:
    number = rng.choice(
        [
            f"{rng.uniform(0, 100):.1f}%",
            f"${rng.randint(1, 9999):,} million",
            f"{rng.randint(1, 31)} {rng.choice(['March', 'July', 'October'])} {rng.randint(1995, 2025)}",
            f"({rng.randint(100, 99999):,})",
            f"Q{rng.randint(1, 4)} {rng.randint(2010, 2024)}",
            f"{rng.randint(2, 40)} of {rng.randint(41, 900)}",
        ]
    )
    a, b, c = rng.sample(NOUNS.split(), 3)
    return (
        f"The {a} of {rng.choice(['low', 'high', 'our', 'its'])} {b} {rng.choice(VERBS)} to {number}, "
        f"{rng.choice(LINKS)} {c} {rng.choice(VERBS)} in the {rng.choice(NOUNS.split())}."
    )


def draw_page(rng: random.Random, *, font: str, size_pt: float) -> tuple[bytes, list[str]]:
    """A one-page PDF and its lines of text."""
    document = pymupdf.open()
    page = document.new_page(width=PAGE_PT[0], height=PAGE_PT[1])
    face = pymupdf.Font(font)
    lines: list[str] = []
    y = MARGIN_PT + size_pt
    line = ""
    while y < PAGE_PT[1] - MARGIN_PT:
        for word in sentence(rng).split():
            if face.text_length(f"{line} {word}", fontsize=size_pt) > PAGE_PT[0] - 2 * MARGIN_PT:
                page.insert_text((MARGIN_PT, y), line, fontname=font, fontsize=size_pt)
                lines.append(line)
                y += size_pt * LEADING
                line = word
                if y >= PAGE_PT[1] - MARGIN_PT:
                    break
            else:
                line = f"{line} {word}".strip()
    return document.tobytes(), lines


def render(data: bytes, dpi: float) -> Picture:
    import pypdfium2

    bitmap = pypdfium2.PdfDocument(data)[0].render(scale=dpi / 72)
    return np.ascontiguousarray(np.asarray(bitmap.to_pil().convert("RGB")))


def blurred(image: Picture, _rng: random.Random) -> Picture:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(0.8)))


def noisy(image: Picture, rng: random.Random) -> Picture:
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 25, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def compressed(image: Picture, _rng: random.Random) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=25)
    return np.asarray(Image.open(buffer).convert("RGB"))


def faint(image: Picture, _rng: random.Random) -> Picture:
    return (200 - (255 - image.astype(np.float32)) * 0.35).astype(np.uint8)


def skewed(image: Picture, rng: random.Random) -> Picture:
    turned = Image.fromarray(image).rotate(
        rng.uniform(-1.5, 1.5), Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
    )
    return np.asarray(turned)


def faxed(image: Picture, _rng: random.Random) -> Picture:
    """Black and white at 2/3 of the resolution, as office scanners and fax machines make."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).convert("L").resize((width * 2 // 3, height * 2 // 3))
    binary = small.point(lambda grey: 255 if grey > 160 else 0)
    return np.asarray(binary.resize((width, height)).convert("RGB"))


def clean(image: Picture, _rng: random.Random) -> Picture:
    return image


DEGRADATIONS: dict[str, Callable[[Picture, random.Random], Picture]] = {
    f.__name__: f for f in (clean, blurred, noisy, compressed, faint, skewed, faxed)
}


def edit_distance(left: str, right: str) -> int:
    """Levenshtein distance, one row at a time (Wagner & Fischer 1974)."""
    b = np.frombuffer(right.encode("utf-32-le"), np.uint32)
    row = np.arange(len(b) + 1)
    steps = np.arange(len(b) + 1)
    for i, char in enumerate(left, start=1):
        substituted = row[:-1] + (b != ord(char))
        best = np.minimum(substituted, row[1:] + 1)
        # an insertion costs one a step to the right: a running minimum of (value - position)
        row = np.minimum.accumulate(np.r_[i, best] - steps) + steps
    return int(row[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pages", type=int, default=2, help="pages per degradation")
    parser.add_argument("--dpi", type=float, default=150)
    arguments = parser.parse_args()
    ocr = RapidOcr()
    rng = random.Random(7)
    totals = {name: [0, 0, 0.0] for name in DEGRADATIONS}
    n = 0
    for page_no in range(arguments.pages):
        for name, degrade in DEGRADATIONS.items():
            n += 1
            font, size = FONTS[n % len(FONTS)], SIZES_PT[(n + page_no) % len(SIZES_PT)]
            data, lines = draw_page(rng, font=font, size_pt=size)
            image = degrade(render(data, arguments.dpi), rng)
            started = time.process_time()
            words = ocr.read(image)
            seconds = time.process_time() - started
            expected, found = " ".join(lines), " ".join(w.text for w in words)
            errors = edit_distance(expected, found)
            rate = errors / len(expected)
            print(
                f"{name:11} {font} {size:4} pt {len(expected):6} characters  CER {rate:.4f}  {seconds:.2f} s"
            )
            total = totals[name]
            total[0] += errors
            total[1] += len(expected)
            total[2] += seconds
    print()
    for name, (errors, chars, seconds) in totals.items():
        print(f"{name:11} CER {errors / chars:.4f}  {seconds / arguments.pages:.2f} s/page")
    errors, chars, seconds = (sum(t[i] for t in totals.values()) for i in range(3))
    print(
        f"{'all':11} CER {errors / chars:.4f}  {seconds / n:.2f} s/page at {arguments.dpi:g} dpi, "
        f"{1000 * seconds / chars:.2f} s per 1,000 characters"
    )


if __name__ == "__main__":
    main()
