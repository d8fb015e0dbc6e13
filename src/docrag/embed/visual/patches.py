"""Which vector of an image stands for which patch of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def patch_grid(
    inputs: Mapping[str, Any], processor: object, image_token_id: int, size: tuple[int, int]
) -> NDArray[np.int32] | None:
    """Return the vector index of every patch, ``(n_rows, n_columns) int32``; None when they do not add up.

    Three layouts exist: one token a patch of a resized square (PaliGemma), tokens of a merged grid whose
    shape the processor tells (Qwen), and tiles of equal squares with a thumbnail last (Idefics 3).

    Parameters
    ----------
    inputs
        Model input of one image, without padding.
    size
        ``(height, width)`` of the image in pixels, before the processor.
    """
    places = np.flatnonzero(np.asarray(inputs["input_ids"][0]) == image_token_id).astype(np.int32)
    image_processor: Any = getattr(processor, "image_processor")  # noqa: B009 (a library without types)
    if "image_grid_thw" in inputs:
        grid_thw = inputs["image_grid_thw"]
        merge = int(image_processor.merge_size)
        return _reshaped(places, int(grid_thw[0, 1]) // merge, int(grid_thw[0, 2]) // merge)
    tiles = getattr(image_processor, "get_number_of_image_patches", None)
    if inputs["pixel_values"].ndim == 5 and tiles is not None:
        _, n_rows, n_columns = tiles(*size)
        return _tiled(places, n_rows, n_columns, int(inputs["pixel_values"].shape[1]))
    side = math.isqrt(len(places))
    return _reshaped(places, side, side)


def _reshaped(places: NDArray[np.int32], n_rows: int, n_columns: int) -> NDArray[np.int32] | None:
    if len(places) == 0 or len(places) != n_rows * n_columns:
        return None
    return places.reshape(n_rows, n_columns)


def _tiled(places: NDArray[np.int32], n_rows: int, n_columns: int, n_tiles: int) -> NDArray[np.int32] | None:
    """Patches of the tiles, row by row; the thumbnail stands for no place of its own unless it is alone."""
    if n_rows * n_columns == 0:
        n_rows = n_columns = 1
    elif n_tiles != n_rows * n_columns + 1:
        return None
    side = math.isqrt(len(places) // n_tiles)
    if side == 0 or len(places) != n_tiles * side * side:
        return None
    tiles = places.reshape(n_tiles, side, side)[: n_rows * n_columns]
    rows = tiles.reshape(n_rows, n_columns, side, side).transpose(0, 2, 1, 3)
    return rows.reshape(n_rows * side, n_columns * side)
