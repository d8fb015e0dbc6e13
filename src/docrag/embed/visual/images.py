"""Images as encoders can take them: no side too short, no shape too extreme."""

from __future__ import annotations

import numpy as np

from docrag.protocols import RgbImage

MIN_SIDE_PX = 56
"""Two merged patches of the Qwen encoders; anything smaller is enlarged."""

MAX_ASPECT = 20.0
"""Qwen's processors refuse 200; a strip as thin as that would be all padding or all blur anyway."""


def fit(image: RgbImage) -> tuple[RgbImage, bool]:
    """Enlarge a small image and pad an extreme one with white; say whether it was padded."""
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"got an image of {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
    height, width = image.shape[:2]
    shortest = min(height, width)
    if shortest < MIN_SIDE_PX:
        factor = min(MIN_SIDE_PX / shortest, MIN_SIDE_PX * MAX_ASPECT / max(height, width))
        factor = max(factor, 1.0)
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        height, width = image.shape[:2]
    needed = max(int(np.ceil(max(height, width) / MAX_ASPECT)), MIN_SIDE_PX)
    if min(height, width) >= needed:
        return image, False
    padded = np.full((max(height, needed), max(width, needed), 3), 255, np.uint8)
    padded[:height, :width] = image
    return padded, True
