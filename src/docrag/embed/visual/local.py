"""A page encoder in this process: transformers' own Col* models, and those of colpali-engine."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.devices import choose_device, choose_dtype
from docrag.embed.visual.batches import run_batches
from docrag.embed.visual.checkpoint import Checkpoint
from docrag.embed.visual.images import fit
from docrag.embed.visual.options import LocalVisualOptions
from docrag.embed.visual.patches import patch_grid
from docrag.errors import ModelError
from docrag.optional import require
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage

_NOT_INPUTS = frozenset({"labels"})

Loaded = Any
"""A model, processor or number type of a library that is optional and ships no types."""


class LocalPageEmbedder:
    """Late-interaction and single-vector models with a ``process_images`` and ``process_queries``.

    Inputs are made one by one and only inputs of equal shape share a batch, so there is no padding, and
    neighbours cannot change a vector beyond rounding.
    """

    def __init__(self, options: LocalVisualOptions, checkpoint: Checkpoint) -> None:
        self._torch = require("torch", extra="visual", purpose="a page encoder in this process")
        self._options = options
        self._device = choose_device(self._torch, options.device)
        dtype = choose_dtype(self._torch, options.dtype, self._device)
        model, processor = _load(checkpoint, dtype)
        self._processor: Any = processor
        self._model: Any = model.eval().to(self._device)
        self._image_token_id = _image_token_id(model, processor)
        self.processor = checkpoint.processor
        probe = self._forward([self._processor.process_queries([_PROBE])])[0]
        is_single = probe.ndim == 1
        self.identity = EncoderIdentity(
            name=checkpoint.name,
            revision=checkpoint.revision,
            dim=probe.shape[-1],
            pooling="single-vector" if is_single else "late-interaction",
        )

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """Vectors of every query; a model of one vector has one, for all of its tokens."""
        inputs = [self._processor.process_queries([text]) for text in texts]
        results: list[QueryVectors] = []
        for one, vectors in zip(inputs, self._run(inputs), strict=True):
            tokens = tuple(
                self._processor.tokenizer.batch_decode([[i] for i in one["input_ids"][0].tolist()])
            )
            results.append(
                QueryVectors(vectors[None], ("".join(tokens),))
                if vectors.ndim == 1
                else QueryVectors(vectors, tokens)
            )
        return results

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """Vectors of every image, with the patch behind each."""
        from PIL import Image

        fitted = [fit(image) for image in images]
        inputs = [self._processor.process_images([Image.fromarray(image)]) for image, _ in fitted]
        results: list[ImageVectors] = []
        for (image, is_padded), one, vectors in zip(fitted, inputs, self._run(inputs), strict=True):
            if vectors.ndim == 1:
                results.append(ImageVectors(vectors[None], None))
                continue
            size = image.shape[0], image.shape[1]
            grid = None if is_padded else patch_grid(one, self._processor, self._image_token_id, size)
            results.append(ImageVectors(vectors, grid))
        return results

    def _run(self, inputs: Sequence[Mapping[str, Any]]) -> list[NDArray[np.float32]]:
        return run_batches(self._forward, inputs, batch_size=self._options.batch_size)

    def _forward(self, inputs: Sequence[Mapping[str, Any]]) -> list[NDArray[np.float32]]:
        """One array per input, ``(n_vectors, dim)`` or ``(dim,)``; all inputs have equal shapes."""
        torch = self._torch
        names = [name for name in inputs[0] if name not in _NOT_INPUTS]
        batch = {name: torch.cat([one[name] for one in inputs]).to(self._device) for name in names}
        rope = getattr(getattr(self._model, "vlm", None), "get_rope_index", None)
        if rope is not None and "image_grid_thw" in batch:
            # transformers' ColQwen2 gives image tokens the positions of text; the weights were trained, and
            # colpali-engine runs them, with positions in the plane.
            is_image = (batch["input_ids"] == self._image_token_id).int()
            batch["position_ids"], _ = rope(
                batch["input_ids"],
                is_image,
                image_grid_thw=batch["image_grid_thw"],
                attention_mask=batch["attention_mask"],
            )
        with torch.inference_mode():
            output = self._model(**batch)
        vectors = getattr(output, "embeddings", output)
        if vectors.ndim == 3 and not bool(batch["attention_mask"].all()):
            raise ModelError(f"page encoder {self._options.model}: its processor padded a single input")
        found = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError(
                f"page encoder {self._options.model}: vectors are not finite; try dtype: float32"
            )
        return list(found)


_PROBE = "dimension"

_HEAD = "lm_head.weight"
"""Of a language model; no page encoder reads its logits, and checkpoints leave it out where it is tied."""


def _image_token_id(model: Loaded, processor: Loaded) -> int:
    """The token in whose places the patches are.

    It stands in the configuration of the model, or of the vision-language model in it: what Gemma 3's
    processor calls the image token opens an image, and stands once.
    """
    for config in (model.config, getattr(model.config, "vlm_config", None)):
        found = getattr(config, "image_token_id", None)
        if found is not None:
            return int(found)
    return int(processor.image_token_id)


def _load(checkpoint: Checkpoint, dtype: Loaded) -> tuple[Loaded, Loaded]:
    """Model and processor of a checkpoint, by the classes that its family names."""
    family = checkpoint.family
    module = "transformers" if family.library == "transformers" else "colpali_engine.models"
    require(module.partition(".")[0], extra="visual", purpose=f"the page encoder {checkpoint.name}")
    try:
        library = importlib.import_module(module)
        model_class: Any = getattr(library, family.model_class)
        processor_class: Any = getattr(library, family.processor_class)
    except AttributeError as error:
        raise ModelError(
            f"page encoder {checkpoint.name}: the installed {family.library} has no {family.model_class}; "
            "upgrade it"
        ) from error
    except (ImportError, RuntimeError) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise ModelError(
            f"page encoder {checkpoint.name}: the installed {family.library} cannot be used ({cause}); "
            "torch, torchvision and transformers must be builds that fit one another"
        ) from error
    safely: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    more: dict[str, Any] = {}
    if family.library == "colpali-engine" and not hasattr(model_class, "_checkpoint_conversion_mapping"):
        more["key_mapping"] = {}  # its Bi* classes look for the mapping where transformers 5 has none
    try:
        model, info = model_class.from_pretrained(
            checkpoint.base or checkpoint.folder,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **more,
            **safely,
        )
        if checkpoint.base is not None:
            _add_adapter(model, checkpoint)
        processor = processor_class.from_pretrained(checkpoint.folder, **safely)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"page encoder {checkpoint.name} at {checkpoint.folder}: {error}") from error
    missing = sorted(name for name in info["missing_keys"] if not name.endswith(_HEAD))
    if missing:
        raise ModelError(
            f"page encoder {checkpoint.name}: the checkpoint lacks {len(missing)} weights of "
            f"{family.model_class}, such as {missing[0]}, so its vectors would be noise"
        )
    _tie_head(model)
    return model, processor


def _tie_head(model: Loaded) -> None:
    """Give a language-model head that shares the input embeddings its weight, where loading left none.

    colpali-engine's ColPali computes logits that nobody reads, and ties its head no longer.
    """
    for name, module in model.named_modules():
        if name.endswith("lm_head") and module.weight.is_meta:
            module.weight = model.get_input_embeddings().weight


def _add_adapter(model: Loaded, checkpoint: Checkpoint) -> None:
    """Put a LoRA adapter on its base, in place."""
    conversion_mapping = importlib.import_module("transformers.conversion_mapping")
    renamed = getattr(model, "_checkpoint_conversion_mapping", None)
    info = model.load_adapter(
        str(checkpoint.folder),
        adapter_kwargs={"local_files_only": True},
        use_safetensors=True,
        # Names that older releases gave to weights; colpali-engine keeps them on its classes.
        weight_mapping=conversion_mapping.get_model_conversion_mapping(model, renamed),
    )
    lost = sorted(info.missing_keys) + sorted(info.unexpected_keys)
    if lost:
        raise ModelError(
            f"page encoder {checkpoint.name}: {len(lost)} weights of the adapter do not fit its base, "
            f"such as {lost[0]}"
        )
