from __future__ import annotations

import dataclasses
import importlib.util
import time
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from docrag.late_interaction import maxsim as module
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import VECTOR_TYPES, VectorType, encode
from docrag.late_interaction.products import as_multiplied, device_product, numpy_product, widen_float16
from docrag.late_interaction.rotation import rotate, rotate_back

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the visual extra")
BACKENDS = ["numpy", pytest.param("torch", marks=needs_torch)]


@pytest.fixture(params=BACKENDS, scope="module")
def kernel(request: pytest.FixtureRequest):
    kernel = MaxSim(request.param, n_threads=2)
    yield kernel
    kernel.close()


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def float64_maxsim(query: np.ndarray, page: np.ndarray) -> float:
    """The definition: two loops in float64."""
    if not len(page):
        return -np.inf
    return sum(max(float(np.dot(q, p)) for p in page) for q in query.astype(np.float64))


def as_scored(query: np.ndarray, vector_type: VectorType) -> np.ndarray:
    """The query as the kernel uses it: rounded to int8 row by row, but for floats; some rotated before."""
    if vector_type in ("float32", "float16"):
        return query.astype(np.float64)
    turned = vector_type in ("4-bit", "residual")
    query = rotate(query) if turned else query
    scale = np.abs(query).max(axis=1, keepdims=True) / 127
    rounded = np.rint(query / scale) * scale.astype(np.float64)
    return rotate_back(rounded) if turned else rounded


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
@given(
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=12),
    query_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    dim=st.sampled_from([3, 8, 20, 128]),
    seed=st.integers(0, 2**32 - 1),
    block=st.integers(1, 12),
)
@settings(deadline=None, max_examples=25)
def test_scores_equal_a_float64_loop_over_what_is_stored(
    kernel: MaxSim, vector_type: VectorType, sizes, query_sizes, dim, seed, block
):
    rng = np.random.default_rng(seed)
    pages = [unit_rows(rng, n, dim) for n in sizes]
    queries = [unit_rows(rng, n, dim) for n in query_sizes]
    stored = encode(pages, vector_type, dim=dim)
    expected = [
        [
            float64_maxsim(as_scored(q, vector_type), stored.vectors(i).astype(np.float64))
            for i in range(len(pages))
        ]
        for q in queries
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_VECTORS", block)
        patch.setattr(module, "BLOCK_QUERY_VECTORS", 4)
        got = kernel.scores(queries, stored)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_neighbours_and_blocks_never_change_a_score(kernel: MaxSim, vector_type: VectorType):
    rng = np.random.default_rng(5)
    pages = [unit_rows(rng, int(n), 64) for n in rng.integers(1, 900, 40)]
    query = unit_rows(rng, 20, 64)
    together = kernel.scores([query], encode(pages, vector_type, dim=64))[0]
    alone = [kernel.scores([query], encode([page], vector_type, dim=64))[0, 0] for page in pages]
    np.testing.assert_allclose(together, alone, atol=2e-6)


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_chosen_units_are_scored_in_the_order_asked(kernel: MaxSim, vector_type: VectorType):
    rng = np.random.default_rng(6)
    units = encode([unit_rows(rng, 30, 16) for _ in range(50)], vector_type, dim=16)
    query = unit_rows(rng, 4, 16)
    chosen = np.array([7, 8, 9, 3, 49, 0, 3])
    everything = kernel.scores([query], units)[0]
    np.testing.assert_allclose(
        kernel.scores([query], units, indices=chosen)[0], everything[chosen], atol=2e-6
    )
    assert kernel.scores([query], units, indices=np.array([], int)).shape == (1, 0)


def test_units_that_are_not_chosen_are_not_read(kernel: MaxSim):
    units = encode([np.eye(4, dtype=np.float32)] * 3, "float32", dim=4)
    units.codes[4:8] = np.nan
    assert kernel.scores([np.eye(4, dtype=np.float32)], units, indices=np.array([0, 2])).tolist() == [[4, 4]]


def test_several_queries_in_one_pass_score_as_one_by_one(kernel: MaxSim):
    rng = np.random.default_rng(7)
    units = encode([unit_rows(rng, 40, 32) for _ in range(30)], "float16", dim=32)
    queries = [unit_rows(rng, n, 32) for n in (1, 20, 300, 7)]
    one_by_one = np.concatenate([kernel.scores([query], units) for query in queries])
    np.testing.assert_allclose(kernel.scores(queries, units), one_by_one, atol=2e-5)


class FailingRows(np.ndarray):
    """Stored numbers of a slow disk that cannot be read in one place; it counts how often it is asked."""

    n_reads = 0

    def __getitem__(self, rows):
        if isinstance(rows, slice) and len(self) > 1000:  # not of a block
            FailingRows.n_reads += 1
            if rows.start == 8000:
                raise OSError("cannot read")
            time.sleep(0.02)
        return super().__getitem__(rows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_that_cannot_be_read_ends_the_pass(
    backend: Literal["numpy", "torch"], monkeypatch: pytest.MonkeyPatch
):
    kernel = MaxSim(backend, n_threads=2)
    monkeypatch.setattr(module, "BLOCK_VECTORS", 1000)
    n_units, rows = 40, np.full((1000, 4), 0.5, np.float32)
    units = encode([rows] * n_units, "float32", dim=4)
    broken = dataclasses.replace(units, codes=units.codes.view(FailingRows))
    FailingRows.n_reads = 0
    with pytest.raises(OSError, match="cannot read"):
        kernel.scores([rows[:1]], broken)
    assert kernel.scores([rows[:1]], units).tolist() == [[1.0] * n_units]
    kernel.close()
    assert 9 <= FailingRows.n_reads <= 12  # not what comes after, by whichever thread


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_several_parts_in_one_pass_score_as_one_by_one(kernel: MaxSim, vector_type: VectorType):
    rng = np.random.default_rng(12)
    parts = [encode([unit_rows(rng, int(n), 32) for n in sizes], vector_type, dim=32)
             for sizes in ([5, 0, 900], [], [0], rng.integers(1, 700, 30))]  # fmt: skip
    chosen = [np.array([2, 0, 1]), np.empty(0, np.int64), np.array([0]), rng.permutation(30)[:20]]
    queries = [unit_rows(rng, n, 32) for n in (7, 300)]
    together = kernel.scores_each(queries, list(zip(parts, chosen, strict=True)))
    for part, rows, got in zip(parts, chosen, together, strict=True):
        np.testing.assert_allclose(got, kernel.scores(queries, part, indices=rows), atol=2e-5)
        assert got.shape == (2, len(rows))
    assert kernel.scores_each(queries, []) == []


def test_order_and_copies_of_vectors_do_not_matter(kernel: MaxSim):
    rng = np.random.default_rng(8)
    page, query = unit_rows(rng, 50, 24), unit_rows(rng, 6, 24)
    shuffled = page[rng.permutation(50)]
    units = encode([page, shuffled, np.concatenate([page, page[:9]])], "float32", dim=24)
    a, b, c = kernel.scores([query], units)[0]
    assert a == pytest.approx(b, abs=2e-6) == pytest.approx(c, abs=2e-6)


def test_another_vector_never_lowers_a_score(kernel: MaxSim):
    rng = np.random.default_rng(9)
    page, query = unit_rows(rng, 50, 24), unit_rows(rng, 6, 24)
    scores = kernel.scores([query], encode([page[:n] for n in (10, 20, 50)], "float32", dim=24))[0]
    assert scores[0] <= scores[1] + 1e-6
    assert scores[1] <= scores[2] + 1e-6


def test_negative_products_beat_no_padding_zero(kernel: MaxSim):
    """A scorer that pads with zeros would give 0 where every product is negative."""
    page, query = np.array([[-1, 0], [-1, 0]], np.float32), np.array([[1, 0]], np.float32)
    long_page = np.repeat(page, 9, axis=0)
    assert kernel.scores([query], encode([page, long_page], "float32", dim=2)).tolist() == [[-1, -1]]


@pytest.mark.parametrize("shape", [(0, 4), (2, 5), (4,)])
def test_a_query_of_the_wrong_shape_is_refused(kernel: MaxSim, shape: tuple[int, ...]):
    units = encode([np.eye(4, dtype=np.float32)], "float32", dim=4)
    with pytest.raises(ValueError, match=r"expected \(n > 0, 4\)"):
        kernel.scores([np.zeros(shape, np.float32)], units)


@given(hnp.arrays(np.float16, (3, 16), elements=st.floats(-60000, 60000, width=16)))
def test_float16_is_widened_exactly(halves: np.ndarray):
    out = np.empty(halves.shape, np.float32)
    widen_float16(halves, out)
    assert (out == halves.astype(np.float32)).all()


def test_int8_keeps_components_within_half_a_step():
    rng = np.random.default_rng(10)
    pages = [unit_rows(rng, 20, 32), np.zeros((2, 32), np.float32)]
    stored = encode(pages, "int8", dim=32)
    for i, page in enumerate(pages):
        assert np.abs(stored.vectors(i) - page).max() <= stored.scales[i] / 2 + 1e-7


def test_one_bit_keeps_signs_around_the_mean():
    stored = encode([np.array([[0.5, 0.0, 0.25, 1], [1.5, 0.0, 0.75, 3]], np.float32)], "1-bit", dim=4)
    # Means 1, 0, 0.5, 2; differences ∓0.5, 0, ∓0.25, ∓1, of mean size 3.5 / 8.
    size = 3.5 / 8
    np.testing.assert_allclose(stored.vectors(0)[0], [1 - size, -size, 0.5 - size, 2 - size], atol=1e-3)
    np.testing.assert_allclose(stored.vectors(0)[1], [1 + size, -size, 0.5 + size, 2 + size], atol=1e-3)
    assert stored.codes.nbytes == 2


def test_taken_units_are_the_same_units():
    rng = np.random.default_rng(11)
    stored = encode([unit_rows(rng, n, 8) for n in (2, 0, 5)], "int8", dim=8)
    taken = stored.take([2, 1])
    assert (taken.vectors(0) == stored.vectors(2)).all()
    assert len(taken.vectors(1)) == 0


def test_numpy_has_no_gpu():
    with pytest.raises(ValueError, match="CPU only"):
        MaxSim("numpy", device="cuda")


@needs_torch
@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
@pytest.mark.parametrize("dim", [3, 128, 321])
def test_an_accelerator_multiplies_as_the_processor_does(vector_type: VectorType, dim: int):
    """On the CPU for torch's device: the same way, without the machine."""
    import torch

    rng = np.random.default_rng(14)
    query = as_multiplied(unit_rows(rng, 5, dim), vector_type)
    codes = encode([unit_rows(rng, 60, dim)], vector_type, dim=dim).codes
    on_device = device_product(torch, query, vector_type, dim, "cpu")(codes)
    np.testing.assert_allclose(on_device, numpy_product(query, vector_type, dim)(codes), atol=1e-3)
