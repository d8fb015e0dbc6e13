"""One vector an image by the last token of a vision-language model (DSE, Qwen3-VL-Embedding)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.devices import choose_device, choose_dtype
from docrag.embed.visual.batches import run_batches
from docrag.embed.visual.checkpoint import Checkpoint
from docrag.embed.visual.images import MIN_SIDE_PX, fit
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ModelError
from docrag.optional import require
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage


class LastTokenPageEmbedder:
    """The last hidden state of the last token of a chat prompt that holds the image or the query.

    What the model was trained to be told belongs into the options: DSE (Ma et al. 2024, arXiv 2406.11251)
    ends its prompts with a token of its own, asks something of every image, and has queries with a blank
    image; Qwen3-VL-Embedding has one instruction for what is searched and one for what searches.
    """

    def __init__(self, options: LocalVisualOptions, checkpoint: Checkpoint) -> None:
        self._torch = require("torch", extra="visual", purpose="a page encoder in this process")
        transformers = require("transformers", extra="visual", purpose="a page encoder in this process")
        self._options = options
        self._device = choose_device(self._torch, options.device)
        safely = {"local_files_only": True, "trust_remote_code": False}
        try:
            model, info = transformers.AutoModel.from_pretrained(
                checkpoint.folder,
                dtype=choose_dtype(self._torch, options.dtype, self._device),
                use_safetensors=True,
                output_loading_info=True,
                **safely,
            )
            self._processor: Any = transformers.AutoProcessor.from_pretrained(checkpoint.folder, **safely)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"page encoder {checkpoint.name} at {checkpoint.folder}: {error}") from error
        if info["missing_keys"]:
            raise ModelError(
                f"page encoder {checkpoint.name}: the checkpoint lacks weights such as "
                f"{min(info['missing_keys'])}, so its vectors would be noise"
            )
        self._model: Any = model.eval().to(self._device)
        self.processor = checkpoint.processor
        self.identity = EncoderIdentity(
            name=checkpoint.name,
            revision=checkpoint.revision,
            dim=len(self._forward([self._query_input("dimension")])[0]),
            pooling="|".join(
                ("last-token", options.image_instruction, options.image_prompt, options.prompt_end)
            ),
        )

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """One vector for each query."""
        vectors = self._run([self._query_input(text) for text in texts])
        return [QueryVectors(v[None], (text,)) for v, text in zip(vectors, texts, strict=True)]

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """One vector for each image."""
        return [
            ImageVectors(v[None], None) for v in self._run([self._image_input(image) for image in images])
        ]

    def _query_input(self, text: str) -> Mapping[str, Any]:
        options = self._options
        blank = np.full((MIN_SIDE_PX, MIN_SIDE_PX, 3), 255, np.uint8) if options.query_image else None
        return self._input(options.query_instruction, blank, options.query_prefix + text)

    def _image_input(self, image: RgbImage) -> Mapping[str, Any]:
        return self._input(self._options.image_instruction, fit(image)[0], self._options.image_prompt)

    def _input(self, instruction: str, image: RgbImage | None, text: str) -> Mapping[str, Any]:
        """Model input of a chat of one message; without an instruction, the template may have its own."""
        from PIL import Image

        content: list[Mapping[str, str]] = [{"type": "image"}] if image is not None else []
        if text:
            content.append({"type": "text", "text": text})
        conversation: list[Mapping[str, Any]] = [{"role": "user", "content": content}]
        if instruction:
            conversation.insert(0, {"role": "system", "content": [{"type": "text", "text": instruction}]})
        prompt: str = self._processor.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True
        )
        start = self._processor.tokenizer.bos_token
        return self._processor(
            text=[prompt + self._options.prompt_end],
            images=None if image is None else [Image.fromarray(image)],
            add_special_tokens=not (start and prompt.startswith(start)),
            return_tensors="pt",
        )

    def _run(self, inputs: Sequence[Mapping[str, Any]]) -> list[NDArray[np.float32]]:
        return run_batches(self._forward, inputs, batch_size=self._options.batch_size)

    def _forward(self, inputs: Sequence[Mapping[str, Any]]) -> list[NDArray[np.float32]]:
        torch = self._torch
        batch = {name: torch.cat([one[name] for one in inputs]).to(self._device) for name in inputs[0]}
        with torch.inference_mode():
            hidden = self._model(**batch).last_hidden_state
        found = torch.nn.functional.normalize(hidden[:, -1].float(), dim=-1).cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError(
                f"page encoder {self._options.model}: vectors are not finite; try dtype: float32"
            )
        return list(found)
