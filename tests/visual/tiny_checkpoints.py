"""Tiny seeded checkpoints with real processors and tokenizers, saved as the libraries save them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

SIDE = 8
"""Vision width and text width stay this small times a few, so that a checkpoint takes a few hundred KB."""


def declare_torchvision_operators() -> None:
    """Let torchvision be imported where only a build with other operators is installed.

    colpali-engine's processors import it, transformers does where it is installed, and nothing of its
    compiled part is used.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    declare_torchvision_operators.keep = library  # type: ignore[attr-defined]  # its end would undo it


def byte_tokenizer(special: list[str], **roles: str) -> Any:
    """Byte-level BPE without merges: every text becomes its bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def seeded(model_class: Any, config: Any) -> Any:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = model_class(config)
        for parameter in model.parameters():  # the libraries' own start values are too alike to rank pages
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def _text(vocab_size: int, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        **more,
    }


def _siglip_vision(image_size: int) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": image_size,
        "patch_size": 14,
    }


# ── ColPali ──────────────────────────────────────────────────────────────────────────────────────────


def _colpali_parts() -> tuple[Any, Any, Any]:
    """Configuration of the vision-language model, image processor, tokenizer."""
    from transformers import PaliGemmaConfig
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    tokenizer = byte_tokenizer(
        ["<pad>", "<bos>", "<eos>", "<unk>", "<image>"],
        pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
    )  # fmt: skip
    image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    n_tokens = len(tokenizer) + 1200  # room for the location tokens that the processor adds
    config = PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", "projection_dim": 32, **_siglip_vision(56)},
        text_config={"model_type": "gemma", **_text(n_tokens, head_dim=8, pad_token_id=256)},
        image_token_index=image_token_id,
        projection_dim=32,
        hidden_size=32,
    )
    image_processor = SiglipImageProcessorPil(size={"height": 56, "width": 56})
    image_processor.image_seq_length = 16
    return config, image_processor, tokenizer


def save_colpali(folder: Path) -> None:
    declare_torchvision_operators()
    from transformers import ColPaliConfig, ColPaliForRetrieval, ColPaliProcessor

    vlm_config, image_processor, tokenizer = _colpali_parts()
    processor = ColPaliProcessor(image_processor=image_processor, tokenizer=tokenizer)
    seeded(ColPaliForRetrieval, ColPaliConfig(vlm_config=vlm_config, embedding_dim=16)).save_pretrained(
        folder
    )
    processor.save_pretrained(folder)


def save_engine_colpali(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColPali, ColPaliProcessor

    config, image_processor, tokenizer = _colpali_parts()
    processor = ColPaliProcessor(image_processor=image_processor, tokenizer=tokenizer)
    seeded(ColPali, config).save_pretrained(folder)
    processor.save_pretrained(folder)


# ── ColQwen2 ─────────────────────────────────────────────────────────────────────────────────────────

_QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]  # fmt: skip


def _qwen_parts() -> tuple[Any, Any, Any]:
    from transformers import Qwen2VLConfig
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = byte_tokenizer(_QWEN_TOKENS, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.padding_side = "left"
    id_of = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        text_config={
            "model_type": "qwen2_vl_text",
            **_text(len(tokenizer), rope_parameters=rope, max_position_embeddings=4096),
            "pad_token_id": id_of("<|endoftext|>"),
        },
        vision_config={
            "model_type": "qwen2_vl",
            "depth": 2, "embed_dim": 32, "num_heads": 4, "hidden_size": 32, "mlp_ratio": 2,
            "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
        image_token_id=id_of("<|image_pad|>"),
        video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"),
        vision_end_token_id=id_of("<|vision_end|>"),
    )  # fmt: skip
    image_processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 168 * 168})
    return config, image_processor, tokenizer


def save_colqwen2(folder: Path) -> None:
    declare_torchvision_operators()
    from transformers import ColQwen2Config, ColQwen2ForRetrieval, ColQwen2Processor

    vlm_config, image_processor, tokenizer = _qwen_parts()
    processor = ColQwen2Processor(image_processor=image_processor, tokenizer=tokenizer)
    seeded(ColQwen2ForRetrieval, ColQwen2Config(vlm_config=vlm_config, embedding_dim=16)).save_pretrained(
        folder
    )
    processor.save_pretrained(folder)


def _engine_qwen_processor(processor_class: Any) -> Any:
    from transformers import Qwen2VLVideoProcessor

    _, image_processor, tokenizer = _qwen_parts()
    return processor_class(
        image_processor=image_processor, tokenizer=tokenizer, video_processor=Qwen2VLVideoProcessor()
    )


def save_engine_colqwen2(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColQwen2, ColQwen2Processor

    seeded(ColQwen2, _qwen_parts()[0]).save_pretrained(folder)
    _engine_qwen_processor(ColQwen2Processor).save_pretrained(folder)


def save_engine_biqwen2(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiQwen2, BiQwen2Processor

    seeded(BiQwen2, _qwen_parts()[0]).save_pretrained(folder)
    _engine_qwen_processor(BiQwen2Processor).save_pretrained(folder)


def save_engine_adapter(folder: Path) -> None:
    """A LoRA adapter in `folder`, and its base in ``base`` below it."""
    import torch

    save_engine_colqwen2(folder / "base")
    from colpali_engine.models import ColQwen2
    from peft import LoraConfig, get_peft_model

    base = ColQwen2.from_pretrained(folder / "base")
    lora = LoraConfig(
        r=2, lora_alpha=2, target_modules="(.*(language_model).*(q_proj|v_proj).*$|.*(custom_text_proj).*$)"
    )
    adapted = get_peft_model(base, lora)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    adapted.peft_config["default"].base_model_name_or_path = "base"
    adapted.save_pretrained(folder)
    _engine_qwen_processor(
        __import__("colpali_engine.models", fromlist=["x"]).ColQwen2Processor
    ).save_pretrained(folder)


# ── Idefics 3 and ModernVBert ────────────────────────────────────────────────────────────────────────

_IDEFICS_TOKENS = ["<pad>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
                   "<global-img>", "<|begin_of_text|>", "[CLS]", "[SEP]",
                   *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7))]  # fmt: skip


def idefics_processor_parts() -> tuple[Any, Any]:
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer = byte_tokenizer(
        _IDEFICS_TOKENS, pad_token="<pad>", bos_token="<|im_start|>", eos_token="<end_of_utterance>"
    )
    image_processor = Idefics3ImageProcessorPil(
        size={"longest_edge": 112}, max_image_size={"longest_edge": 56}, do_image_splitting=True
    )
    return image_processor, tokenizer


def save_engine_colidefics3(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColIdefics3, ColIdefics3Processor
    from transformers import Idefics3Config

    image_processor, tokenizer = idefics_processor_parts()
    processor = ColIdefics3Processor(image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4)
    config = Idefics3Config(
        vision_config={"model_type": "idefics3_vision", **_siglip_vision(56)},
        text_config={"model_type": "llama", **_text(len(tokenizer))},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    seeded(ColIdefics3, config).save_pretrained(folder)
    processor.save_pretrained(folder)


def _modernvbert_config(tokenizer: Any) -> Any:
    from transformers import ModernVBertConfig

    id_of = tokenizer.convert_tokens_to_ids
    return ModernVBertConfig(
        vision_config={"model_type": "siglip_vision_model", **_siglip_vision(56)},
        text_config={
            "model_type": "modernbert",
            "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "pad_token_id": id_of("<pad>"), "bos_token_id": id_of("[CLS]"),
            "eos_token_id": id_of("[SEP]"), "cls_token_id": id_of("[CLS]"), "sep_token_id": id_of("[SEP]"),
        },
        image_token_id=id_of("<image>"),
        pixel_shuffle_factor=2,
    )  # fmt: skip


def save_colmodernvbert(folder: Path) -> None:
    declare_torchvision_operators()
    from transformers import ColModernVBertConfig, ColModernVBertForRetrieval, ColModernVBertProcessor

    image_processor, tokenizer = idefics_processor_parts()
    processor = ColModernVBertProcessor(image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4)
    config = ColModernVBertConfig(vlm_config=_modernvbert_config(tokenizer), embedding_dim=16)
    seeded(ColModernVBertForRetrieval, config).save_pretrained(folder)
    processor.save_pretrained(folder)


def save_engine_colmodernvbert(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColModernVBert, ColModernVBertProcessor

    image_processor, tokenizer = idefics_processor_parts()
    processor = ColModernVBertProcessor(image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4)
    seeded(ColModernVBert, _modernvbert_config(tokenizer)).save_pretrained(folder)
    processor.save_pretrained(folder)


MAKERS = {
    "transformers-colpali": save_colpali,
    "transformers-colqwen2": save_colqwen2,
    "transformers-colmodernvbert": save_colmodernvbert,
    "engine-colpali": save_engine_colpali,
    "engine-colqwen2": save_engine_colqwen2,
    "engine-colqwen2-lora": save_engine_adapter,
    "engine-colidefics3": save_engine_colidefics3,
    "engine-colmodernvbert": save_engine_colmodernvbert,
    "engine-biqwen2": save_engine_biqwen2,
}
