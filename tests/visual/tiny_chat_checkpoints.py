"""Tiny seeded vision-language models that can chat, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.visual.tiny_checkpoints import byte_tokenizer, declare_torchvision_operators

_QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]  # fmt: skip
_SMOL_TOKENS = ["<pad>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
                "<global-img>",
                *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7))]  # fmt: skip
N_CONTEXT = 2048
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMOL_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<image>{% else %} {{ content['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def save_qwen2_vl(folder: Path) -> None:
    declare_torchvision_operators()
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = byte_tokenizer(_QWEN_TOKENS, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    id_of = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        text_config={"model_type": "qwen2_vl_text", **_text(tokenizer), "rope_parameters": rope},
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
    processor = Qwen2VLProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=QWEN_TEMPLATE,
    )
    _save(Qwen2VLForConditionalGeneration, config, processor, folder)


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": N_CONTEXT,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }


def _smol_tokenizer() -> Any:
    return byte_tokenizer(
        _SMOL_TOKENS, pad_token="<pad>", bos_token="<|im_start|>", eos_token="<end_of_utterance>"
    )


def _smol_config(config_class: Any, vision_type: str, tokenizer: Any) -> Any:
    return config_class(
        vision_config={
            "model_type": vision_type,
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "image_size": 56, "patch_size": 14,
        },
        text_config={"model_type": "llama", **_text(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


_SMOL_SIZES: dict[str, Any] = {
    "size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}, "do_image_splitting": True
}  # fmt: skip


def save_idefics3(folder: Path) -> None:
    declare_torchvision_operators()
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer = _smol_tokenizer()
    image_processor = Idefics3ImageProcessorPil(**_SMOL_SIZES)
    processor = Idefics3Processor(
        image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4, chat_template=SMOL_TEMPLATE
    )
    config = _smol_config(Idefics3Config, "idefics3_vision", tokenizer)
    _save(Idefics3ForConditionalGeneration, config, processor, folder)


def save_smolvlm(folder: Path) -> None:
    declare_torchvision_operators()
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    tokenizer = _smol_tokenizer()
    image_processor = SmolVLMImageProcessorPil(**_SMOL_SIZES)
    processor = SmolVLMProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=SmolVLMVideoProcessor(
            size={"longest_edge": 112}, max_image_size={"longest_edge": 56}
        ),
        image_seq_len=4,
        chat_template=SMOL_TEMPLATE,
    )
    config = _smol_config(SmolVLMConfig, "smolvlm_vision", tokenizer)
    _save(SmolVLMForConditionalGeneration, config, processor, folder)


def save_text_only(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _smol_tokenizer()
    LlamaForCausalLM(LlamaConfig(**_text(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _save(model_class: Any, config: Any, processor: Any, folder: Path) -> None:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = model_class(config).eval()
        for parameter in model.parameters():  # the library's own start values say the same to everything
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


MAKERS = {"qwen2-vl": save_qwen2_vl, "idefics3": save_idefics3, "smolvlm": save_smolvlm}
