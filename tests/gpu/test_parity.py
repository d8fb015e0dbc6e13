"""An accelerator must give what the CPU gives, and give way when its memory runs out; skipped without one."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docrag.embed.visual.batches import run_batches
from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ModelError
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import VECTOR_TYPES, VectorType, encode
from docrag.protocols import PageEmbedder

DEVICE = "cuda"
ENCODERS = (
    "transformers-colpali", "transformers-colqwen2", "transformers-colmodernvbert", "engine-colpali",
    "engine-colqwen2", "engine-colqwen2-lora", "engine-colqwen2_5", "engine-colqwen3", "engine-colqwen3_5",
    "engine-colgemma3", "engine-colidefics3", "engine-colmodernvbert", "engine-bipali", "engine-biqwen3",
    "last-token-qwen3-vl", "sentence-clip",
)  # fmt: skip


def has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


pytestmark = [
    pytest.mark.skipif(not has_gpu(), reason="needs torch and a GPU"),
    pytest.mark.filterwarnings("ignore"),  # torch, transformers and peft warn about one another
]


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def picture(seed: int, height: int = 200, width: int = 150) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    from tests.visual.tiny_checkpoints import MAKERS

    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        needed = {"engine": "colpali_engine", "sentence": "sentence_transformers"}.get(name.split("-")[0])
        if needed and importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
        if name not in made:
            made[name] = tmp_path_factory.mktemp("checkpoints") / name
            MAKERS[name](made[name])
        return made[name]

    return folder


def load(folder: Path, **options: object) -> PageEmbedder:
    pooling = "last-token" if folder.name.startswith("last-token") else "auto"
    return build_page_embedder(
        LocalVisualOptions.model_validate({"model": str(folder), "pooling": pooling, **options})
    )


# ── MaxSim ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def kernels() -> Iterator[tuple[MaxSim, MaxSim]]:
    with closing(MaxSim("torch", device=DEVICE)) as on_gpu, closing(MaxSim("numpy")) as on_cpu:
        yield on_gpu, on_cpu


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_maxsim_on_the_gpu_equals_maxsim_on_the_cpu(kernels: tuple[MaxSim, MaxSim], vector_type: VectorType):
    rng = np.random.default_rng(1)
    on_gpu, on_cpu = kernels
    lengths = [0, *rng.integers(1, 1030, 60)]  # the first unit has no vectors
    units = encode([unit_rows(rng, int(n), 128) for n in lengths], vector_type, dim=128)
    queries = [unit_rows(rng, 20, 128), unit_rows(rng, 7, 128)]
    found, expected = on_gpu.scores(queries, units), on_cpu.scores(queries, units)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.isneginf(found[:, 0]).all()
    chosen = np.array([5, 60, 5, 1])
    np.testing.assert_allclose(on_gpu.scores(queries, units, indices=chosen), expected[:, chosen], atol=1e-4)


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_a_thousand_pages_are_ranked_alike(
    kernels: tuple[MaxSim, MaxSim], vector_type: VectorType, record_property: Callable[[str, object], None]
):
    rng = np.random.default_rng(2)
    units = encode([unit_rows(rng, 1030, 128) for _ in range(1000)], vector_type, dim=128)
    query = unit_rows(rng, 20, 128)
    rankings: list[list[int]] = []
    for name, kernel in zip(("gpu", "cpu"), kernels, strict=True):
        kernel.scores([query], units)  # the first call loads code and allocates
        started = time.perf_counter()
        scores = kernel.scores([query], units)[0]
        pages_per_s = len(units) / (time.perf_counter() - started)
        record_property(f"{vector_type} {name} pages/s", round(pages_per_s))
        print(f"MaxSim {vector_type} {name}: {pages_per_s:.0f} pages/s")
        rankings.append(np.argsort(-scores, kind="stable")[:10].tolist())
    assert rankings[0] == rankings[1]


# ── encoders ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(("dtype", "least_cosine"), [("float32", 0.9999), ("bfloat16", 0.99)])
def test_an_encoder_on_the_gpu_gives_the_vectors_of_the_cpu(
    folders: Callable[[str], Path], name: str, dtype: str, least_cosine: float
):
    """Images that share a batch, one that does not, and a query; cosines of every vector."""
    folder = folders(name)
    cpu = load(folder, device="cpu", dtype="float32")
    gpu = load(folder, device=DEVICE, dtype=dtype)
    images = [picture(1), picture(2, 90, 160), picture(3)]
    pairs = [
        *zip(cpu.embed_images(images), gpu.embed_images(images), strict=True),
        *zip(cpu.embed_queries(["revenue"]), gpu.embed_queries(["revenue"]), strict=True),
    ]
    for expected, found in pairs:
        assert found.vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
        assert (expected.vectors * found.vectors).sum(axis=1).min() >= least_cosine


@pytest.mark.parametrize("name", ["transformers-colqwen2", "transformers-colmodernvbert"])
def test_a_batch_on_the_gpu_gives_what_each_image_alone_gives(folders: Callable[[str], Path], name: str):
    """In bfloat16, where kernels may differ by batch size: to its rounding."""
    embedder = load(folders(name), device=DEVICE, dtype="bfloat16", batch_size=5)
    images = [picture(seed) for seed in range(5)]
    for image, item in zip(images, embedder.embed_images(images), strict=True):
        (alone,) = embedder.embed_images([image])
        assert (item.vectors * alone.vectors).sum(axis=1).min() >= 0.999


def test_auto_takes_the_gpu_and_the_type_that_it_is_fast_in(folders: Callable[[str], Path]):
    import torch

    folder = folders("transformers-colqwen2")
    is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    explicit = load(folder, device=DEVICE, dtype="bfloat16" if is_fast else "float32")
    (auto,), (expected,) = (e.embed_images([picture(1)]) for e in (load(folder), explicit))
    np.testing.assert_array_equal(auto.vectors, expected.vectors)


@pytest.mark.parametrize("name", ["transformers-colqwen2", "transformers-colpali"])
def test_pages_per_second_are_told(
    folders: Callable[[str], Path], name: str, record_property: Callable[[str, object], None]
):
    """Of a tiny checkpoint, so of the way around the model: images in, vectors out, in order."""
    pages = [picture(seed, 1100, 850) for seed in range(32)]
    for device in (DEVICE, "cpu"):
        embedder = load(folders(name), device=device, batch_size=16)
        embedder.embed_images(pages[:16])
        started = time.perf_counter()
        found = embedder.embed_images(pages)
        pages_per_s = len(pages) / (time.perf_counter() - started)
        record_property(f"{name} {device} pages/s", round(pages_per_s, 1))
        print(f"{name} {device}: {pages_per_s:.1f} pages/s")
        assert len(found) == len(pages)
        (alone,) = embedder.embed_images([pages[7]])
        assert (found[7].vectors * alone.vectors).sum(axis=1).min() >= 0.99


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────


class Hungry:
    """Takes a share of the free memory for every input, for the time of its batch."""

    def __init__(self, share: float) -> None:
        import torch

        torch.cuda.empty_cache()
        free_bytes, _ = torch.cuda.mem_get_info()
        self._torch, self._n_bytes = torch, int(free_bytes * share)
        self.batches: list[int] = []

    def __call__(self, inputs: Sequence[Mapping[str, Any]]) -> list[int]:
        held = self._torch.empty(len(inputs) * self._n_bytes, dtype=self._torch.uint8, device=DEVICE)
        self.batches.append(len(inputs))
        del held
        return [int(one["x"][0, 0]) for one in inputs]


def test_memory_that_runs_out_halves_the_batch_and_loses_nothing():
    import torch

    hungry = Hungry(0.3)  # three fit, four do not
    inputs = [{"x": torch.full((1, 2), seed)} for seed in range(7)]
    assert run_batches(hungry, inputs, batch_size=4) == list(range(7))
    assert hungry.batches == [2, 2, 2, 1]


def test_one_input_that_does_not_fit_is_an_error_with_a_way_out():
    import torch

    with pytest.raises(ModelError, match=r"out of memory on a single input.*visual.longest_px"):
        run_batches(Hungry(1.5), [{"x": torch.zeros(1, 2)}], batch_size=4)
