"""What the configuration may say about the text encoder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from docrag.http.options import EndpointOptions
from docrag.options import Options


class MiniLmOptions(Options):
    """The sentence encoder that is installed along with docrag."""

    kind: Literal["minilm"] = "minilm"
    max_tokens: int = Field(
        default=256, ge=8, le=512, description="longer texts are cut; the model knows 512 at most"
    )
    n_threads: int = Field(default=0, ge=0, le=256, description="0 takes every core this process may use")


class SentenceTransformersOptions(Options):
    """Any sentence-transformers model, by name or folder; nothing is downloaded unless `download` says so."""

    kind: Literal["sentence-transformers"] = "sentence-transformers"
    model: str = Field(min_length=1, description="a folder, or a name on the Hugging Face hub")
    revision: str | None = Field(
        default=None, description="commit, tag or branch on the hub; null takes the newest"
    )
    device: str | None = Field(default=None, description='"cpu", "cuda:0", …; None lets the library choose')
    batch_size: int = Field(default=32, ge=1, le=4096, description="texts in one pass of the model")
    query_prompt: str = Field(default="", description='put before every query, such as "query: "')
    passage_prompt: str = Field(default="", description='put before every passage, such as "passage: "')
    download: bool = Field(default=False, description="allow fetching the model from the hub")


class OpenAiEmbeddingsOptions(EndpointOptions):
    """An OpenAI-compatible ``POST {base_url}/embeddings`` endpoint."""

    kind: Literal["openai"] = "openai"
    model: str = Field(min_length=1, description="the model's name, as the server has it")
    dim: int | None = Field(
        default=None, ge=1, description="asked for, for models that can shorten their vectors"
    )
    batch_size: int = Field(default=64, ge=1, le=2048, description="texts in one request")
    timeout_s: float = Field(
        default=60.0, gt=0, description="for one try of a request; then it is tried again"
    )
    max_retries: int = Field(default=4, ge=0, le=20, description="tries after the first")
    query_prompt: str = Field(default="", description='put before every query, such as "query: "')
    passage_prompt: str = Field(default="", description='put before every passage, such as "passage: "')

    @field_validator("base_url")
    @classmethod
    def _without_path(cls, url: str) -> str:
        return url.removesuffix("/embeddings")


class NoEncoder(Options):
    """No dense retrieval: BM25 alone."""

    kind: Literal["none"] = "none"


TextEncoderOptions = Annotated[
    MiniLmOptions | SentenceTransformersOptions | OpenAiEmbeddingsOptions | NoEncoder,
    Field(discriminator="kind"),
]
