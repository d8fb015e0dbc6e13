"""Compare two runs of `docrag eval` question by question.

    python eval/compare_runs.py DATASET_DIR OURS.jsonl THEIRS.jsonl

prints, for every metric, both figures and their difference with its 95 % bootstrap interval over documents,
drawn in pairs. A difference whose interval holds 0 is not shown by these questions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from docrag.errors import UsageError
from docrag.evaluation.bootstrap import bootstrap, paired_difference
from docrag.evaluation.dataset import Dataset, load_dataset
from docrag.evaluation.report import measured
from docrag.evaluation.run import read_lines
from docrag.evaluation.tasks import AnswerMeasure, Measure, RankingMeasure


def read_run(path: Path, dataset: Dataset, measure: Measure) -> np.ndarray:
    """Columns of every question that counts, in question order."""
    lines = read_lines(path, dataset, measure)
    return np.array([columns for _, columns in measured(measure, dataset.questions, lines)])


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("ours", type=Path)
    parser.add_argument("theirs", type=Path)
    parser.add_argument("--documents", type=Path, help="folder of the PDFs, when elsewhere")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset, documents=arguments.documents)
    is_ranking = '"ranking"' in arguments.ours.read_text("utf-8").partition("\n")[0]
    measure = RankingMeasure() if is_ranking else AnswerMeasure()
    ours, theirs = (read_run(path, dataset, measure) for path in (arguments.ours, arguments.theirs))
    documents = [question.doc for question in dataset.questions if measure.counts(question)]
    print(f"{measure.name}: {len(documents)} questions\n{'':12}   ours  theirs  difference")
    for name, statistic in measure.metrics.items():
        difference = paired_difference(ours, theirs, documents, statistic)
        figures = [bootstrap(columns, documents, statistic).value for columns in (ours, theirs)]
        print(f"{name:12} {figures[0]:6.3f}  {figures[1]:6.3f}  {difference.show(signed=True)}")


if __name__ == "__main__":
    try:
        main()
    except (UsageError, OSError) as error:
        sys.exit(f"compare_runs: {error}")
