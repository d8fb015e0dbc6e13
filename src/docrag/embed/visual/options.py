"""What the configuration may say about the encoder of page and region images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from docrag.devices import DType
from docrag.http.options import VllmServerOptions
from docrag.options import Options


class LocalVisualOptions(Options):
    """A checkpoint run in this process. Which model it is, its own configuration says, not its name.

    ColPali, ColQwen2 and ColModernVBert in the form of the transformers library; every Col* and Bi* model of
    colpali-engine, LoRA adapters included; a vision-language model whose last token is the vector
    (`pooling`); image models of sentence-transformers.
    """

    kind: Literal["local"] = "local"
    model: str = Field(min_length=1, description="a folder, or a name on the Hugging Face hub")
    revision: str | None = Field(default=None, description="commit, tag or branch on the hub")
    device: str = Field(default="auto", description='"cpu", "cuda:0", "mps", …')
    dtype: DType = Field(default="auto", description="bfloat16 on a GPU that has it, else float32")
    batch_size: int = Field(default=4, ge=1, le=1024, description="halved as often as memory runs out")
    pooling: Literal["auto", "last-token"] = Field(
        default="auto", description='"last-token" makes an embedder of a plain vision-language model'
    )
    query_instruction: str = Field(
        default="Retrieve document pages that answer the question.",
        description="told to last-token models with every query, as the system's message",
    )
    query_prefix: str = Field(default="", description='put before a query to a last-token model: "Query: "')
    query_image: bool = Field(default=False, description="DSE: a blank image before the text of a query")
    image_instruction: str = Field(
        default="Represent the user's input.",
        description="told to last-token models with every image; the default is Qwen3-VL-Embedding's",
    )
    image_prompt: str = Field(
        default="", description='text after an image to a last-token model: "What is shown in this image?"'
    )
    prompt_end: str = Field(
        default="",
        description='what ends the prompts of last-token models after the chat: "<|endoftext|>"',
    )
    download: bool = Field(default=False, description="allow fetching the checkpoint from the hub")


class VllmVisualOptions(VllmServerOptions):
    """A vLLM server's ``/pooling`` endpoint with the task ``token_embed``."""

    kind: Literal["vllm"] = "vllm"
    batch_size: int = Field(default=8, ge=1, le=1024, description="requests in flight")
    timeout_s: float = Field(
        default=120.0, gt=0, description="for one try of a request; then it is tried again"
    )
    max_retries: int = Field(default=3, ge=0, le=20, description="tries after the first")
    image_prompt: str = Field(default="Describe the image.", description="text sent along with every image")
    query_prefix: str = Field(default="", description='put before every query, such as "Query: "')
    query_suffix: str = Field(default="", description="such as ten augmentation tokens")


VisualEncoderOptions = Annotated[LocalVisualOptions | VllmVisualOptions, Field(discriminator="kind")]
