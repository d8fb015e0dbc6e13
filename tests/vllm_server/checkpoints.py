"""Tiny seeded checkpoints that vLLM serves: ``python -m tests.vllm_server.checkpoints NAME FOLDER``.

Run by vLLM's own interpreter, since the tests' may have no torch. Attention heads are 64 wide, the narrowest
that vLLM's attention on a processor takes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.visual.tiny_checkpoints import (
    idefics_processor_parts,
    qwen3_config,
    qwen3_processor,
    seeded,
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}: "
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}"
)


def _vision(image_size: int) -> dict[str, int]:
    return {
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": image_size,
        "patch_size": 14,
    }


def _text(vocab_size: int) -> dict[str, int]:
    return {
        "vocab_size": vocab_size,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 64,
    }


def save_chat(folder: Path) -> None:
    """A vision-language model that answers with noise: Idefics 3, four image tokens a tile."""
    from transformers import (
        GenerationConfig,
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3Processor,
    )

    image_processor, tokenizer = idefics_processor_parts()
    processor = Idefics3Processor(
        image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE
    )
    config = Idefics3Config(
        vision_config={"model_type": "idefics3_vision", **_vision(56)},
        text_config={
            "model_type": "llama",
            "max_position_embeddings": 8192,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            **_text(len(tokenizer)),
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = seeded(Idefics3ForConditionalGeneration, config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def save_page_encoder(folder: Path) -> None:
    """A ColQwen3 as colpali-engine saves it, which vLLM and colpali-engine both load.

    The chat template makes of one image and one text the prompt of colpali-engine's processor.
    """
    import torch
    from transformers import Qwen3VLModel, Qwen3VLProcessor

    class ColQwen3(Qwen3VLModel):
        """Weights and configuration of colpali-engine's class, which is not installed beside vLLM."""

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.custom_text_proj = torch.nn.Linear(config.text_config.hidden_size, 320)
            self.post_init()

    config = qwen3_config(width=128, n_heads=2, n_key_value_heads=1)
    config.dim = 320  # vLLM looks for it here, and then reads no bias of the projection
    model = seeded(ColQwen3, config)
    torch.nn.init.zeros_(model.custom_text_proj.bias)
    model.save_pretrained(folder)
    template = (
        "{% for message in messages %}{% for part in message.content %}"
        "{% if part.type == 'text' %}{{ part.text }}<|im_end|><|endoftext|>"
        "{% else %}<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
        "{% endfor %}{% endfor %}"
    )
    qwen3_processor(Qwen3VLProcessor, chat_template=template).save_pretrained(folder)


MAKERS = {"chat": save_chat, "page-encoder": save_page_encoder}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]))
