"""Text lines in a detector's probability map (differentiable binarization, Liao et al. 2020, §3.4).

The shrunken kernel of each line is found by a threshold and grown back by ``area x ratio / perimeter``. For
a rectangle that offset moves each side outwards by the same distance, so no polygon library is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

KERNEL_THRESHOLD = 0.3
"""Probability from which a pixel belongs to a text kernel (PP-OCR's default)."""
MIN_SCORE = 0.5
"""Lowest mean probability of a line (PP-OCR's default)."""
UNCLIP_RATIO = 1.6
"""Growth of a kernel (PP-OCR's default)."""
MIN_SIDE_PX = 3.0
TALL_RATIO = 1.5
"""A line that is this much higher than wide runs up or down the page (PP-OCR's rule)."""
ALIGNED_DEGREES = 0.6
"""Below this skew a straight crop reads as well as a warped one and costs less."""


class TextBox(NamedTuple):
    """A rectangle around one line: centre, size along and across the line, and clockwise angle in degrees."""

    cx: float
    cy: float
    width: float
    height: float
    angle: float


@dataclass(frozen=True, slots=True)
class Crop:
    """A line cut out upright: its pixels, and the affine map ``(2, 3)`` from crop to image pixels.

    `is_turned` says that the line runs up or down the image and may be upside down.
    """

    pixels: NDArray[np.uint8]
    to_image: NDArray[np.float64]
    is_turned: bool = False

    def turned(self) -> Crop:
        """The same line rotated by 180 degrees."""
        height, width = self.pixels.shape[:2]
        half_turn = np.array([[-1.0, 0.0, width], [0.0, -1.0, height], [0.0, 0.0, 1.0]])
        return Crop(np.ascontiguousarray(self.pixels[::-1, ::-1]), self.to_image @ half_turn, self.is_turned)

    def image_box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        """The upright box in the image around a box in the crop."""
        corners = np.array([[x0, x1, x1, x0], [y0, y0, y1, y1], [1.0, 1.0, 1.0, 1.0]])
        x, y = self.to_image @ corners
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def find_text_boxes(probability: NDArray[np.float32]) -> list[TextBox]:
    """Lines in a ``(height, width)`` probability map, in map pixels, in no particular order."""
    mask = cv2.dilate((probability > KERNEL_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes: list[TextBox] = []
    for contour in contours:
        (cx, cy), (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE_PX or _mean_inside(probability, contour) < MIN_SCORE:
            continue
        # OpenCV's releases differ in the range of the angle: bring it into [-45, 45].
        n_quarter_turns = round(angle / 90)
        angle -= 90 * n_quarter_turns
        if n_quarter_turns % 2:
            width, height = height, width
        grow = 2 * width * height * UNCLIP_RATIO / (2 * (width + height))
        boxes.append(TextBox(cx, cy, width + grow, height + grow, angle))
    return boxes


def _mean_inside(probability: NDArray[np.float32], contour: cv2.typing.MatLike) -> float:
    x, y, width, height = cv2.boundingRect(contour)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [contour - np.array([x, y], dtype=contour.dtype)], (1,))
    return float(cv2.mean(probability[y : y + height, x : x + width], mask)[0])


def scale_box(box: TextBox, x_scale: float, y_scale: float) -> TextBox:
    """The box in another resolution; the two scales differ only by rounding, so the angle is kept."""
    return TextBox(box.cx * x_scale, box.cy * y_scale, box.width * x_scale, box.height * y_scale, box.angle)


def crop_line(image: NDArray[np.uint8], box: TextBox) -> Crop | None:
    """Cut a line out of an image, turned upright; None when nothing of it lies inside.

    A line that is higher than wide is read from bottom to top, as axis labels of charts are; the caller
    tries the other direction with `Crop.turned`.
    """
    height_px, width_px = image.shape[:2]
    is_tall = box.height >= TALL_RATIO * box.width
    if abs(box.angle) < ALIGNED_DEGREES:
        x0, y0 = max(0, round(box.cx - box.width / 2)), max(0, round(box.cy - box.height / 2))
        x1 = min(width_px, round(box.cx + box.width / 2))
        y1 = min(height_px, round(box.cy + box.height / 2))
        if x1 - x0 < MIN_SIDE_PX or y1 - y0 < MIN_SIDE_PX:
            return None
        pixels = image[y0:y1, x0:x1]
        to_image = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]])
    else:
        width, height = max(1, round(box.width)), max(1, round(box.height))
        turn = np.deg2rad(box.angle)
        cos, sin = float(np.cos(turn)), float(np.sin(turn))
        to_image = np.array(
            [
                [cos, -sin, box.cx - cos * width / 2 + sin * height / 2],
                [sin, cos, box.cy - sin * width / 2 - cos * height / 2],
            ]
        )
        pixels = cv2.warpAffine(
            image,
            to_image,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.uint8, copy=False)
    if not is_tall:
        return Crop(np.ascontiguousarray(pixels), to_image)
    # Clockwise by 90 degrees: (x, y) of the turned crop was (y, height - x) before.
    quarter_turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, pixels.shape[0]], [0.0, 0.0, 1.0]])
    return Crop(np.ascontiguousarray(np.rot90(pixels, -1)), to_image @ quarter_turn, is_turned=True)
