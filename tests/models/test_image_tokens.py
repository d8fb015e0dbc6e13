"""Tokens of pictures by hand and by properties; tests/visual compares them with the models' processors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.models.image_tokens import (
    image_counter,
    openai_tile_tokens,
    patch_tokens,
    rule_of_folder,
    rule_of_name,
    rule_of_processor,
    smart_resize,
    split_grid,
    split_tokens,
    upper_estimate,
)
from docrag.models.options import AutoImageTokens, OpenAiTiles, PatchImageTokens, SplitImageTokens

QWEN2 = PatchImageTokens(max_pixels=1280 * 28 * 28)
IDEFICS3 = SplitImageTokens(longest_edge_px=1456, tile_px=364, tokens_per_tile=169)
SIDES = st.integers(30, 4000)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((280, 560), (280, 560)),  # multiples of 28 already
        ((285, 560), (280, 560)),  # 10.18 patches: 10
        ((42, 140), (56, 140)),  # 1.5 patches go to the even 2, and 56 * 140 is enough
        ((28, 28), (56, 56)),  # below 3,136 pixels: doubled
        ((2800, 2800), (980, 980)),  # sqrt(1,003,520) = 1001.8: 35 patches
    ],
)
def test_smart_resize_by_hand(size: tuple[int, int], expected: tuple[int, int]):
    assert smart_resize(*size, QWEN2) == expected


@given(width_px=SIDES, height_px=SIDES)
def test_smart_resize_keeps_its_promises(width_px: int, height_px: int):
    width, height = smart_resize(width_px, height_px, QWEN2)
    assert width % 28 == height % 28 == 0
    assert 0 < width * height <= QWEN2.max_pixels
    assert width * height >= QWEN2.min_pixels
    assert smart_resize(width, height, QWEN2) == (width, height)
    assert smart_resize(height_px, width_px, QWEN2) == (height, width)


def test_patches_are_merged_and_have_two_tokens_around_them():
    assert patch_tokens(280, 560, QWEN2) == 10 * 20 + 2
    qwen3 = PatchImageTokens(patch_px=16, min_pixels=65_536, max_pixels=16_777_216)
    assert patch_tokens(320, 640, qwen3) == 10 * 20 + 2
    pixtral = PatchImageTokens(patch_px=16, merge=1, n_around=0)
    assert patch_tokens(160, 320, pixtral) == 10 * 20


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((1456, 1456), (4, 4)),
        ((1456, 728), (4, 2)),
        ((728, 1456), (2, 4)),
        ((100, 100), (4, 4)),  # small pictures are enlarged
        ((1456, 700), (4, 2)),  # 1456 x 700 is padded up to two rows
        ((2000, 100), (4, 1)),
    ],
)
def test_pictures_are_cut_into_tiles(size: tuple[int, int], grid: tuple[int, int]):
    assert split_grid(*size, IDEFICS3) == grid


def test_tokens_of_tiles_by_hand():
    # 2 rows of (4 tiles of 169 + 2 tokens, and a line break), a line break, and the whole with 3 around it
    assert split_tokens(1456, 728, IDEFICS3) == 2 * (4 * 171 + 1) + 1 + 172
    single = SplitImageTokens(longest_edge_px=364, tile_px=364, tokens_per_tile=169)
    assert split_grid(100, 90, single) == (0, 0)
    assert split_tokens(100, 90, single) == 172


@pytest.mark.parametrize(
    ("size", "expected"),
    [  # OpenAI's own examples for high detail, and a portrait page
        ((1024, 1024), 765),
        ((2048, 4096), 1105),
        ((512, 512), 85 + 170),
        ((1275, 1650), 85 + 170 * 4),  # 768 x 993.9: two by two tiles
    ],
)
def test_openai_tiles_by_hand(size: tuple[int, int], expected: int):
    assert openai_tile_tokens(*size, OpenAiTiles()) == expected


@given(width_px=st.integers(200, 1500), height_px=st.integers(200, 1500))
def test_the_estimate_errs_upwards_for_the_models_that_it_names(width_px: int, height_px: int):
    estimate = upper_estimate(width_px, height_px)
    assert estimate >= patch_tokens(width_px, height_px, PatchImageTokens(max_pixels=12_845_056))
    assert estimate >= openai_tile_tokens(width_px, height_px, OpenAiTiles()) - 600  # no picture has fewer


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", PatchImageTokens),
        ("Qwen3-VL-8B", PatchImageTokens),
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", SplitImageTokens),
        ("HuggingFaceM4/Idefics3-8B-Llama3", SplitImageTokens),
        ("gpt-4o-2024-11-20", OpenAiTiles),
        ("some-model", type(None)),
    ],
)
def test_a_model_is_known_by_its_name(name: str, kind: type):
    assert isinstance(rule_of_name(name), kind)
    count = image_counter(AutoImageTokens(), name)
    assert count(800, 600) > 0
    if kind is type(None):
        assert count(800, 600) == upper_estimate(800, 600)


def test_what_is_configured_goes_before_the_name():
    count = image_counter(OpenAiTiles(base_tokens=1, tokens_per_tile=1), "Qwen2-VL")
    assert count(512, 512) == 2


def test_a_checkpoint_says_its_rule(tmp_path: Path):
    assert rule_of_folder(tmp_path) is None
    old = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": 3136,
        "max_pixels": 50_176,
        "merge_size": 2,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    assert rule_of_folder(tmp_path) == PatchImageTokens(min_pixels=3136, max_pixels=50_176)
    new = {
        "image_seq_len": 64,
        "image_processor": {
            "image_processor_type": "SmolVLMImageProcessor",
            "size": {"longest_edge": 1536},
            "max_image_size": {"longest_edge": 384},
        },
    }
    (tmp_path / "processor_config.json").write_text(json.dumps(new))
    expected = SplitImageTokens(longest_edge_px=1536, tile_px=384, tokens_per_tile=64)
    assert rule_of_folder(tmp_path) == expected
    assert rule_of_processor({"image_processor_type": "SiglipImageProcessor"}) is None


def test_nothing_is_scaled_beyond_what_the_processor_takes():
    huge = SplitImageTokens(longest_edge_px=8192, tile_px=512, tokens_per_tile=64)
    assert split_grid(8000, 4000, huge) == (8, 4)  # 4096 x 2048
    assert split_grid(4000, 8000, huge) == (4, 8)
