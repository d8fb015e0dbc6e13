"""An accelerator must give what the CPU gives; skipped where there is none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import LocalVisualOptions
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import VECTOR_TYPES, VectorType, encode


def has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


pytestmark = pytest.mark.skipif(not has_gpu(), reason="needs torch and a GPU")


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_maxsim_on_the_gpu_equals_maxsim_on_the_cpu(vector_type: VectorType):
    rng = np.random.default_rng(1)
    units = encode([unit_rows(rng, int(n), 128) for n in rng.integers(1, 1030, 60)], vector_type, dim=128)
    queries = [unit_rows(rng, 20, 128), unit_rows(rng, 7, 128)]
    on_gpu = MaxSim("torch", device="cuda").scores(queries, units)
    np.testing.assert_allclose(on_gpu, MaxSim("numpy").scores(queries, units), atol=1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["transformers-colpali", "transformers-colqwen2"])
@pytest.mark.parametrize(("dtype", "least_cosine"), [("float32", 0.9999), ("bfloat16", 0.97)])
def test_an_encoder_on_the_gpu_gives_the_vectors_of_the_cpu(
    tmp_path: Path, name: str, dtype: str, least_cosine: float
):
    from tests.visual.tiny_checkpoints import MAKERS

    MAKERS[name](tmp_path / name)
    image = np.random.default_rng(2).integers(0, 255, (200, 150, 3), dtype=np.uint8)
    cpu, gpu = (
        build_page_embedder(
            LocalVisualOptions.model_validate(
                {"model": str(tmp_path / name), "device": device, "dtype": kind}
            )
        ).embed_images([image])[0]
        for device, kind in (("cpu", "float32"), ("cuda", dtype))
    )
    assert (cpu.vectors * gpu.vectors).sum(axis=1).mean() >= least_cosine
