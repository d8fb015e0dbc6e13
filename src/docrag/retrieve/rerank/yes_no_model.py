"""Relevance by the yes and no logits of a model in this process (Qwen3-Reranker, Qwen3-VL-Reranker).

The prompt and the rule are the model card's: the system message asks whether the document meets the
requirements, the user message holds instruction, query and document, and the score is
``sigmoid(z_yes - z_no)`` of the next token.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docrag.chat.messages import ImagePart
from docrag.chat.model import CallUsage
from docrag.devices import DType, choose_device, choose_dtype
from docrag.errors import BudgetExceeded, DocragError, ModelError
from docrag.optional import require
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.checkpoint import (
    SAFELY,
    equal_batches,
    identity_of,
)
from docrag.retrieve.rerank.relevance import Relevance, from_logits
from docrag.retrieve.rerank.shown import Shown

INSTRUCTION = "Retrieve document pages that answer the question."
_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
_PURPOSE = "a reranker in this process"


class YesNoModelScorer:
    """A language model, or a vision-language model that sees pictures of the pages as well.

    Which of the two it is, the checkpoint's configuration says. Inputs are made one by one and only those of
    equal shape share a batch, so there is no padding.

    Raises
    ------
    MissingExtra
        torch or transformers is not installed.
    ModelError
        The checkpoint cannot be loaded, lacks weights, or has no single token for "yes" or for "no".
    """

    name = "yes-no"

    def __init__(
        self,
        folder: Path,
        *,
        instruction: str = INSTRUCTION,
        batch_size: int = 4,
        device: str = "auto",
        dtype: DType = "auto",
    ) -> None:
        self._torch = require("torch", extra="visual", purpose=_PURPOSE)
        transformers = require("transformers", extra="visual", purpose=_PURPOSE)
        self._folder = folder
        self._lock = threading.Lock()
        self._instruction = instruction
        self._batch_size = batch_size
        self._device = choose_device(self._torch, device)
        self.sees_pictures = _has_vision(folder)
        auto = transformers.AutoModelForImageTextToText if self.sees_pictures else None
        auto = auto or transformers.AutoModelForCausalLM
        reader = transformers.AutoProcessor if self.sees_pictures else transformers.AutoTokenizer
        try:
            model, info = auto.from_pretrained(
                folder,
                dtype=choose_dtype(self._torch, dtype, self._device),
                use_safetensors=True,
                output_loading_info=True,
                **SAFELY,
            )
            self._reader: Any = reader.from_pretrained(folder, **SAFELY)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            raise ModelError(f"reranker {folder}: {error}") from error
        if info["missing_keys"]:
            raise ModelError(
                f"reranker {folder}: the checkpoint lacks weights such as {min(info['missing_keys'])}, "
                "so its scores would be noise"
            )
        self._model: Any = model.eval().to(self._device)
        tokenizer: Any = getattr(self._reader, "tokenizer", self._reader)
        self._yes_id, self._no_id = self._token_id(tokenizer, "yes"), self._token_id(tokenizer, "no")
        self._identity = f"{identity_of(folder)}|{instruction}|{self._model.dtype}"

    def identify(self, calls: Calls) -> str:
        """Name the weights, the instruction and the number type."""
        return self._identity

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, batch by batch; the budget counts batches."""
        with self._lock:  # tokenizers may not be used by two threads
            return self._score(question, pages, calls)

    def _score(
        self, question: str, pages: Sequence[Shown], calls: Calls
    ) -> Sequence[Relevance | DocragError]:
        inputs = [self._input(question, page) for page in pages]
        results: list[Relevance | DocragError] = [ModelError("not scored") for _ in pages]
        for positions in equal_batches(inputs, batch_size=self._batch_size):
            try:
                calls.start()
            except BudgetExceeded as error:
                for position in positions:
                    results[position] = error
                continue
            start_s = time.monotonic()
            found = self._forward([inputs[position] for position in positions])
            n_images = sum(pages[position].picture is not None for position in positions)
            calls.charge(CallUsage(elapsed_s=time.monotonic() - start_s, n_images=n_images, cost_usd=0.0))
            for position, logits in zip(positions, found, strict=True):
                results[position] = from_logits(*logits)
        return results

    def _token_id(self, tokenizer: Any, word: str) -> int:  # noqa: ANN401 (transformers is optional)
        ids = tokenizer.encode(word, add_special_tokens=False)
        if len(ids) != 1:
            raise ModelError(
                f"reranker {self._folder}: {word!r} is {len(ids)} tokens of its vocabulary, expected one"
            )
        return int(ids[0])

    def _input(self, question: str, page: Shown) -> Mapping[str, Any]:
        """Model input of one pair, the same whatever else is scored."""
        lead = f"<Instruct>: {self._instruction}\n<Query>: {question}\n<Document>: "
        messages: list[dict[str, Any]]
        if self.sees_pictures:
            content: list[dict[str, Any]] = [{"type": "text", "text": lead}]
            if page.picture is not None:
                content.append({"type": "image", "image": _decoded(page.picture)})
            if page.text:
                content.append({"type": "text", "text": page.text})
            messages = [
                {"role": "system", "content": [{"type": "text", "text": _SYSTEM}]},
                {"role": "user", "content": content},
            ]
        else:
            messages = [
                {"role": "system", "content": _SYSTEM},
                {"role": "user", "content": lead + page.text},
            ]
        return self._reader.apply_chat_template(
            messages,
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            enable_thinking=False,  # for templates that would open a train of thought before the answer
        )

    def _forward(self, inputs: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
        """Logits of yes and no after each of the inputs, which have equal shapes."""
        torch = self._torch
        batch = {name: torch.cat([one[name] for one in inputs]).to(self._device) for name in inputs[0]}
        try:
            with torch.inference_mode():
                logits = self._model(**batch, logits_to_keep=1).logits[:, -1].float()
        except RuntimeError as error:
            raise ModelError(
                f"reranker {self._folder}: {str(error).splitlines()[0]}; "
                "if memory ran out, lower batch_size, dpi or max_chars"
            ) from error
        return [(float(row[self._yes_id]), float(row[self._no_id])) for row in logits.cpu()]


def _has_vision(folder: Path) -> bool:
    """Whether the checkpoint's configuration has a part for pictures."""
    try:
        config: Any = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / 'config.json'}: cannot be read ({error}), so this is no checkpoint"
        ) from error
    return isinstance(config, dict) and "vision_config" in config


def _decoded(picture: ImagePart) -> Any:  # noqa: ANN401 (a PIL image)
    from PIL import Image

    return Image.open(io.BytesIO(picture.data)).convert("RGB")
