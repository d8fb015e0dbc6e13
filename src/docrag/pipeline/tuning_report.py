"""What a tuning run found: the chosen settings, and what they are worth on documents not fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.evaluation.bootstrap import Floats, Interval, bootstrap, paired_difference, ratio
from docrag.evaluation.ranking_metrics import RANKING_METRICS
from docrag.retrieve.options import RetrievalOptions


@dataclass(frozen=True, slots=True)
class CutoffReport:
    """What cut-offs cost and save on held-out documents, all asked to keep the share `keep`.

    `before` and `after` ``(n_questions, 2)`` are Recall@10 and pages shown without and with the cut-off.
    """

    keep: float
    before: Floats
    after: Floats

    def shares_kept(self, docs: Sequence[str]) -> tuple[Interval, Interval]:
        """Share of Recall@10, and of pages, that is left."""
        recall, pages = (
            bootstrap(np.column_stack([self.after[:, i], self.before[:, i]]), docs, _quotient) for i in (0, 1)
        )
        return recall, pages


@dataclass(frozen=True, slots=True)
class TuningReport:
    """A tuning run. Figures are ``(n_questions, n_metrics)``, questions as in `docs`, `RANKING_METRICS`.

    `figures_now` are those of the configuration, `figures_held_out` those of each question under the setting
    that was chosen without its document, and `figures_fitted` those of the setting chosen on all questions:
    they flatter it. `options` are what was chosen, `failed` are searches that failed.
    """

    metric: str
    scope: str
    docs: tuple[str, ...]
    n_folds: int
    n_settings: int
    failed: Mapping[str, str]
    now: str
    chosen: str
    by_fold: tuple[str, ...]
    figures_now: NDArray[np.float64]
    figures_held_out: NDArray[np.float64]
    figures_fitted: NDArray[np.float64]
    cutoff: CutoffReport | None
    options: RetrievalOptions

    def difference(self, metric: str) -> Interval:
        """Held out minus now, over the same questions."""
        ours, theirs = (self._column(of, metric) for of in (self.figures_held_out, self.figures_now))
        return paired_difference(ours, theirs, self.docs)

    @property
    def is_better(self) -> bool:
        """Whether the interval of the difference lies above 0."""
        low = self.difference(self.metric).low
        return low is not None and low > 0

    def verdict(self) -> str:
        """What the held-out difference says, in one sentence."""
        if self.chosen == self.now:
            return "The configuration stays: nothing is better by more than one standard error, or simpler."
        if self.is_better:
            return f"{self.metric} rises on documents that were not fitted: the interval lies above 0."
        gain = self.difference(self.metric)
        if gain.high is not None and gain.high < 0:
            return f"{self.metric} falls on documents that were not fitted: keep the configuration."
        return "No gain is established: the interval of the difference holds 0."

    def to_lines(self) -> list[str]:
        """Data, settings and held-out figures, as lines of at most 120 characters where settings allow."""
        n_docs = len(set(self.docs))
        failed = f", searches failed: {len(self.failed)}" if self.failed else ""
        lines = [
            f"{self.metric}, scope {self.scope}: {len(self.docs)} questions about {n_docs} documents, "
            f"{self.n_folds} folds, {self.n_settings} settings measured{failed}",
            "",
            f"  now      {self.now}",
            f"  chosen   {self.chosen}",
        ]
        for setting, n in Counter(self.by_fold).most_common():
            lines.append(f"  {n}/{self.n_folds} folds {setting}")
        lines += ["", f"  {'':8} {'now':24} {'held out':24} {'difference':24} fitted"]
        for metric in RANKING_METRICS:
            now, held_out = (
                bootstrap(self._column(of, metric), self.docs).show()
                for of in (self.figures_now, self.figures_held_out)
            )
            fitted = self._column(self.figures_fitted, metric)[:, 0].mean()
            difference = self.difference(metric).show(signed=True)
            lines.append(f"  {metric:8} {now:24} {held_out:24} {difference:24} {fitted:.3f}")
        lines += ["", self.verdict()]
        if self.cutoff is not None:
            recall, pages = self.cutoff.shares_kept(self.docs)
            lines.append(
                f"Cut-offs asked to keep {self.cutoff.keep:g} of R@10 keep, held out, {recall.show()} of it "
                f"with {pages.show()} of the pages."
            )
        return lines

    def to_text(self) -> str:
        """The report for people."""
        return "\n".join(self.to_lines())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        values: dict[str, Any] = {
            "task": "tuning",
            "metric": self.metric,
            "scope": self.scope,
            "n_questions": len(self.docs),
            "n_documents": len(set(self.docs)),
            "n_folds": self.n_folds,
            "n_settings": self.n_settings,
            "failed": dict(self.failed),
            "now": self.now,
            "chosen": self.chosen,
            "by_fold": list(self.by_fold),
            "metrics": {
                metric: {
                    "now": bootstrap(self._column(self.figures_now, metric), self.docs)._asdict(),
                    "held_out": bootstrap(self._column(self.figures_held_out, metric), self.docs)._asdict(),
                    "difference": self.difference(metric)._asdict(),
                }
                for metric in RANKING_METRICS
            },
            "is_better": self.is_better,
            "verdict": self.verdict(),
            "retrieval": self.options.model_dump(mode="json"),
        }
        if self.cutoff is not None:
            recall, pages = self.cutoff.shares_kept(self.docs)
            values["cutoff"] = {
                "keep": self.cutoff.keep,
                "recall_at_10_kept": recall._asdict(),
                "pages_kept": pages._asdict(),
            }
        return values

    def _column(self, figures: Floats, metric: str) -> Floats:
        """One metric and ones, to be summed."""
        return np.column_stack([figures[:, RANKING_METRICS.index(metric)], np.ones(len(figures))])


def _quotient(sums: Floats) -> Floats:
    return ratio(sums[:, 0], sums[:, 1])
