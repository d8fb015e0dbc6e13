"""Images encoded together, and one by one where together fails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docrag.errors import ModelError, ModelUnavailable
from docrag.protocols import ImageVectors, PageEmbedder, RgbImage

PLAIN_PX = 224
"""Side of the plain image that tells an encoder that fails from an image that it cannot take."""


def embed_each(embedder: PageEmbedder, images: Sequence[RgbImage]) -> list[ImageVectors | str]:
    """Vectors of every image, or why it has none: one bad image costs no other its vectors.

    Raises `ModelError` when no image has any and a plain one gets none either: no image is at fault.
    """
    found = _one_by_one(embedder, images)
    if all(isinstance(item, str) for item in found):
        try:
            embedder.embed_images([_plain_image()])
        except ModelUnavailable:
            raise
        except ModelError as error:
            raise ModelError(
                f"{error}. The page encoder fails on every image, a plain one too, so no page is noted as "
                "failed; what was encoded before is stored, and repeating the command goes on from there"
            ) from error
    return found


def _one_by_one(embedder: PageEmbedder, images: Sequence[RgbImage]) -> list[ImageVectors | str]:
    try:
        return list(embedder.embed_images(images))
    except ModelUnavailable:
        raise
    except ModelError as error:
        if len(images) == 1:
            return [str(error)]
        return [item for image in images for item in _one_by_one(embedder, [image])]


def _plain_image() -> RgbImage:
    """A bar on white, of the least size that every encoder takes."""
    image = np.full((PLAIN_PX, PLAIN_PX, 3), 255, np.uint8)
    image[PLAIN_PX // 4 : PLAIN_PX // 2, PLAIN_PX // 4 : -PLAIN_PX // 4] = 0
    return image
