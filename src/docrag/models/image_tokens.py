"""Tokens of a picture, by the resize rules that the models' own image processors follow.

Sizes are width and height in pixels of the picture as it is sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from docrag.checkpoints import read_json
from docrag.models.options import (
    AutoImageTokens,
    ImageTokenOptions,
    OpenAiTiles,
    PatchImageTokens,
    SplitImageTokens,
)

CountImage = Callable[[int, int], int]
"""From width and height in pixels to tokens."""


def smart_resize(width_px: int, height_px: int, options: PatchImageTokens) -> tuple[int, int]:
    """Width and height that a Qwen vision-language model sees (Wang et al. 2024, Qwen2-VL, section 2.1).

    Both become multiples of a merged patch, and their product comes between `min_pixels` and `max_pixels`,
    the proportions kept as far as that allows.
    """
    factor = options.patch_px * options.merge
    width, height = width_px, height_px
    new_width, new_height = _to_multiple(width, factor), _to_multiple(height, factor)
    if new_width * new_height > options.max_pixels:
        shrink = math.sqrt(width * height / options.max_pixels)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
    elif new_width * new_height < options.min_pixels:
        grow = math.sqrt(options.min_pixels / (width * height))
        new_width = math.ceil(width * grow / factor) * factor
        new_height = math.ceil(height * grow / factor) * factor
    return new_width, new_height


def _to_multiple(length: int, factor: int) -> int:
    return round(length / factor) * factor  # to the even multiple in the middle, as the processor does


def patch_tokens(width_px: int, height_px: int, options: PatchImageTokens) -> int:
    """Merged patches of a picture, and the tokens around it."""
    new_width, new_height = smart_resize(width_px, height_px, options)
    factor = options.patch_px * options.merge
    return (new_width // factor) * (new_height // factor) + options.n_around


def split_grid(width_px: int, height_px: int, options: SplitImageTokens) -> tuple[int, int]:
    """Columns and rows of tiles that Idefics3 and SmolVLM cut a picture into; ``(0, 0)`` for a single tile.

    The longest side is scaled to `longest_edge_px`, then both sides up to multiples of a tile
    (Laurençon et al. 2024, Idefics3, section 3.1; Marafioti et al. 2025, SmolVLM).
    """
    tile = options.tile_px
    width, height = _longest_edge(width_px, height_px, options.longest_edge_px)
    ratio = width / height
    if width >= height:
        width = math.ceil(width / tile) * tile
        height = math.ceil(int(width / ratio) / tile) * tile
    else:
        height = math.ceil(height / tile) * tile
        width = math.ceil(int(height * ratio) / tile) * tile
    if width <= tile and height <= tile:
        return 0, 0
    return width // tile, height // tile


_LARGEST_PX = 4096
"""Idefics3's processor scales nothing beyond this."""


def _longest_edge(width: int, height: int, edge: int) -> tuple[int, int]:
    ratio = width / height
    if width >= height:
        width, height = edge, int(edge / ratio)
        height += height % 2
    else:
        width, height = int(edge * ratio), edge
        width += width % 2
    width, height = max(width, 1), max(height, 1)
    ratio = width / height
    if width >= height and width > _LARGEST_PX:
        width, height = _LARGEST_PX, int(_LARGEST_PX / ratio)
    elif height > width and height > _LARGEST_PX:
        width, height = int(_LARGEST_PX * ratio), _LARGEST_PX
    return max(width, 1), max(height, 1)


def split_tokens(width_px: int, height_px: int, options: SplitImageTokens) -> int:
    """Tokens of all tiles and of the whole picture, with the tokens that separate them.

    Every tile has two tokens before it and every row a line break after it; the picture as a whole follows a
    line break and has three around it.
    """
    columns, rows = split_grid(width_px, height_px, options)
    whole = options.tokens_per_tile + 3
    return whole + (rows > 0) + rows * (columns * (options.tokens_per_tile + 2) + 1)


def openai_tile_tokens(width_px: int, height_px: int, options: OpenAiTiles) -> int:
    """Tokens of a picture in high detail: within 2048 px, short side at most 768 px, tiles of 512 px."""
    shrink = min(1.0, 2048 / max(width_px, height_px))
    shrink = min(shrink, 768 / min(width_px, height_px))
    columns = math.ceil(round(width_px * shrink, 6) / 512)
    rows = math.ceil(round(height_px * shrink, 6) / 512)
    return options.base_tokens + options.tokens_per_tile * columns * rows


def upper_estimate(width_px: int, height_px: int) -> int:
    """Tokens of a picture for a model whose rule is not known: one for 28 x 28 px begun, and 260.

    That covers Qwen2-VL (at its own limit), InternVL (256 for 448 x 448 px and a small picture of the
    whole) and OpenAI's tiles; models with plain patches of 14 or 16 px, such as Pixtral, need more: set
    ``kind: patches``.
    """
    return math.ceil(width_px / 28) * math.ceil(height_px / 28) + 260


def image_counter(options: ImageTokenOptions, model: str = "") -> CountImage:
    """Return the function that counts the tokens of a picture; "auto" goes by the name of the model."""
    rule = rule_of_name(model) if isinstance(options, AutoImageTokens) else options
    match rule:
        case PatchImageTokens():
            return lambda width_px, height_px: patch_tokens(width_px, height_px, rule)
        case SplitImageTokens():
            return lambda width_px, height_px: split_tokens(width_px, height_px, rule)
        case OpenAiTiles():
            return lambda width_px, height_px: openai_tile_tokens(width_px, height_px, rule)
        case None:
            return upper_estimate


_QWEN3 = PatchImageTokens(patch_px=16, min_pixels=256 * 256, max_pixels=4096 * 4096)
_IDEFICS3 = SplitImageTokens(longest_edge_px=1456, tile_px=364, tokens_per_tile=169)
_SMOLVLM = SplitImageTokens(longest_edge_px=2048, tile_px=512, tokens_per_tile=64)
_NAMED: Mapping[str, PatchImageTokens | SplitImageTokens | OpenAiTiles] = {
    "qwen3-vl": _QWEN3,
    "qwen3_vl": _QWEN3,
    "qwen2.5-vl": PatchImageTokens(max_pixels=12_845_056),
    "qwen2_5_vl": PatchImageTokens(max_pixels=12_845_056),
    "qwen2-vl": PatchImageTokens(max_pixels=12_845_056),
    "qwen2_vl": PatchImageTokens(max_pixels=12_845_056),
    "smolvlm": _SMOLVLM,
    "idefics3": _IDEFICS3,
    "gpt-4o-mini": OpenAiTiles(base_tokens=2833, tokens_per_tile=5667),
    "gpt-4o": OpenAiTiles(),
    "gpt-4.1": OpenAiTiles(),
}
"""By a piece of the model's name, the first that is found; limits as the published checkpoints have them."""


def rule_of_name(model: str) -> PatchImageTokens | SplitImageTokens | OpenAiTiles | None:
    """Return the rule of a model by its name, None when the name says nothing."""
    name = model.lower()
    return next((rule for piece, rule in _NAMED.items() if piece in name), None)


def rule_of_folder(folder: Path) -> PatchImageTokens | SplitImageTokens | None:
    """Return the rule that a checkpoint's own files state, None for a kind of processor not known here."""
    processor = read_json(folder / "processor_config.json")
    nested = processor.get("image_processor")  # where transformers 5 writes it
    config = nested if isinstance(nested, Mapping) else read_json(folder / "preprocessor_config.json")
    return rule_of_processor(cast(Mapping[str, Any], config), int(processor.get("image_seq_len") or 0))


def rule_of_processor(
    config: Mapping[str, Any], tokens_per_tile: int = 0
) -> PatchImageTokens | SplitImageTokens | None:
    """Return the rule that an image processor's configuration states, None for a kind not known here.

    `tokens_per_tile` is ``image_seq_len`` of the processor around it; 0 where it says none.
    """
    kind = str(config.get("image_processor_type", ""))
    size = _numbers(config.get("size"))
    if kind.startswith("Qwen2VL"):
        default = PatchImageTokens()
        return PatchImageTokens(
            patch_px=int(config.get("patch_size") or default.patch_px),
            merge=int(config.get("merge_size") or default.merge),
            min_pixels=int(config.get("min_pixels") or size.get("shortest_edge") or default.min_pixels),
            max_pixels=int(config.get("max_pixels") or size.get("longest_edge") or default.max_pixels),
        )
    if kind.startswith(("Idefics3", "SmolVLM")):
        tile = _numbers(config.get("max_image_size"))
        return SplitImageTokens(
            longest_edge_px=int(size.get("longest_edge") or _IDEFICS3.longest_edge_px),
            tile_px=int(tile.get("longest_edge") or _IDEFICS3.tile_px),
            tokens_per_tile=tokens_per_tile or _IDEFICS3.tokens_per_tile,
        )
    return None


def _numbers(value: object) -> Mapping[str, int]:
    return cast(Mapping[str, int], value) if isinstance(value, Mapping) else {}
