"""A page encoder without a model: patches become their mean colours, colour words become colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docrag.errors import ModelError, ModelUnavailable
from docrag.protocols import EncoderIdentity, ImageVectors, QueryVectors, RgbImage

WORDS = {"red": (1, -1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1), "white": (1, 1, 1)}
N_CELLS = 8


class ColourEmbedder:
    """``N_CELLS × N_CELLS`` patches of an image, each the direction of its mean colour.

    `fails_on` refuses images that contain this colour; `dies_after` images the endpoint is gone.
    """

    def __init__(
        self,
        *,
        revision: str = "1",
        fails_on: tuple[int, int, int] | None = None,
        dies_after: int | None = None,
    ) -> None:
        self.identity = EncoderIdentity("colours", revision, 3, "late-interaction")
        self.processor = "cells"
        self.n_images = 0
        self._fails_on = fails_on
        self._dies_after = dies_after

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """One vector for each colour word."""
        found: list[QueryVectors] = []
        for text in texts:
            tokens = [word for word in text.lower().split() if word in WORDS] or ["white"]
            found.append(QueryVectors(_unit(np.array([WORDS[t] for t in tokens], np.float32)), tuple(tokens)))
        return found

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """One vector for each patch."""
        return [self._embed(image) for image in images]

    def _embed(self, image: RgbImage) -> ImageVectors:
        self.n_images += 1
        if self._dies_after is not None and self.n_images > self._dies_after:
            raise ModelUnavailable("the endpoint is gone")
        if self._fails_on is not None and (image == self._fails_on).all(axis=2).any():
            raise ModelError("cannot look at this colour")
        rows = np.array_split(image.astype(np.float32) / 127.5 - 1, N_CELLS, axis=0)
        cells = [cell.mean(axis=(0, 1)) for row in rows for cell in np.array_split(row, N_CELLS, axis=1)]
        grid = np.arange(N_CELLS * N_CELLS, dtype=np.int32).reshape(N_CELLS, N_CELLS)
        return ImageVectors(_unit(np.array(cells, np.float32) + 1e-3), grid)


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
