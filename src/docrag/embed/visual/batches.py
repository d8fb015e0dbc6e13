"""Batches of equal shape, made smaller when memory runs out."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from docrag.errors import ModelError

Result = TypeVar("Result")
Inputs = Mapping[str, Any]


def run_batches(
    forward: Callable[[Sequence[Inputs]], list[Result]], inputs: Sequence[Inputs], *, batch_size: int
) -> list[Result]:
    """Run `forward` on batches of inputs with equal shapes, the largest first; results in input order.

    The largest come first so that memory runs out at once or never. When it does, the batch is halved, and
    stays so for shapes as large. Raises `ModelError` when one input alone is too large.
    """
    by_shape: dict[tuple[Any, ...], list[int]] = {}
    for place, one in enumerate(inputs):
        by_shape.setdefault(_shape(one), []).append(place)
    results: dict[int, Result] = {}
    for _, places in sorted(by_shape.items(), key=lambda item: -_n_numbers(inputs[item[1][0]])):
        at = 0
        while at < len(places):
            batch = places[at : at + batch_size]
            try:
                found = forward([inputs[place] for place in batch])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise ModelError(
                        f"out of memory on a single input of shape {_shape(inputs[batch[0]])}; render pages "
                        "with fewer pixels (visual.longest_px), or use a larger device"
                    ) from error
                batch_size = len(batch) // 2
                del error
                _release()
                continue
            results.update(zip(batch, found, strict=True))
            at += len(batch)
    return [results[place] for place in range(len(inputs))]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device or the machine has no memory left."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in text
        or "not enough memory" in text
        or "can't allocate memory" in text
    )


def _release() -> None:
    """Give back what the failed batch held, so that a smaller one fits."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _shape(one: Inputs) -> tuple[Any, ...]:
    return tuple(sorted((name, tuple(value.shape)) for name, value in one.items()))


def _n_numbers(one: Inputs) -> int:
    return sum(math.prod(value.shape) for value in one.values())
