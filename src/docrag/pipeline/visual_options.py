"""What the configuration may say about visual retrieval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from docrag.embed.visual.options import VisualEncoderOptions
from docrag.late_interaction.maxsim import Backend
from docrag.late_interaction.multivectors import VectorType


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExactOptions(_Options):
    """No candidate stage."""

    kind: Literal["exact"] = "exact"


class PooledOptions(_Options):
    """MaxSim over few pooled vectors a unit, as int8 or signs."""

    kind: Literal["pooled"] = "pooled"
    pool_factor: int = Field(default=4, ge=1, le=256)
    vector_type: Literal["int8", "1-bit"] = "1-bit"


class FdeOptions(_Options):
    """MUVERA's fixed dimensional encodings."""

    kind: Literal["fde"] = "fde"
    n_repetitions: int = Field(default=20, ge=1, le=256)
    n_planes: int = Field(default=4, ge=1, le=8)
    n_projected: int = Field(default=16, ge=1, le=256)
    seed: int = Field(default=42, ge=0)


CandidateOptions = Annotated[ExactOptions | PooledOptions | FdeOptions, Field(discriminator="kind")]


class VisualOptions(_Options):
    """An encoder that looks at pages, what of it is stored, and how it is searched."""

    encoder: VisualEncoderOptions
    units: tuple[Literal["page", "region"], ...] = Field(
        default=("page",), min_length=1, description="what gets vectors: page images, crops of regions"
    )
    vectors: VectorType = Field(default="int8", description="how vectors are stored")
    pool_factor: int = Field(default=1, ge=1, le=64, description="hierarchical token pooling; 1 is off")
    longest_px: int = Field(default=1400, ge=64, le=8192, description="longer side of a rendered page")
    candidates: CandidateOptions = PooledOptions()
    exact_below: int = Field(
        default=5_000, ge=0, description="units up to which everything is scored exactly"
    )
    n_candidates: int = Field(default=200, ge=1, description="units scored exactly above that")
    regions: Literal["direct", "cascade"] = Field(
        default="direct", description="rank all regions, or those of the best pages"
    )
    n_cascade_pages: int = Field(default=50, ge=1)
    backend: Backend = "auto"
    device: str = Field(default="cpu", description="where MaxSim is computed")
