"""What the configuration may say about reranking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from docrag.devices import DType
from docrag.http.options import VllmServerOptions
from docrag.options import Options
from docrag.retrieve.cutoff.options import AdaptiveOptions, CutoffOptions
from docrag.retrieve.rerank.passages import OVERLAP, WORDS
from docrag.retrieve.rerank.shown import Show
from docrag.retrieve.rerank.yes_no_model import INSTRUCTION

Endpoint = Literal["score", "rerank"]


class _Budgeted(Options):
    n_head: int = Field(default=20, ge=1, description="results that are judged, from the best on")
    max_calls: int | None = Field(
        default=None, ge=1, description="calls of the model, or batches, per search"
    )
    max_seconds: float | None = Field(default=60.0, gt=0, description="time for the judging of one search")


class _Viewing(Options):
    show: Show = Field(default="text", description="what is judged: text, image, or both")
    dpi: float = Field(default=100.0, ge=20, le=400, description="of the pictures")
    max_chars: int = Field(default=6_000, ge=1, description="characters of a page's text")


class _Chatting(_Budgeted, _Viewing):
    n_parallel: int = Field(default=4, ge=1, le=64, description="calls at a time")
    timeout_s: float = Field(default=60.0, gt=0, description="for each call")


class PointwiseOptions(_Chatting):
    """P(yes) by the first token of the chat model in the role `rerank`."""

    kind: Literal["pointwise"] = "pointwise"


class YesNoModelOptions(_Budgeted, _Viewing):
    """P(yes) by a model in this process, such as Qwen3-Reranker or Qwen3-VL-Reranker."""

    kind: Literal["yes-no"] = "yes-no"
    model: str = Field(min_length=1, description="a folder, or a name on the Hugging Face hub")
    revision: str | None = Field(
        default=None, description="commit, tag or branch on the hub; null takes the newest"
    )
    download: bool = Field(default=False, description="allow fetching the checkpoint from the hub")
    device: str = Field(
        default="auto", description='"cpu", "cuda:0", "mps", …; auto takes an accelerator where there is one'
    )
    dtype: DType = Field(default="auto", description="bfloat16 on a GPU that has it, else float32")
    batch_size: int = Field(
        default=4,
        ge=1,
        le=1024,
        description="inputs in one pass of the model; only those of equal size share one",
    )
    instruction: str = Field(
        default=INSTRUCTION, description="what relevance means, told to the model with every page"
    )


class CrossEncoderOptions(_Budgeted):
    """A sequence classifier over question and passage; the best passage speaks for its page."""

    kind: Literal["cross-encoder"] = "cross-encoder"
    model: str = Field(min_length=1, description="a folder, or a name on the Hugging Face hub")
    runtime: Literal["transformers", "onnx"] = Field(
        default="transformers", description='"onnx" needs no extra, but model.onnx and tokenizer.json'
    )
    revision: str | None = Field(
        default=None, description="commit, tag or branch on the hub; null takes the newest"
    )
    download: bool = Field(default=False, description="allow fetching the checkpoint from the hub")
    device: str = Field(
        default="auto", description='"cpu", "cuda:0", "mps", …; auto takes an accelerator where there is one'
    )
    dtype: DType = Field(default="auto", description="bfloat16 on a GPU that has it, else float32")
    batch_size: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="passages in one pass of the model; only those of equal length share one",
    )
    max_tokens: int = Field(default=512, ge=16, description="question and passage together")
    passage_words: int = Field(
        default=WORDS, gt=OVERLAP, description="words in a passage of a page; neighbours share 40"
    )
    max_chars: int = Field(default=20_000, ge=1, description="characters of a page's text")

    @model_validator(mode="after")
    def _check_runtime(self) -> Self:
        if self.runtime == "onnx" and (self.device not in ("auto", "cpu") or self.dtype != "auto"):
            raise ValueError(
                "runtime onnx runs on the CPU in the export's own number type; leave out device, dtype"
            )
        return self


class VllmScoreOptions(VllmServerOptions, _Budgeted, _Viewing):
    """A reranker behind a vLLM server."""

    kind: Literal["vllm-score"] = "vllm-score"
    endpoint: Endpoint = Field(default="score", description="path that scores: /score or /rerank")
    batch_size: int = Field(default=16, ge=1, le=1024, description="texts in one request")
    n_parallel: int = Field(default=4, ge=1, le=64, description="requests in flight")
    timeout_s: float = Field(
        default=60.0, gt=0, description="seconds for each request, repeated tries included"
    )
    max_retries: int = Field(default=2, ge=0, le=20, description="tries after the first")


class ListwiseOptions(_Chatting):
    """The chat model in the role `rerank` orders windows of results."""

    kind: Literal["listwise"] = "listwise"
    max_chars: int = Field(default=2_000, ge=1, description="characters of a page's text")
    window: int = Field(default=10, ge=2, le=100, description="results in one call")
    stride: int = Field(default=5, ge=1, description="from one window to the next")
    n_permutations: int = Field(default=2, ge=1, le=20, description="orders in which each window is put")
    seed: int = Field(default=0, description="of the orders in which windows are put")

    @model_validator(mode="after")
    def _check_stride(self) -> Self:
        if self.stride > self.window:
            raise ValueError(f"stride is {self.stride}, expected at most window, {self.window}")
        return self


class ConsistencyOptions(_Chatting):
    """The chat model in the role `rerank` keeps the results that make sense together (MMKB-RAG)."""

    kind: Literal["consistency-filter"] = "consistency-filter"
    n_head: int = Field(
        default=8, ge=2, description="results that are seen, from the best on; others are cut"
    )
    max_chars: int = Field(default=3_000, ge=1, description="characters of a page's text")


JudgeOptions = Annotated[
    PointwiseOptions | YesNoModelOptions | CrossEncoderOptions | VllmScoreOptions, Field(discriminator="kind")
]


class RelevanceFilterOptions(Options):
    """Any judge, and a cut where it finds results not relevant enough (MMKB-RAG's P(rel))."""

    kind: Literal["relevance-filter"] = "relevance-filter"
    judge: JudgeOptions = Field(description="who says how relevant a page is")
    keep: CutoffOptions = Field(
        default=AdaptiveOptions(),
        description="cut-off over the relevances; the default keeps up to 5 of 0.5 and more",
    )


StepOptions = Annotated[
    PointwiseOptions
    | YesNoModelOptions
    | CrossEncoderOptions
    | VllmScoreOptions
    | ListwiseOptions
    | RelevanceFilterOptions
    | ConsistencyOptions,
    Field(discriminator="kind"),
]


class RerankOptions(Options):
    """Rerankers and filters, each working on what the one before it gives; none by default."""

    steps: tuple[StepOptions, ...] = Field(default=(), description="such as [{kind: pointwise}]")
    cache_entries: int = Field(default=10_000, ge=1, description="judgements remembered in memory")
    cache_file: Path | None = Field(
        default=None, description="remembers judgements between runs: digests and scores, no text"
    )

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        names = [step_name(step) for step in self.steps]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the step {', '.join(twice)} stands there twice, expected each once")
        return self


def step_name(step: StepOptions) -> str:
    """Kind of a step, with the kind of its judge after it where it has one."""
    return f"{step.kind}:{step.judge.kind}" if isinstance(step, RelevanceFilterOptions) else step.kind
