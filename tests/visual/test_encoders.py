"""Tiny checkpoints of every family, loaded through the product's path."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ModelError
from docrag.protocols import PageEmbedder

pytestmark = [
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "colpali_engine")),
        reason="the visual extra",
    ),
    pytest.mark.filterwarnings("ignore"),  # torch, transformers and peft warn about one another
]

NAMES = [
    "transformers-colpali", "transformers-colqwen2", "transformers-colmodernvbert",
    "engine-colpali", "engine-colqwen2", "engine-colqwen2-lora", "engine-colidefics3",
    "engine-colmodernvbert", "engine-biqwen2",
]  # fmt: skip
GRIDS = {"colpali": (4, 4), "colqwen2": (7, 5), "colidefics3": (4, 4), "colmodernvbert": (4, 4)}


def picture(seed: int, height: int = 200, width: int = 150) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    from tests.visual.tiny_checkpoints import MAKERS

    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("checkpoints") / name
            MAKERS[name](made[name])
        return made[name]

    return folder


@pytest.fixture(scope="module", params=NAMES)
def encoder(request: pytest.FixtureRequest, folders: Callable[[str], Path]) -> tuple[str, PageEmbedder]:
    return request.param, build_page_embedder(
        LocalVisualOptions(model=str(folders(request.param)), device="cpu")
    )


def test_vectors_are_unit_rows_of_one_dimension(encoder: tuple[str, PageEmbedder]):
    name, embedder = encoder
    queries = embedder.embed_queries(["revenue", "profit of the year"])
    images = embedder.embed_images([picture(1), picture(2)])
    for vectors in [q.vectors for q in queries] + [i.vectors for i in images]:
        assert vectors.dtype == np.float32
        assert vectors.shape[1] == embedder.identity.dim
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert all(len(q.tokens) == len(q.vectors) for q in queries)
    assert "".join(queries[1].tokens).find("profit of the year") >= 0
    is_single = "bi" in name
    assert (len(images[0].vectors) == 1) == is_single
    assert embedder.identity.pooling == ("single-vector" if is_single else "late-interaction")


def test_a_batch_gives_the_vectors_that_each_image_alone_gives(encoder: tuple[str, PageEmbedder]):
    _, embedder = encoder
    images = [picture(1), picture(2, 90, 160), picture(3), np.full((200, 150, 3), 255, np.uint8), picture(4)]
    together = embedder.embed_images(images)
    for image, item in zip(images, together, strict=True):
        (alone,) = embedder.embed_images([image])
        np.testing.assert_allclose(item.vectors, alone.vectors, atol=2e-5)
    queries = ["a", "a much longer question than the other"]
    for query, item in zip(queries, embedder.embed_queries(queries), strict=True):
        np.testing.assert_allclose(item.vectors, embedder.embed_queries([query])[0].vectors, atol=2e-5)


def test_different_images_have_different_vectors(encoder: tuple[str, PageEmbedder]):
    _, embedder = encoder
    a, b = embedder.embed_images([picture(1), picture(2)])
    assert np.abs(a.vectors - b.vectors).max() > 1e-3


def test_every_patch_of_the_grid_has_its_own_vector(encoder: tuple[str, PageEmbedder]):
    name, embedder = encoder
    (item,) = embedder.embed_images([picture(1)])
    if "bi" in name:
        assert item.grid is None
        return
    assert item.grid is not None
    assert item.grid.shape == next(shape for model, shape in GRIDS.items() if model in name)
    assert len(np.unique(item.grid)) == item.grid.size
    assert 0 <= item.grid.min() <= item.grid.max() < len(item.vectors)


@pytest.mark.parametrize("name", ["transformers-colqwen2", "engine-colidefics3"])
def test_a_patch_of_the_grid_lies_where_the_image_changed(folders: Callable[[str], Path], name: str):
    """Tokens of the vision tower see everything, but the patch that changed changes most."""
    embedder = build_page_embedder(LocalVisualOptions(model=str(folders(name)), device="cpu"))
    plain = np.full((112, 112, 3), 255, np.uint8)
    marked = plain.copy()
    marked[84:, :28] = picture(9, 28, 28)  # the lower left corner
    a, b = embedder.embed_images([plain, marked])
    assert a.grid is not None
    change = np.linalg.norm(a.vectors - b.vectors, axis=1)[a.grid]
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert (row, column) == (a.grid.shape[0] - 1, 0)


def test_a_blank_page_and_a_tiny_region_are_encoded(encoder: tuple[str, PageEmbedder]):
    _, embedder = encoder
    blank, dot, strip = np.full((300, 200, 3), 255, np.uint8), picture(5, 1, 1), picture(6, 2, 900)
    items = embedder.embed_images([blank, dot, strip])
    assert all(np.isfinite(item.vectors).all() and len(item.vectors) for item in items)


def test_the_same_checkpoint_has_the_same_identity_elsewhere(folders: Callable[[str], Path], tmp_path: Path):
    import shutil

    source = folders("transformers-colpali")
    copy = tmp_path / "transformers-colpali"
    shutil.copytree(source, copy)
    a, b = (build_page_embedder(LocalVisualOptions(model=str(path))) for path in (source, copy))
    assert (a.identity, a.processor) == (b.identity, b.processor)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text()) | {"extra": 1}
    (copy / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    c = build_page_embedder(LocalVisualOptions(model=str(copy)))
    assert c.identity.revision != a.identity.revision
    assert c.processor != a.processor


def test_an_adapter_changes_the_vectors_of_its_base(folders: Callable[[str], Path]):
    folder = folders("engine-colqwen2-lora")
    adapted = build_page_embedder(LocalVisualOptions(model=str(folder)))
    base = build_page_embedder(LocalVisualOptions(model=str(folder / "base")))
    query = [embedder.embed_queries(["q"])[0].vectors for embedder in (adapted, base)]
    assert np.abs(query[0] - query[1]).max() > 1e-3
    assert adapted.identity.revision.endswith(base.identity.revision)


def test_the_same_weights_give_the_same_vectors_in_both_libraries(
    folders: Callable[[str], Path], tmp_path: Path
):
    """transformers' ColQwen2 with the weights of colpali-engine's."""
    from safetensors.torch import load_file, save_file

    engine = load_file(folders("engine-colqwen2") / "model.safetensors")
    folder = tmp_path / "converted"
    import shutil

    shutil.copytree(folders("transformers-colqwen2"), folder)
    native = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text()) | {"embedding_dim": 128}
    (folder / "config.json").write_text(json.dumps(config))
    renamed = {}
    for name in native:
        tail = (
            name.replace("embedding_proj_layer", "custom_text_proj")
            .removeprefix("vlm.")
            .removeprefix("model.")
        )
        match = [key for key in engine if key.endswith(tail)]
        assert len(match) == 1, (name, match)
        renamed[name] = engine[match[0]]
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    a = build_page_embedder(LocalVisualOptions(model=str(folders("engine-colqwen2"))))
    b = build_page_embedder(LocalVisualOptions(model=str(folder)))
    (left,), (right,) = a.embed_images([picture(1)]), b.embed_images([picture(1)])
    np.testing.assert_allclose(left.vectors, right.vectors, atol=1e-5)
    assert left.grid is not None
    assert (left.grid == right.grid).all()


def test_missing_weights_are_an_error(folders: Callable[[str], Path], tmp_path: Path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "incomplete"
    shutil.copytree(folders("transformers-colpali"), folder)
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "embedding_proj" not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 2 weights.*embedding_proj"):
        build_page_embedder(LocalVisualOptions(model=str(folder)))
