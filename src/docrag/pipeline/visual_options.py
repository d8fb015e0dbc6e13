"""What the configuration may say about visual retrieval."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from docrag.embed.visual.options import VisualEncoderOptions
from docrag.late_interaction.maxsim import Backend
from docrag.late_interaction.multivectors import VectorType
from docrag.retrieve.visual.screen import SCREENED_TYPES


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExactOptions(_Options):
    """No candidate stage: everything is scored exactly, whatever it takes."""

    kind: Literal["exact"] = "exact"


class AutoOptions(_Options):
    """Few pooled vectors a page as int8, the stage that keeps most for its time as measured.

    Pages stored as residuals have them already, as centroids.
    """

    kind: Literal["auto"] = "auto"


class PooledOptions(_Options):
    """MaxSim over few pooled vectors a unit, as int8 or signs."""

    kind: Literal["pooled"] = "pooled"
    pool_factor: int = Field(
        default=4, ge=1, le=256, description="vectors of a unit that are pooled into one, on average"
    )
    vector_type: Literal["int8", "1-bit"] = Field(
        default="1-bit", description="how pooled vectors are kept: int8, or their signs alone"
    )


class _IndexOptions(_Options):
    index_from: int = Field(
        default=20_000, ge=1, description="rows from which LanceDB gets an IVF index; fewer are scanned"
    )
    n_probes: int = Field(default=64, ge=1, description="partitions of that index looked into")


class FdeOptions(_IndexOptions):
    """MUVERA's fixed dimensional encodings, compared by inner product."""

    kind: Literal["fde"] = "fde"
    n_repetitions: int = Field(
        default=20,
        ge=1,
        le=256,
        description="random cuts of the space side by side; an encoding grows with them",
    )
    n_planes: int = Field(
        default=5,
        ge=1,
        le=8,
        description="hyperplanes of a cut, which make 2 to the power of n_planes buckets",
    )
    n_projected: int = Field(
        default=16,
        ge=1,
        le=256,
        description="dimensions that vectors are projected to before they are summed in a bucket",
    )
    final_dim: int | None = Field(
        default=None, ge=8, description="fold encodings to so many numbers; null leaves them whole"
    )
    seed: int = Field(
        default=42, ge=0, description="of hyperplanes and projections; another one makes all encodings anew"
    )
    search: Literal["lancedb", "flat"] = Field(
        default="lancedb", description="a LanceDB vector index, or one matrix product over the segments"
    )


class TokensOptions(_Options):
    """Token retrieval in inverted lists, similarities not seen imputed (XTR)."""

    kind: Literal["tokens"] = "tokens"
    n_probes: int = Field(default=4, ge=1, description="lists looked into per query vector and segment")
    k_tokens: int = Field(default=10_000, ge=1, description="vectors retrieved per query vector")


class LanceOptions(_IndexOptions):
    """LanceDB's own multivector search over pooled vectors."""

    kind: Literal["lancedb"] = "lancedb"
    pool_factor: int = Field(
        default=4, ge=1, le=256, description="vectors of a unit that are pooled into one, on average"
    )


class ScreenOptions(_Options):
    """Everything that can be among the best, and nothing missed: an int8 copy, with bounds on its error.

    The copy adds half to float16 vectors and a quarter to float32. It is quicker to scan with torch, whose
    int8 products are; with numpy a screen takes about as long as the exact scan. How many units are scored
    exactly, the vectors decide and not `n_candidates`, and `retrieval.depth`, which says how many of the best
    must be certain: of 6,000 made-up pages a screen for 10 left 18 and took 0.45 of the exact scan's time,
    one for 200 left 969 and took 0.84. Up to `exact_below` units all are scored, none if that is null.
    """

    kind: Literal["screen"] = "screen"


CandidateOptions = Annotated[
    AutoOptions | ExactOptions | PooledOptions | FdeOptions | TokensOptions | LanceOptions | ScreenOptions,
    Field(discriminator="kind"),
]


class VisualOptions(_Options):
    """An encoder that looks at pages, what of it is stored, and how it is searched."""

    encoder: VisualEncoderOptions = Field(description="what makes vectors of pictures and questions")
    units: tuple[Literal["page", "region"], ...] = Field(
        default=("page",), min_length=1, description="what gets vectors: page images, crops of regions"
    )
    vectors: VectorType = Field(
        default="int8",
        description="how vectors are stored: float32; float16, half of it; int8, a quarter, rankings all but "
        "equal; 4-bit, an eighth: about 93 of 100 of the best ten pages; residual, a twelfth with its "
        "shortlist, for many vectors a page: about 95 of 100, and the very best, but indexing a page takes "
        "0.06 s more; 1-bit, a thirty-second: about 87 of 100",
    )
    pool_factor: int = Field(default=1, ge=1, le=64, description="hierarchical token pooling; 1 is off")
    longest_px: int = Field(default=1400, ge=64, le=8192, description="longer side of a rendered page")
    candidates: CandidateOptions = Field(
        default=AutoOptions(),
        description="how the units that are scored exactly are found, where not all of them are",
    )
    exact_below: int | None = Field(
        default=None,
        ge=0,
        description="units up to which everything is scored exactly; null decides by how long that takes",
    )
    n_candidates: int = Field(
        default=200,
        ge=1,
        description="units scored exactly above that; never fewer than retrieval.depth, which are asked for",
    )
    regions: Literal["direct", "cascade"] = Field(
        default="direct", description="rank all regions, or those of the best pages"
    )
    n_cascade_pages: int = Field(default=50, ge=1, description="cascade: best pages whose regions are ranked")
    backend: Backend = Field(
        default="auto", description="what computes MaxSim; auto: torch where it is installed, else numpy"
    )
    device: str = Field(default="cpu", description="where MaxSim is computed")

    @model_validator(mode="after")
    def _screens_floats(self) -> Self:
        if self.candidates.kind == "screen" and self.vectors not in SCREENED_TYPES:
            raise ValueError(
                f"candidates of kind screen need vectors: float16 or float32, got {self.vectors}, whose "
                "exact scan costs no more than their screening; change vectors (and index anew), or take "
                "candidates of kind exact or auto"
            )
        return self
