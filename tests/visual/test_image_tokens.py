"""Tokens of pictures against the image processors of transformers, set as published checkpoints are."""

from __future__ import annotations

import importlib
import importlib.util
import random
from typing import Any

import numpy as np
import pytest

from docrag.models.image_tokens import patch_tokens, rule_of_name, rule_of_processor, smart_resize, split_grid
from docrag.models.options import PatchImageTokens, SplitImageTokens

pytestmark = [
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="the visual extra",
    ),
    pytest.mark.filterwarnings("ignore"),  # transformers warns of what is not installed
]
PAGES = [
    (1275, 1650),
    (1650, 1275),
    (595, 842),
    (2480, 3508),
    (1024, 768),
    (200, 1400),
    (1456, 364),
    (90, 60),
]


@pytest.fixture(autouse=True)
def operators() -> None:
    from tests.visual.tiny_checkpoints import declare_torchvision_operators

    declare_torchvision_operators()


@pytest.mark.parametrize(
    ("patch_px", "min_pixels", "max_pixels"),
    [(14, 56 * 56, 12_845_056), (14, 56 * 56, 28 * 28 * 1280), (16, 65_536, 16_777_216)],
    ids=["Qwen2.5-VL", "Qwen2-VL capped", "Qwen3-VL"],
)
def test_qwen_sees_the_size_that_we_count(patch_px: int, min_pixels: int, max_pixels: int):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as theirs

    size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    processor = Qwen2VLImageProcessorPil(size=size, patch_size=patch_px)
    rule = rule_of_processor(processor.to_dict())
    assert rule == PatchImageTokens(patch_px=patch_px, min_pixels=min_pixels, max_pixels=max_pixels)
    draw = random.Random(5)
    sizes = PAGES + [(draw.randint(20, 4000), draw.randint(20, 4000)) for _ in range(500)]
    for width_px, height_px in sizes:
        height, width = theirs(height_px, width_px, 2 * patch_px, min_pixels, max_pixels)
        assert smart_resize(width_px, height_px, rule) == (width, height)
        n_patches = processor.get_number_of_image_patches(height_px, width_px)
        assert patch_tokens(width_px, height_px, rule) == n_patches // 4 + 2


@pytest.mark.parametrize(
    ("name", "module", "prefix", "longest_edge_px", "tile_px"),
    [
        ("Idefics3-8B-Llama3", "idefics3", "Idefics3", 1456, 364),
        ("SmolVLM2-2.2B-Instruct", "smolvlm", "SmolVLM", 2048, 512),
    ],
)
def test_tiles_are_cut_as_we_count(name: str, module: str, prefix: str, longest_edge_px: int, tile_px: int):
    path = f"transformers.models.{module}.image_processing_pil_{module}"
    make: Any = getattr(importlib.import_module(path), f"{prefix}ImageProcessorPil")
    processor = make(
        size={"longest_edge": longest_edge_px},
        max_image_size={"longest_edge": tile_px},
        return_row_col_info=True,
    )
    rule = rule_of_name(name)
    assert isinstance(rule, SplitImageTokens)
    assert (rule.longest_edge_px, rule.tile_px) == (longest_edge_px, tile_px)
    for width_px, height_px in PAGES:
        picture = np.zeros((height_px, width_px, 3), np.uint8)
        cut = processor.preprocess(picture, return_tensors="np")
        assert split_grid(width_px, height_px, rule) == (cut["cols"][0][0], cut["rows"][0][0])
        columns, rows = split_grid(width_px, height_px, rule)
        assert cut["pixel_values"].shape[1] == columns * rows + 1
