"""Write the sample PDFs: a report, slides, a scan, a paper. ``python eval/make_samples.py FOLDER``."""

from __future__ import annotations

import argparse
from pathlib import Path

from samples.paper import write_paper
from samples.report import write_report
from samples.scan import write_scan
from samples.slides import write_slides

WRITERS = {
    "annual-report-2025.pdf": write_report,
    "cargo-bike-launch-slides.pdf": write_slides,
    "inspection-report-scan.pdf": write_scan,
    "seat-stay-fatigue-paper.pdf": write_paper,
}


def make_samples(folder: Path) -> list[Path]:
    """Write every sample into `folder` and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        write(str(folder / name))
    return [folder / name for name in WRITERS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for path in make_samples(parser.parse_args().folder):
        print(path)
