from __future__ import annotations

import numpy as np
import pytest

from docrag.embed.visual.batches import run_batches
from docrag.embed.visual.images import MAX_ASPECT, MIN_SIDE_PX, fit
from docrag.errors import ModelError


class Tensor:
    """As much of a tensor as batches look at."""

    def __init__(self, *shape: int, tag: int = 0) -> None:
        self.shape, self.tag = shape, tag

    def numel(self) -> int:
        return int(np.prod(self.shape))


class Device:
    """Holds `room` numbers; a larger batch is out of memory."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.batches: list[list[int]] = []

    def __call__(self, inputs):
        assert len({one["x"].shape for one in inputs}) == 1
        if sum(one["x"].numel() for one in inputs) > self.room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.batches.append([one["x"].tag for one in inputs])
        return [one["x"].tag * 10 for one in inputs]


def inputs(*sizes: int):
    return [{"x": Tensor(1, size, tag=i)} for i, size in enumerate(sizes)]


def test_results_keep_their_order_and_shapes_are_never_mixed():
    device = Device(1000)
    assert run_batches(device, inputs(3, 7, 3, 7, 3), batch_size=8) == [0, 10, 20, 30, 40]
    assert device.batches == [[1, 3], [0, 2, 4]]  # the larger shape first


def test_a_batch_is_halved_until_it_fits_and_stays_small():
    device = Device(9)
    assert run_batches(device, inputs(4, 4, 4, 4, 4), batch_size=5) == [0, 10, 20, 30, 40]
    assert device.batches == [[0, 1], [2, 3], [4]]


def test_one_input_that_does_not_fit_is_an_error_with_a_way_out():
    with pytest.raises(ModelError, match="out of memory on a single input"):
        run_batches(Device(3), inputs(2, 4), batch_size=2)


def test_other_errors_are_passed_on():
    def broken(_inputs):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        run_batches(broken, inputs(1), batch_size=1)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (10, 400), (3000, 2), (56, 56), (800, 600)])
def test_an_image_gets_sides_that_encoders_take(shape: tuple[int, int]):
    image = np.zeros((*shape, 3), np.uint8)
    fitted, is_padded = fit(image)
    height, width = fitted.shape[:2]
    assert min(height, width) >= MIN_SIDE_PX
    assert max(height, width) <= MAX_ASPECT * min(height, width)
    assert is_padded == bool((fitted == 255).any())
    if min(shape) >= MIN_SIDE_PX:
        assert fitted is image


def test_something_else_than_an_rgb_image_is_refused():
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            fit(wrong)
