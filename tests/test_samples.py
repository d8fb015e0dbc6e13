import hashlib
import subprocess
import sys
from pathlib import Path

import pypdfium2

SCRIPT = Path(__file__).parents[1] / "eval" / "make_samples.py"


def texts(path: Path) -> list[str]:
    with pypdfium2.PdfDocument(path) as document:
        return [page.get_textpage().get_text_bounded() for page in document]


def test_the_samples_are_the_same_bytes_every_time(samples: Path, tmp_path: Path):
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, capture_output=True)
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.pdf")}
        for folder in (samples, tmp_path)
    ]
    assert len(digests[0]) == 4
    assert digests[0] == digests[1]


def test_the_report_has_roman_front_matter(samples: Path):
    with pypdfium2.PdfDocument(samples / "annual-report-2025.pdf") as document:
        assert [document.get_page_label(i) for i in range(len(document))] == [
            "i",
            "ii",
            "1",
            "2",
            "3",
            "4",
            "5",
        ]


def test_words_of_scans_and_raster_charts_are_pixels_only(samples: Path):
    assert all(not text.strip() for text in texts(samples / "inspection-report-scan.pdf"))
    assert not any("Frame shop" in text for text in texts(samples / "annual-report-2025.pdf"))
    assert not any("46 %" in text for text in texts(samples / "cargo-bike-launch-slides.pdf"))
    assert "84.6" in texts(samples / "annual-report-2025.pdf")[3]
