"""What the configuration may say about chat models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator

from docrag.devices import DType
from docrag.http.options import EndpointOptions
from docrag.options import Options

# ── tokens of pictures ───────────────────────────────────────────────────────────────────────────────


class AutoImageTokens(Options):
    """By the checkpoint or the name of the model; where neither says it, an estimate upwards."""

    kind: Literal["auto"] = "auto"


class PatchImageTokens(Options):
    """One token for ``merge x merge`` patches of ``patch_px`` pixels: Qwen2-VL to Qwen3-VL, Pixtral."""

    kind: Literal["patches"] = "patches"
    patch_px: int = Field(default=14, ge=1, description="side of a patch in pixels")
    merge: int = Field(default=2, ge=1, description="patches along each side that become one token")
    min_pixels: int = Field(default=56 * 56, ge=1, description="smaller pictures are enlarged to it")
    max_pixels: int = Field(default=1280 * 28 * 28, ge=1, description="as the server has it")
    n_around: int = Field(default=2, ge=0, description="tokens before and after a picture")


class SplitImageTokens(Options):
    """A fixed number of tokens for every tile and for the whole: Idefics3 and SmolVLM."""

    kind: Literal["split"] = "split"
    longest_edge_px: int = Field(
        default=2048, ge=1, description="what the longest side is scaled to, in pixels"
    )
    tile_px: int = Field(default=512, ge=1, description="side of a tile in pixels")
    tokens_per_tile: int = Field(
        default=64, ge=1, description="tokens for every tile, and for the whole picture beside them"
    )


class OpenAiTiles(Options):
    """OpenAI's tiles of 512 px in high detail; the defaults are those of gpt-4o."""

    kind: Literal["openai-tiles"] = "openai-tiles"
    base_tokens: int = Field(default=85, ge=0, description="tokens for every picture")
    tokens_per_tile: int = Field(default=170, ge=1, description="tokens for every tile on top")


ImageTokenOptions = Annotated[
    AutoImageTokens | PatchImageTokens | SplitImageTokens | OpenAiTiles, Field(discriminator="kind")
]


# ── models ───────────────────────────────────────────────────────────────────────────────────────────


class PriceOptions(Options):
    """US dollars for a million tokens."""

    input_usd: float = Field(ge=0, description="for a million tokens of prompts")
    output_usd: float = Field(ge=0, description="for a million tokens of replies")
    cached_input_usd: float | None = Field(default=None, ge=0, description="None: as input_usd")


class ClientOptions(Options):
    """What every kind of model has."""

    context_tokens: int = Field(default=32_768, ge=256, description="prompt and reply together")
    max_images: int = Field(default=50, ge=0, description="pictures in one call; 0 for a text-only model")
    max_output_tokens: int = Field(default=1024, ge=1, description="where a call does not say it")
    timeout_s: float = Field(default=120.0, gt=0, description="of a whole call, repeated tries included")
    max_tries: int = Field(
        default=3, ge=1, le=3, description="tries of a call that fails for a passing reason"
    )
    image_tokens: ImageTokenOptions = Field(
        default=AutoImageTokens(), description="how the tokens of a picture are counted"
    )
    tokenizer: Path | None = Field(
        default=None, description="a tokenizer.json, or the folder of one; None estimates"
    )
    price: PriceOptions | None = Field(
        default=None, description="what tokens cost; null: unknown, and no part of cost_usd"
    )


class OpenAiCompatibleOptions(EndpointOptions, ClientOptions):
    """A ``POST {base_url}/chat/completions`` endpoint: vLLM, llama.cpp, Ollama, any vendor."""

    kind: Literal["openai"] = "openai"
    model: str = Field(min_length=1, description="the model's name, as the server has it")
    temperature: float | None = Field(default=0.0, ge=0, description="None leaves it to the server")
    seed: int | None = Field(
        default=None, description="of the sampling, for servers that take one; null sends none"
    )
    structured: bool = Field(default=True, description="send JSON schemas; false for servers without them")
    extra_body: Mapping[str, Any] = Field(
        default_factory=dict[str, Any], description="more fields of the request, such as chat_template_kwargs"
    )

    @field_validator("base_url")
    @classmethod
    def _without_path(cls, url: str) -> str:
        return url.removesuffix("/chat/completions")

    @field_validator("extra_body")
    @classmethod
    def _adds_only(cls, body: Mapping[str, Any]) -> Mapping[str, Any]:
        own = sorted(body.keys() & {"model", "messages", "stream", "stream_options", "response_format"})
        if own:
            raise ValueError(f"cannot set {', '.join(own)}, which docrag sets itself")
        return body


class TransformersChatOptions(ClientOptions):
    """A vision-language model in this process, loaded by the transformers library."""

    kind: Literal["transformers"] = "transformers"
    model: str = Field(min_length=1, description="a folder, or a name on the Hugging Face hub")
    revision: str | None = Field(default=None, description="commit, tag or branch on the hub")
    device: str = Field(default="auto", description='"cpu", "cuda:0", "mps", …')
    dtype: DType = Field(default="auto", description="bfloat16 on a GPU that has it, else float32")
    temperature: float = Field(default=0.0, ge=0, description="0 takes the likeliest token every time")
    download: bool = Field(default=False, description="allow fetching the checkpoint from the hub")


class LangChainOptions(ClientOptions):
    """Any LangChain chat model, by the name of its class: ``langchain_openai:ChatOpenAI``.

    Such models often repeat failed requests themselves, so `max_tries` is 1 here. They make connections of
    their own, too: proxies and certificates are what their package makes of `arguments` and the environment.
    """

    kind: Literal["langchain"] = "langchain"
    target: str = Field(pattern=r"^[\w.]+:\w+$", description="module:Class, or module:function")
    arguments: Mapping[str, Any] = Field(
        default_factory=dict[str, Any], description="keyword arguments that the class is made with"
    )
    secrets: Mapping[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr],
        description="arguments that are secret, such as ${OPENAI_API_KEY}",
    )
    max_tries: int = Field(
        default=1,
        ge=1,
        le=3,
        description="tries of a call that fails; such models often try again by themselves",
    )


class ScriptedRule(Options):
    """`reply` to every conversation in which the regular expression `when` is found."""

    when: str = Field(description="a regular expression, looked for in the whole conversation")
    reply: str = Field(description="what is said then")

    @field_validator("when")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern


class ScriptFile(Options):
    """What a script's YAML file holds."""

    replies: tuple[str, ...] = Field(
        default=(), description="what is said to calls that no rule fits, in this order"
    )
    rules: tuple[ScriptedRule, ...] = Field(
        default=(), description="replies to conversations that fit; the first that fits is taken"
    )


class ScriptedOptions(ClientOptions):
    """Replies that are written down beforehand: for tests and demonstrations.

    `file` is a YAML file with ``replies`` and ``rules`` that come after those given here.
    """

    kind: Literal["scripted"] = "scripted"
    replies: tuple[str, ...] = Field(
        default=(), description="what is said to calls that no rule fits, in this order"
    )
    rules: tuple[ScriptedRule, ...] = Field(
        default=(), description="replies to conversations that fit; the first that fits is taken"
    )
    file: Path | None = Field(
        default=None, description="YAML file with more replies and rules, which come after these"
    )
    repeat_last: bool = Field(
        default=False, description="say the last reply again when all are used, instead of failing"
    )
    chunk_chars: int = Field(default=0, ge=0, description="pieces of the stream; 0 streams a reply whole")


ModelOptions = Annotated[
    OpenAiCompatibleOptions | TransformersChatOptions | LangChainOptions | ScriptedOptions,
    Field(discriminator="kind"),
]


class RoleOptions(Options):
    """A model for everything, and others for single roles, whose options stand alone."""

    default: ModelOptions = Field(description="the model of every role that names none of its own")
    answer: ModelOptions | None = Field(default=None, description="writes answers")
    inspect: ModelOptions | None = Field(default=None, description="looks at pages")
    plan: ModelOptions | None = Field(default=None, description="decides what to do next")
    judge: ModelOptions | None = Field(default=None, description="judges sufficiency and support")
    rerank: ModelOptions | None = Field(default=None, description="orders search results")
