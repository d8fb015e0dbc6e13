"""Tiny seeded rerankers with real processors and tokenizers, saved as the libraries save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.visual.tiny_checkpoints import byte_tokenizer, declare_torchvision_operators

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
          "<|image_pad|>", "<|video_pad|>", "yes", "no"]  # fmt: skip

_TEXT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_VISION_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for p in m.content %}"
    "{% if p.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ p.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _seeded(model_class: Any, config: Any) -> Any:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = model_class(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def _text(vocab_size: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 4096,
    }  # fmt: skip


def save_language_model(folder: Path, *, tokens: list[str] = TOKENS) -> None:
    """A Qwen3 language model, as Qwen3-Reranker is."""
    declare_torchvision_operators()
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = byte_tokenizer(tokens, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.chat_template = _TEXT_TEMPLATE
    _seeded(Qwen3ForCausalLM, Qwen3Config(**_text(len(tokenizer)))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_vision_model(folder: Path) -> None:
    """A Qwen3-VL, as Qwen3-VL-Reranker is."""
    declare_torchvision_operators()
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    tokenizer = byte_tokenizer(TOKENS, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    id_of = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen3VLConfig(
        text_config={**_text(len(tokenizer)), "rope_parameters": rope},
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 32,
            "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
            "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
        },
        image_token_id=id_of("<|image_pad|>"),
        video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"),
        vision_end_token_id=id_of("<|vision_end|>"),
    )  # fmt: skip
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 64 * 64, "longest_edge": 128 * 128}, patch_size=16, merge_size=2
    )
    processor = Qwen3VLProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(),
        chat_template=_VISION_TEMPLATE,
    )
    _seeded(Qwen3VLForConditionalGeneration, config).save_pretrained(folder)
    processor.save_pretrained(folder)


def save_classifier(folder: Path, *, n_labels: int, head_dim: int = 8) -> None:
    """A BERT that reads two texts, as most cross-encoders are."""
    declare_torchvision_operators()
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = byte_tokenizer(
        ["[PAD]", "[CLS]", "[SEP]"], pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, tokenizer.convert_tokens_to_ids(t)) for t in ("[CLS]", "[SEP]")],
    )
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=4 * head_dim, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=600, num_labels=n_labels,
    )  # fmt: skip
    _seeded(BertForSequenceClassification, config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
