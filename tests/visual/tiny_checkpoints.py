"""Tiny seeded checkpoints with real processors and tokenizers, saved as the libraries save them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

SIDE = 8
"""Vision width and text width stay this small times a few, so that a checkpoint takes a few hundred KB."""


def declare_torchvision_operators() -> None:
    """Let torchvision be imported where only a build for another torch is installed.

    colpali-engine's processors import it, transformers does where it is installed, and nothing of its
    compiled part is used. A build that loads is left alone.
    """
    found = importlib.util.find_spec("torchvision")
    is_done = "torchvision" in sys.modules or hasattr(declare_torchvision_operators, "keep")
    if is_done or found is None or found.origin is None:
        return
    import torch

    try:
        for compiled in Path(found.origin).parent.glob("_C*"):
            torch.ops.load_library(str(compiled))
    except OSError:
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


def _save_bipali(model_name: str, folder: Path) -> None:
    declare_torchvision_operators()
    import colpali_engine.models

    config, image_processor, tokenizer = _colpali_parts()
    seeded(getattr(colpali_engine.models, model_name), config).save_pretrained(folder)
    colpali_engine.models.ColPaliProcessor(
        image_processor=image_processor, tokenizer=tokenizer
    ).save_pretrained(folder)


def save_engine_bipali(folder: Path) -> None:
    _save_bipali("BiPali", folder)


def save_engine_bipaliproj(folder: Path) -> None:
    _save_bipali("BiPaliProj", folder)


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


def _qwen2_5_config() -> Any:
    from transformers import Qwen2_5_VLConfig

    older = _qwen_parts()[0]
    return Qwen2_5_VLConfig(
        text_config={
            "model_type": "qwen2_5_vl_text",
            **_text(
                older.text_config.vocab_size,
                rope_parameters=older.text_config.rope_parameters,
                max_position_embeddings=4096,
            ),
            "pad_token_id": older.text_config.pad_token_id,
        },
        vision_config={
            "model_type": "qwen2_5_vl_vision",
            "depth": 2, "hidden_size": 32, "num_heads": 4, "intermediate_size": 64, "out_hidden_size": 32,
            "patch_size": 14, "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
        },
        image_token_id=older.image_token_id,
        video_token_id=older.video_token_id,
        vision_start_token_id=older.vision_start_token_id,
        vision_end_token_id=older.vision_end_token_id,
    )  # fmt: skip


def save_engine_colqwen2_5(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColQwen2_5, ColQwen2_5_Processor

    seeded(ColQwen2_5, _qwen2_5_config()).save_pretrained(folder)
    _engine_qwen_processor(ColQwen2_5_Processor).save_pretrained(folder)


def save_engine_biqwen2_5(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiQwen2_5, BiQwen2_5_Processor

    seeded(BiQwen2_5, _qwen2_5_config()).save_pretrained(folder)
    _engine_qwen_processor(BiQwen2_5_Processor).save_pretrained(folder)


# ── Qwen 3 and 3.5 ───────────────────────────────────────────────────────────────────────────────────

_QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}"
    "{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen3_processor(processor_class: Any, **more: Any) -> Any:
    """Processor of a Qwen 3 or 3.5: patches of 16 px, two by two merged."""
    from transformers import Qwen3VLVideoProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return processor_class(
        image_processor=Qwen2VLImageProcessorPil(
            size={"shortest_edge": 64 * 64, "longest_edge": 192 * 192}, patch_size=16
        ),
        tokenizer=_qwen_parts()[2],
        video_processor=Qwen3VLVideoProcessor(),
        **more,
    )


def qwen3_config(width: int = 32, n_heads: int = 4, n_key_value_heads: int = 2) -> Any:
    """Configuration of a Qwen3-VL whose vision and text parts are `width` wide."""
    from transformers import Qwen3VLConfig

    older = _qwen_parts()[0]
    head = width // n_heads
    section = [head // 4, head // 8, head // 8]
    return Qwen3VLConfig(
        text_config={
            "model_type": "qwen3_vl_text",
            "vocab_size": older.text_config.vocab_size, "hidden_size": width, "intermediate_size": 2 * width,
            "num_hidden_layers": 2, "num_attention_heads": n_heads, "head_dim": head,
            "num_key_value_heads": n_key_value_heads, "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default", "mrope_section": section, "mrope_interleaved": True,
                "rope_theta": 1e4,
            },
            "pad_token_id": older.text_config.pad_token_id,
        },
        vision_config={
            "model_type": "qwen3_vl_vision",
            "depth": 2, "hidden_size": width, "num_heads": n_heads, "intermediate_size": 2 * width,
            "out_hidden_size": width, "patch_size": 16, "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=older.image_token_id,
        video_token_id=older.video_token_id,
        vision_start_token_id=older.vision_start_token_id,
        vision_end_token_id=older.vision_end_token_id,
    )  # fmt: skip


def _qwen3_5_config() -> Any:
    """One layer of linear and one of full attention."""
    from transformers import Qwen3_5Config

    older = qwen3_config()
    return Qwen3_5Config(
        text_config={
            "model_type": "qwen3_5_text",
            "vocab_size": older.text_config.vocab_size, "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"],
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "linear_key_head_dim": 8, "linear_value_head_dim": 8,
            "linear_num_key_heads": 2, "linear_num_value_heads": 4, "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True,
                "rope_theta": 1e4, "partial_rotary_factor": 0.5,
            },
            "pad_token_id": older.text_config.pad_token_id,
        },
        vision_config={
            "model_type": "qwen3_5_vision",
            "depth": 2, "hidden_size": 32, "num_heads": 4, "intermediate_size": 64, "out_hidden_size": 32,
            "patch_size": 16, "num_position_embeddings": 64,
        },
        image_token_id=older.image_token_id,
        video_token_id=older.video_token_id,
        vision_start_token_id=older.vision_start_token_id,
        vision_end_token_id=older.vision_end_token_id,
    )  # fmt: skip


def save_engine_colqwen3(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColQwen3, ColQwen3Processor

    seeded(ColQwen3, qwen3_config()).save_pretrained(folder)
    qwen3_processor(ColQwen3Processor).save_pretrained(folder)


def save_engine_biqwen3(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiQwen3, BiQwen3Processor

    seeded(BiQwen3, qwen3_config()).save_pretrained(folder)
    qwen3_processor(BiQwen3Processor).save_pretrained(folder)


def save_engine_colqwen3_5(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColQwen3_5, ColQwen3_5Processor

    seeded(ColQwen3_5, _qwen3_5_config()).save_pretrained(folder)
    qwen3_processor(ColQwen3_5Processor).save_pretrained(folder)


def save_engine_biqwen3_5(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiQwen3_5, BiQwen3_5Processor

    seeded(BiQwen3_5, _qwen3_5_config()).save_pretrained(folder)
    qwen3_processor(BiQwen3_5Processor).save_pretrained(folder)


def save_qwen3_vl(folder: Path) -> None:
    """A plain vision-language model, of which last-token pooling makes a page encoder."""
    declare_torchvision_operators()
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    seeded(Qwen3VLForConditionalGeneration, qwen3_config()).save_pretrained(folder)
    qwen3_processor(Qwen3VLProcessor, chat_template=_QWEN_CHAT).save_pretrained(folder)


# ── Gemma 3 ──────────────────────────────────────────────────────────────────────────────────────────


def _gemma3_parts(processor_class: Any) -> tuple[Any, Any]:
    """Configuration and processor: 16 tokens an image, which see one another whichever comes first."""
    from transformers import Gemma3Config
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    tokenizer = byte_tokenizer(
        ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>",
         "<start_of_image>", "<end_of_image>", "<image_soft_token>"],
        pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>",
        extra_special_tokens={
            "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
        chat_template=(
            "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message.role }}\n"
            "{% for part in message.content %}"
            "{% if part.type == 'image' %}<start_of_image>{% else %}{{ part.text }}{% endif %}"
            "{% endfor %}<end_of_turn>\n{% endfor %}"
        ),
    )  # fmt: skip
    id_of = tokenizer.convert_tokens_to_ids
    config = Gemma3Config(
        text_config={
            "model_type": "gemma3_text",
            **_text(len(tokenizer), head_dim=8, query_pre_attn_scalar=8, max_position_embeddings=4096),
            "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 512,
            "pad_token_id": id_of("<pad>"), "bos_token_id": id_of("<bos>"), "eos_token_id": id_of("<eos>"),
        },
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **_siglip_vision(112)},
        mm_tokens_per_image=16,
        boi_token_index=id_of("<start_of_image>"),
        eoi_token_index=id_of("<end_of_image>"),
        image_token_index=id_of("<image_soft_token>"),
    )  # fmt: skip
    processor = processor_class(
        image_processor=Gemma3ImageProcessorPil(size={"height": 112, "width": 112}),
        tokenizer=tokenizer,
        image_seq_length=16,
    )
    return config, processor


def save_engine_colgemma3(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import ColGemma3, ColGemmaProcessor3

    config, processor = _gemma3_parts(ColGemmaProcessor3)
    seeded(ColGemma3, config).save_pretrained(folder)
    processor.save_pretrained(folder)


def save_engine_bigemma3(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiGemma3, BiGemmaProcessor3

    config, processor = _gemma3_parts(BiGemmaProcessor3)
    seeded(BiGemma3, config).save_pretrained(folder)
    processor.save_pretrained(folder)


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


def _idefics3_parts(processor_class: Any) -> tuple[Any, Any]:
    from transformers import Idefics3Config

    image_processor, tokenizer = idefics_processor_parts()
    processor = processor_class(image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4)
    config = Idefics3Config(
        vision_config={"model_type": "idefics3_vision", **_siglip_vision(56)},
        text_config={"model_type": "llama", **_text(len(tokenizer))},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return config, processor


def save_engine_colidefics3(folder: Path) -> None:
    """What ColSmol is: its checkpoints name this class."""
    declare_torchvision_operators()
    from colpali_engine.models import ColIdefics3, ColIdefics3Processor

    config, processor = _idefics3_parts(ColIdefics3Processor)
    seeded(ColIdefics3, config).save_pretrained(folder)
    processor.save_pretrained(folder)


def save_engine_biidefics3(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiIdefics3, BiIdefics3Processor

    config, processor = _idefics3_parts(BiIdefics3Processor)
    seeded(BiIdefics3, config).save_pretrained(folder)
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


def save_engine_bimodernvbert(folder: Path) -> None:
    declare_torchvision_operators()
    from colpali_engine.models import BiModernVBert, BiModernVBertProcessor

    image_processor, tokenizer = idefics_processor_parts()
    processor = BiModernVBertProcessor(image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4)
    seeded(BiModernVBert, _modernvbert_config(tokenizer)).save_pretrained(folder)
    processor.save_pretrained(folder)


# ── sentence-transformers ────────────────────────────────────────────────────────────────────────────


def save_sentence_clip(folder: Path) -> None:
    """CLIP as sentence-transformers saves it: one vector of an image or of a text."""
    declare_torchvision_operators()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = byte_tokenizer(
        ["<pad>", "<start>", "<end>"], pad_token="<pad>", bos_token="<start>", eos_token="<end>"
    )
    tokenizer.model_max_length = 64
    config = CLIPConfig(
        text_config={
            **_text(len(tokenizer)), "max_position_embeddings": 64, "projection_dim": 16,
            "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={**_siglip_vision(56), "projection_dim": 16},
        projection_dim=16,
    )  # fmt: skip
    parts = folder.with_name(f"{folder.name}-parts")
    seeded(CLIPModel, config).save_pretrained(parts)
    CLIPProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
        ),
        tokenizer=tokenizer,
    ).save_pretrained(parts)
    SentenceTransformer(modules=[Transformer(str(parts))]).save_pretrained(str(folder))


def save_sentence_dse(folder: Path) -> None:
    """A vision-language model with last-token pooling and a prompt for queries, as DSE and its like."""
    declare_torchvision_operators()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    parts = folder.with_name(f"{folder.name}-parts")
    save_qwen3_vl(parts)
    SentenceTransformer(
        modules=[Transformer(str(parts)), Pooling(32, pooling_mode="lasttoken"), Normalize()],
        prompts={"query": "Find pages.", "document": "Remember this page."},
    ).save_pretrained(str(folder))


def save_sentence_text(folder: Path) -> None:
    """A sentence encoder, which takes no images."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    tokenizer = byte_tokenizer(["[PAD]", "[CLS]", "[SEP]"], pad_token="[PAD]", cls_token="[CLS]")
    parts = folder.with_name(f"{folder.name}-parts")
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=4, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    seeded(BertModel, config).save_pretrained(parts)
    tokenizer.save_pretrained(parts)
    SentenceTransformer(modules=[Transformer(str(parts)), Pooling(32)]).save_pretrained(str(folder))


MAKERS = {
    "transformers-colpali": save_colpali,
    "transformers-colqwen2": save_colqwen2,
    "transformers-colmodernvbert": save_colmodernvbert,
    "engine-colpali": save_engine_colpali,
    "engine-colqwen2": save_engine_colqwen2,
    "engine-colqwen2-lora": save_engine_adapter,
    "engine-colqwen2_5": save_engine_colqwen2_5,
    "engine-colqwen3": save_engine_colqwen3,
    "engine-colqwen3_5": save_engine_colqwen3_5,
    "engine-colgemma3": save_engine_colgemma3,
    "engine-colidefics3": save_engine_colidefics3,
    "engine-colmodernvbert": save_engine_colmodernvbert,
    "engine-bipali": save_engine_bipali,
    "engine-bipaliproj": save_engine_bipaliproj,
    "engine-biqwen2": save_engine_biqwen2,
    "engine-biqwen2_5": save_engine_biqwen2_5,
    "engine-biqwen3": save_engine_biqwen3,
    "engine-biqwen3_5": save_engine_biqwen3_5,
    "engine-biidefics3": save_engine_biidefics3,
    "engine-bimodernvbert": save_engine_bimodernvbert,
    "engine-bigemma3": save_engine_bigemma3,
    "last-token-qwen3-vl": save_qwen3_vl,
    "sentence-clip": save_sentence_clip,
    "sentence-dse": save_sentence_dse,
}
