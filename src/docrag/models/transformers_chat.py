"""A vision-language model in this process, by the transformers library."""

from __future__ import annotations

import base64
import binascii
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from pydantic import Field, PrivateAttr

from docrag.checkpoints import check_weights, find_folder
from docrag.devices import choose_device, choose_dtype
from docrag.errors import ContextOverflow, ModelError
from docrag.models.bounded import BoundedChatModel
from docrag.models.call import Call, Mailbox
from docrag.models.options import TransformersChatOptions
from docrag.optional import require

Loaded = Any
"""A model, processor or tensor of a library that is optional and ships no types."""


class TransformersChatModel(BoundedChatModel):
    """Whatever ``AutoModelForImageTextToText`` loads: Qwen2-VL to Qwen3-VL, SmolVLM, Idefics3 and others.

    Weights are safetensors, no code of the checkpoint runs, and nothing is fetched unless `download` allows
    it. One reply is made at a time. A call that ends early lets the model finish the token, or the prompt,
    that it is at. Texts cannot write the tokenizer's control tokens: those in a message are broken up.

    Raises
    ------
    MissingExtra
        torch or transformers is not installed.
    ModelError
        There is no such checkpoint, it is no vision-language model, or it cannot be loaded safely.
    """

    options: TransformersChatOptions = Field(exclude=True)
    _torch: Any = PrivateAttr()
    _model: Any = PrivateAttr()
    _processor: Any = PrivateAttr()
    _control_tokens: Sequence[str] = PrivateAttr(default=())
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 (pydantic's signature)
        """Load the checkpoint."""
        super().model_post_init(context)
        options = self.options
        self._torch = require("torch", extra="visual", purpose="a chat model in this process")
        device = choose_device(self._torch, options.device)
        folder = chat_folder(options)
        model, self._processor = _load(folder, choose_dtype(self._torch, options.dtype, device))
        self._model = model.eval().to(device)
        tokenizer = self._processor.tokenizer
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._control_tokens = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)

    @property
    def _llm_type(self) -> str:
        return "docrag-transformers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.options.model}

    def close(self) -> None:
        """Let go of the weights."""
        with self._lock:
            self._model = self._processor = None

    def stream_call(
        self, messages: list[BaseMessage], call: Call, stop: list[str] | None
    ) -> Iterator[AIMessageChunk]:
        """Yield the reply as it is made."""
        mailbox: Mailbox[AIMessageChunk] = Mailbox()
        left = threading.Event()

        def work() -> None:
            try:
                with self._lock:
                    if not left.is_set():
                        self._generate_into(mailbox.put, messages, call, stop, left)
            except BaseException as error:  # handed over to the thread that waits
                mailbox.finish(error)
            else:
                mailbox.finish()

        threading.Thread(target=work, name="docrag-transformers", daemon=True).start()
        try:
            yield from mailbox.receive(call)
        finally:
            left.set()

    def _generate_into(
        self,
        put: Callable[[AIMessageChunk], None],
        messages: list[BaseMessage],
        call: Call,
        stop: list[str] | None,
        left: threading.Event,
    ) -> None:
        """Hand over the pieces of a reply, the last one with its metadata."""
        if self._model is None:
            raise ModelError(f"model {self.options.model}: it was closed")
        inputs = self._inputs(messages)
        n_input = int(inputs["input_ids"].shape[1])
        n_most = self._room(n_input, call)
        pieces = _Pieces(
            self._processor.tokenizer, lambda text: put(AIMessageChunk(content=text)), stop or ()
        )
        first = _FirstLogits()
        temperature = self.options.temperature
        sampling: dict[str, Any] = {"do_sample": True, "temperature": temperature}
        if not temperature:  # a checkpoint's own settings for sampling mean nothing then
            sampling = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        try:
            with self._torch.inference_mode():
                self._model.generate(
                    **inputs,
                    max_new_tokens=n_most,
                    streamer=pieces,
                    logits_processor=[first],
                    stopping_criteria=[_Stopper(self._torch, lambda: left.is_set() or pieces.is_stopped)],
                    **sampling,
                )
        except self._torch.OutOfMemoryError as error:
            raise ContextOverflow(
                f"model {self.options.model}: the device's memory does not hold a prompt of {n_input} tokens;"
                " send fewer pages, or lower their dpi"
            ) from error
        n_output = pieces.n_tokens
        metadata: dict[str, Any] = {
            "finish_reason": "length" if n_output >= n_most and not self._ends(pieces) else "stop",
            "model_name": Path(self.options.model).name,
        }
        if call.n_logprobs and first.scores is not None:
            metadata["logprobs"] = {"content": [self._likeliest(first.scores, call.n_logprobs)]}
        usage = UsageMetadata(input_tokens=n_input, output_tokens=n_output, total_tokens=n_input + n_output)
        put(
            AIMessageChunk(
                content="", response_metadata=metadata, usage_metadata=usage, chunk_position="last"
            )
        )

    def _inputs(self, messages: list[BaseMessage]) -> Mapping[str, Any]:
        conversation = [
            {"role": _role(message), "content": [self._block(block) for block in _blocks(message)]}
            for message in messages
        ]
        try:
            inputs = self._processor.apply_chat_template(
                conversation, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise ModelError(
                f"model {self.options.model}: its processor does not take the prompt: {error}"
            ) from error
        dtype = self._model.dtype
        return {
            name: tensor.to(self._model.device, dtype=dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }

    def _block(self, block: Mapping[str, Any]) -> dict[str, Any]:
        match block:
            case {"type": "text", "text": str(text)}:
                return {"type": "text", "text": self._harmless(text)}
            case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:image/"):
                return {"type": "image", "image": _picture(url)}
            case _:
                raise ModelError(
                    "a message holds something else than text and pictures as data URLs;"
                    " links are not followed"
                )

    def _harmless(self, text: str) -> str:
        """`text` with a blank after the first character of every control token."""
        for token in self._control_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _room(self, n_input: int, call: Call) -> int:
        """How many tokens the reply may have."""
        n_context = int(getattr(self._model.config.get_text_config(), "max_position_embeddings", 0) or 0)
        n_asked = call.max_output_tokens or self.options.max_output_tokens
        if not n_context:
            return n_asked
        if n_input >= n_context:
            raise ContextOverflow(
                f"model {self.options.model}: the prompt has {n_input} tokens, expected fewer than"
                f" {n_context}; send fewer pages, or lower their dpi"
            )
        return min(n_asked, n_context - n_input)

    def _ends(self, pieces: _Pieces) -> bool:
        ends = self._model.generation_config.eos_token_id
        return pieces.last_token in (ends if isinstance(ends, list) else [ends])

    def _likeliest(self, scores: Loaded, n: int) -> dict[str, Any]:
        """The first token's likeliest values in OpenAI's form."""
        logprobs = self._torch.log_softmax(scores.float(), dim=-1)
        top = self._torch.topk(logprobs, min(n, logprobs.shape[-1]))
        decode = self._processor.tokenizer.decode
        listed = [
            {"token": decode([token_id]), "logprob": value}
            for token_id, value in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        return {**listed[0], "top_logprobs": listed}


def chat_folder(options: TransformersChatOptions) -> Path:
    """Return the checkpoint's folder, its weights checked; raises as `docrag.checkpoints.find_folder`."""
    folder = find_folder(
        options.model,
        revision=options.revision,
        download=options.download,
        what="chat model",
        setting="download: true beside the model's name",
    )
    check_weights(folder)
    return folder


def _load(folder: Path, dtype: Loaded) -> tuple[Loaded, Loaded]:
    transformers = require("transformers", extra="visual", purpose="a chat model in this process")
    safely = {"local_files_only": True, "trust_remote_code": False}
    try:
        model, info = transformers.AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **safely
        )
        processor = transformers.AutoProcessor.from_pretrained(folder, **safely)
    except ImportError as error:
        cause = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{folder}: its processor cannot be loaded ({cause}); install what it names, in a build"
            " that fits torch"
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{folder}: not a vision-language model that can be loaded: {error}") from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{folder}: the checkpoint lacks {len(missing)} weights, such as {missing[0]}, so its"
            " replies would be noise"
        )
    if getattr(processor, "tokenizer", None) is None or not processor.chat_template:
        raise ModelError(f"{folder}: the checkpoint has no chat template; choose one that is tuned for chat")
    return model, processor


def _role(message: BaseMessage) -> str:
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    if message.type not in roles:
        raise ModelError(f"a message of type {message.type} cannot be sent; expected system, human or ai")
    return roles[message.type]


def _blocks(message: BaseMessage) -> list[Mapping[str, Any]]:
    content = cast(Any, message.content)
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [{"type": "text", "text": b} if isinstance(b, str) else b for b in content]


def _picture(url: str) -> Loaded:
    from PIL import Image

    try:
        data = base64.b64decode(url.partition(",")[2], validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            return image.convert("RGB")
    except (OSError, ValueError, binascii.Error, Image.DecompressionBombError) as error:
        raise ModelError(f"a picture of the prompt cannot be read: {error}") from error


class _Pieces:
    """A streamer for ``generate``: decodes tokens as they come and hands over whole characters.

    `stops` are texts that end the reply; they are not part of it.
    """

    def __init__(self, tokenizer: Loaded, put: Callable[[str], None], stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._put = put
        self._stops = stops
        self._ids: list[int] = []
        self._n_sent = 0
        self._has_prompt = False
        self.n_tokens = 0
        self.last_token = -1
        self.is_stopped = False

    def put(self, value: Loaded) -> None:
        """Take in the prompt, then one token after the other."""
        if not self._has_prompt:
            self._has_prompt = True
            return
        ids = value.flatten().tolist()
        self.n_tokens += len(ids)
        self.last_token = ids[-1]
        self._ids += ids
        self._send(is_last=False)

    def end(self) -> None:
        """Hand over what was held back."""
        self._send(is_last=True)

    def _send(self, *, is_last: bool) -> None:
        if self.is_stopped:
            return
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        found = [at for stop in self._stops if (at := text.find(stop, self._n_sent)) >= 0]
        if found:
            text, self.is_stopped = text[: min(found)], True
        elif not is_last:
            # Bytes that are no character yet decode to U+FFFD, and a stop may have begun.
            n_held = max((len(stop) - 1 for stop in self._stops), default=0)
            text = text.rstrip("\ufffd")
            text = text[: len(text) - n_held] if n_held else text
        if len(text) > self._n_sent:
            self._put(text[self._n_sent :])
            self._n_sent = len(text)
        if text.endswith("\n") and not self._stops:  # so that long replies are not decoded again and again
            self._ids, self._n_sent = [], 0


class _Stopper:
    """A stopping criterion: ends the reply when `is_over` says so."""

    def __init__(self, torch: Loaded, is_over: Callable[[], bool]) -> None:
        self._torch = torch
        self._is_over = is_over

    def __call__(self, input_ids: Loaded, scores: Loaded, **_more: Loaded) -> Loaded:
        return self._torch.full(
            (input_ids.shape[0],), self._is_over(), dtype=self._torch.bool, device=input_ids.device
        )


class _FirstLogits:
    """A logits processor that keeps those of the first token, and changes none."""

    def __init__(self) -> None:
        self.scores: Loaded | None = None

    def __call__(self, input_ids: Loaded, scores: Loaded) -> Loaded:
        if self.scores is None:
            self.scores = scores[0].clone()
        return scores
