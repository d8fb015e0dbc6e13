"""The retrieval settings that tuning chooses from: weights of retrievers and boosts, and cut-offs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from docrag.retrieve.build import weights_of
from docrag.retrieve.cutoff.options import (
    AdaptiveOptions,
    CutoffOptions,
    FixedOptions,
    GaussianMixtureOptions,
    LargestGapOptions,
    RelativeOptions,
)
from docrag.retrieve.options import (
    FusionOptions,
    ReciprocalRankOptions,
    RetrievalOptions,
    WeightedSumOptions,
)

RECIPROCAL_RANK = "reciprocal-rank"
AS_CONFIGURED = "as configured"
"""A fusion without weights, which is left as it is."""

FUSIONS = ("zscore", "min-max", RECIPROCAL_RANK)
"""Fusions that are tried: other normalisations of scores come close to one of these."""

SHARES = tuple(tenth / 10 for tenth in range(11))
REFERENCE_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0)
CASCADE_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
NEIGHBOUR_WEIGHTS = (0.0, 0.125, 0.25, 0.5)
"""Grids, coarse on purpose: a few hundred questions cannot tell finer ones apart."""

_SHARE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class RetrievalSetting:
    """One point of the grid.

    `shares` are the weights of the retrievers, in their order, and sum to 1; `fusion` is a normalisation of
    scores, `RECIPROCAL_RANK`, or `AS_CONFIGURED`.
    """

    fusion: str
    shares: tuple[float, ...]
    reference_weight: float
    cascade_weight: float
    neighbour_weight: float
    cutoff: CutoffOptions | None


class RetrievalSpace:
    """The settings around a configuration, `docrag.evaluation.tuning.Space`.

    Parameters
    ----------
    names
        The configured retrievers.
    active
        Those that found something for at least one question; the weight of another means nothing.
    with_cutoff
        Whether the configured cut-off stays; without, settings have none.
    """

    def __init__(
        self,
        base: RetrievalOptions,
        names: Sequence[str],
        active: Sequence[str],
        *,
        has_regions: bool,
        with_cutoff: bool = True,
    ) -> None:
        self._base = base
        self._names = tuple(names)
        self._active = tuple(i for i, name in enumerate(names) if name in active)
        self._has_regions = has_regions
        fusion, shares = _fusion_of(base.fusion, self._names)
        self._start = RetrievalSetting(
            fusion,
            shares,
            base.reference_weight,
            base.cascade_weight,
            base.neighbour_weight,
            base.cutoff if with_cutoff else None,
        )

    @property
    def start(self) -> RetrievalSetting:
        """The configuration itself."""
        return self._start

    def moves(self, setting: RetrievalSetting) -> list[list[RetrievalSetting]]:
        """Fusion with each retriever's share in turn, then the weights of references, regions, neighbours."""
        moves: list[list[RetrievalSetting]] = []
        shared = self._active if len(self._active) != 2 else self._active[:1]  # the other's is what is left
        if len(self._active) > 1:
            for i in shared:
                moves.append(
                    [
                        replace(setting, fusion=fusion, shares=_with_share(shares, i, share, self._active))
                        for fusion in dict.fromkeys([setting.fusion, self._start.fusion, *FUSIONS])
                        if fusion != AS_CONFIGURED
                        for shares in [setting.shares or _even(self._names, self._active)]
                        for share in dict.fromkeys([shares[i], *SHARES])
                    ]
                )
        references = REFERENCE_WEIGHTS if self._base.references == "boost" else REFERENCE_WEIGHTS[1:]
        moves.append([replace(setting, reference_weight=weight) for weight in references])
        if self._has_regions:
            moves.append([replace(setting, cascade_weight=weight) for weight in CASCADE_WEIGHTS])
        moves.append([replace(setting, neighbour_weight=weight) for weight in NEIGHBOUR_WEIGHTS])
        return moves

    def complexity(self, setting: RetrievalSetting) -> tuple[float, ...]:
        """Number of parts at work, then of respects in which the setting differs from the configuration."""
        boosts = (setting.reference_weight, setting.cascade_weight, setting.neighbour_weight)
        n_retrievers = sum(share > 0 for share in setting.shares) or len(self._active)
        n_parts = n_retrievers + sum(weight > 0 for weight in boosts) + (setting.cutoff is not None)
        return n_parts, len(self.changes(setting))

    def changes(self, setting: RetrievalSetting) -> list[str]:
        """Names of what differs from the configuration."""
        names = RetrievalSetting.__dataclass_fields__
        return [name for name in names if getattr(setting, name) != getattr(self._start, name)]

    def options(self, setting: RetrievalSetting) -> RetrievalOptions:
        """The options that the setting stands for."""
        return self._base.model_copy(
            update={
                "fusion": self._fusion(setting),
                "reference_weight": setting.reference_weight,
                "cascade_weight": setting.cascade_weight,
                "neighbour_weight": setting.neighbour_weight,
                "cutoff": setting.cutoff,
            }
        )

    def describe(self, setting: RetrievalSetting) -> str:
        """The setting in words: ``zscore, bm25 0.7, dense 0.3; references 4``."""
        parts = [setting.fusion]
        parts += [f"{name} {share:g}" for name, share in zip(self._names, setting.shares, strict=False)]
        boosts = {
            "references": setting.reference_weight,
            "cascade": setting.cascade_weight,
            "neighbours": setting.neighbour_weight,
        }
        parts = [", ".join(parts), *(f"{name} {weight:g}" for name, weight in boosts.items() if weight)]
        if setting.cutoff is not None:
            values = setting.cutoff.model_dump(exclude={"kind"})
            parts.append(f"cut: {setting.cutoff.kind}, " + ", ".join(f"{k} {v}" for k, v in values.items()))
        return "; ".join(parts)

    def _fusion(self, setting: RetrievalSetting) -> FusionOptions:
        if (setting.fusion, setting.shares) == (self._start.fusion, self._start.shares):
            return self._base.fusion
        weights = dict(zip(self._names, setting.shares, strict=True))
        base = self._base.fusion
        if setting.fusion == RECIPROCAL_RANK:
            kept = base if isinstance(base, ReciprocalRankOptions) else ReciprocalRankOptions()
            return kept.model_copy(update={"weights": weights})
        kept = base if isinstance(base, WeightedSumOptions) else WeightedSumOptions()
        return kept.model_copy(update={"weights": weights, "normalise": setting.fusion})


def cutoffs(scores: Sequence[float], *, n_shown: int) -> list[CutoffOptions]:
    """Cut-offs to choose from, of every kind; `scores` are fused ones from which thresholds are taken."""
    found: list[CutoffOptions] = [FixedOptions(k=k) for k in range(1, n_shown)]
    found += [
        RelativeOptions(min_fraction=tenth / 10, max_kept=n_shown, min_kept=least)
        for tenth in range(1, 10)
        for least in (1, 3)
    ]
    found += [LargestGapOptions(min_kept=least, max_kept=n_shown) for least in (1, 2, 3, 5)]
    found += [
        GaussianMixtureOptions(min_kept=least, max_kept=n_shown, n_in=2 * n_shown) for least in (1, 3, 5)
    ]
    thresholds = dict.fromkeys(float(f"{score:.2g}") for score in scores)
    return found + [AdaptiveOptions(min_score=score, min_kept=1, max_kept=n_shown) for score in thresholds]


def _fusion_of(options: FusionOptions, names: Sequence[str]) -> tuple[str, tuple[float, ...]]:
    """Fusion and shares that `options` stand for."""
    match options:
        case WeightedSumOptions():
            fusion: str = options.normalise
        case ReciprocalRankOptions():
            fusion = RECIPROCAL_RANK
        case _:
            return AS_CONFIGURED, ()
    weights = weights_of(options, tuple(names))
    total = sum(weights.values())
    return fusion, tuple(round(weights[name] / total, _SHARE_DIGITS) for name in names)


def _even(names: Sequence[str], active: Sequence[int]) -> tuple[float, ...]:
    return tuple(round(1 / len(active), _SHARE_DIGITS) if i in active else 0.0 for i in range(len(names)))


def _with_share(
    shares: Sequence[float], which: int, share: float, active: Sequence[int]
) -> tuple[float, ...]:
    """`shares` with one of them set; the others of `active` keep their proportions, or share evenly if 0."""
    others = sum(shares[i] for i in active if i != which)
    n_others = len(active) - 1

    def rest(i: int) -> float:
        return (1 - share) * (shares[i] / others if others > 0 else 1 / n_others)

    return tuple(
        round(share if i == which else rest(i) if i in active else 0.0, _SHARE_DIGITS)
        for i in range(len(shares))
    )
