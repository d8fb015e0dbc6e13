"""What the configuration may say about cut-offs, and the cut-offs that it makes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from docrag.options import Options
from docrag.protocols import Cutoff
from docrag.retrieve.cutoff.adaptive import AdaptiveCutoff
from docrag.retrieve.cutoff.fixed import FixedCutoff
from docrag.retrieve.cutoff.gaussian_mixture import GaussianMixtureCutoff, Select
from docrag.retrieve.cutoff.largest_gap import LargestGapCutoff
from docrag.retrieve.cutoff.relative import RelativeCutoff
from docrag.retrieve.cutoff.threshold import ThresholdCutoff


class _Bounded(Options):
    min_kept: int = Field(default=1, ge=1, description="units that always stay")
    max_kept: int = Field(default=10, ge=1, description="units that may stay")

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min_kept > self.max_kept:
            raise ValueError(f"min_kept is {self.min_kept}, expected at most max_kept, {self.max_kept}")
        return self


class FixedOptions(Options):
    """The first k."""

    kind: Literal["fixed"] = "fixed"
    k: int = Field(default=10, ge=1, description="units that stay")

    def build(self) -> Cutoff:
        """Make the cut-off."""
        return FixedCutoff(self.k)


class ThresholdOptions(Options):
    """What scores enough; 0 units may stay."""

    kind: Literal["threshold"] = "threshold"
    min_score: float = Field(
        allow_inf_nan=False, description="least score that stays, on the scale of the ranking that is cut"
    )
    min_kept: int = Field(default=0, ge=0, description="units that stay whatever they score")

    def build(self) -> Cutoff:
        """Make the cut-off."""
        return ThresholdCutoff(self.min_score, min_kept=self.min_kept)


class AdaptiveOptions(_Bounded):
    """Up to `max_kept` that score enough; 0 units may stay."""

    kind: Literal["adaptive"] = "adaptive"
    min_score: float = Field(
        default=0.5,
        allow_inf_nan=False,
        description="least score that stays, on the scale of the ranking that is cut",
    )
    min_kept: int = Field(default=0, ge=0, description="units that stay whatever they score")
    max_kept: int = Field(default=5, ge=1, description="units that may stay")

    def build(self) -> Cutoff:
        """Make the cut-off."""
        return AdaptiveCutoff(self.min_score, min_kept=self.min_kept, max_kept=self.max_kept)


class RelativeOptions(_Bounded):
    """Up to `max_kept` that score a fraction of the best."""

    kind: Literal["relative"] = "relative"
    min_fraction: float = Field(
        default=0.5, ge=0, le=1, description="least share of the best unit's score that stays"
    )

    def build(self) -> Cutoff:
        """Make the cut-off."""
        return RelativeCutoff(self.min_fraction, min_kept=self.min_kept, max_kept=self.max_kept)


class LargestGapOptions(_Bounded):
    """Where the score falls most."""

    kind: Literal["largest-gap"] = "largest-gap"

    def build(self) -> Cutoff:
        """Make the cut-off."""
        return LargestGapCutoff(min_kept=self.min_kept, max_kept=self.max_kept)


class GaussianMixtureOptions(_Bounded):
    """The better of two score clusters, as in ViDoRAG, with its numbers."""

    kind: Literal["gaussian-mixture"] = "gaussian-mixture"
    n_in: int = Field(default=20, ge=2, description="best scores that are fitted")
    min_kept: int = Field(default=5, ge=1, description="units that always stay")
    max_kept: int = Field(default=10, ge=1, description="units that may stay")
    select: Select = Field(
        default="max_member",
        description="the better cluster: that of the highest score, or the one with the higher mean",
    )

    @model_validator(mode="after")
    def _check_sample(self) -> Self:
        if self.n_in < self.max_kept:
            raise ValueError(f"n_in is {self.n_in}, expected at least max_kept, {self.max_kept}")
        return self

    def build(self) -> Cutoff:
        """Make the cut-off."""
        return GaussianMixtureCutoff(
            n_in=self.n_in, min_kept=self.min_kept, max_kept=self.max_kept, select=self.select
        )


CutoffOptions = Annotated[
    FixedOptions
    | ThresholdOptions
    | AdaptiveOptions
    | RelativeOptions
    | LargestGapOptions
    | GaussianMixtureOptions,
    Field(discriminator="kind"),
]
