"""Pixel budgets: how finely a page may be rendered, decided before anything is rendered or decoded."""

from __future__ import annotations

import math

MAX_RENDER_PIXELS = 40_000_000
"""An A0 poster at 150 dpi has 35 million pixels; as RGB this budget is 120 MB."""

MAX_IMAGE_PIXELS = 178_956_970
"""Pillow's limit for a decompression bomb; decoded to RGB such an image takes 537 MB."""


def fitted_dpi(
    width_pt: float, height_pt: float, dpi: float, *, max_pixels: int = MAX_RENDER_PIXELS
) -> float:
    """`dpi`, or less where an area of this size would have more than `max_pixels` pixels.

    Examples
    --------
    >>> fitted_dpi(612, 792, 150)
    150
    >>> round(fitted_dpi(14_400, 14_400, 150, max_pixels=1_000_000), 2)
    5.0
    """
    n_pixels = (width_pt * dpi / 72) * (height_pt * dpi / 72)
    return dpi if n_pixels <= max_pixels else dpi * math.sqrt(max_pixels / n_pixels)
