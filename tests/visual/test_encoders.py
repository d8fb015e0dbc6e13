"""Tiny checkpoints of every family, loaded through the product's path."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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

LIBRARIES = {
    "transformers-colpali": ("transformers", "ColPaliForRetrieval", "ColPaliProcessor"),
    "transformers-colqwen2": ("transformers", "ColQwen2ForRetrieval", "ColQwen2Processor"),
    "transformers-colmodernvbert": ("transformers", "ColModernVBertForRetrieval", "ColModernVBertProcessor"),
    "engine-colpali": ("colpali_engine.models", "ColPali", "ColPaliProcessor"),
    "engine-colqwen2": ("colpali_engine.models", "ColQwen2", "ColQwen2Processor"),
    "engine-colqwen2-lora": ("colpali_engine.models", "ColQwen2", "ColQwen2Processor"),
    "engine-colqwen2_5": ("colpali_engine.models", "ColQwen2_5", "ColQwen2_5_Processor"),
    "engine-colqwen3": ("colpali_engine.models", "ColQwen3", "ColQwen3Processor"),
    "engine-colqwen3_5": ("colpali_engine.models", "ColQwen3_5", "ColQwen3_5Processor"),
    "engine-colgemma3": ("colpali_engine.models", "ColGemma3", "ColGemmaProcessor3"),
    "engine-colidefics3": ("colpali_engine.models", "ColIdefics3", "ColIdefics3Processor"),
    "engine-colmodernvbert": ("colpali_engine.models", "ColModernVBert", "ColModernVBertProcessor"),
    "engine-bipali": ("colpali_engine.models", "BiPali", "ColPaliProcessor"),
    "engine-bipaliproj": ("colpali_engine.models", "BiPaliProj", "ColPaliProcessor"),
    "engine-biqwen2": ("colpali_engine.models", "BiQwen2", "BiQwen2Processor"),
    "engine-biqwen2_5": ("colpali_engine.models", "BiQwen2_5", "BiQwen2_5_Processor"),
    "engine-biqwen3": ("colpali_engine.models", "BiQwen3", "BiQwen3Processor"),
    "engine-biqwen3_5": ("colpali_engine.models", "BiQwen3_5", "BiQwen3_5Processor"),
    "engine-biidefics3": ("colpali_engine.models", "BiIdefics3", "BiIdefics3Processor"),
    "engine-bimodernvbert": ("colpali_engine.models", "BiModernVBert", "BiModernVBertProcessor"),
    "engine-bigemma3": ("colpali_engine.models", "BiGemma3", "BiGemmaProcessor3"),
}
"""Model and processor of every checkpoint, as somebody would name them who uses the library itself."""

GRIDS = {
    "colpali": (4, 4), "colqwen2": (7, 5), "colqwen3": (6, 5), "colgemma3": (4, 4), "colidefics3": (4, 4),
    "colmodernvbert": (4, 4),
}  # fmt: skip


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


def is_single(name: str) -> bool:
    return name.startswith("engine-bi")


@pytest.fixture(scope="module", params=list(LIBRARIES))
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
    assert (len(images[0].vectors) == 1) == is_single(name)
    assert embedder.identity.pooling == ("single-vector" if is_single(name) else "late-interaction")


def test_vectors_are_what_the_library_itself_computes(
    encoder: tuple[str, PageEmbedder], folders: Callable[[str], Path]
):
    """Model and processor called as the library's own examples call them, one input at a time."""
    import torch

    name, embedder = encoder
    module, model_name, processor_name = LIBRARIES[name]
    library = importlib.import_module(module)
    folder = folders(name)
    base = folder / "base" if (folder / "base").is_dir() else folder
    # Without the mapping, colpali-engine's Bi* classes look for one where transformers 5 has none.
    more = {"key_mapping": {}} if is_single(name) else {}
    model = getattr(library, model_name).from_pretrained(base, dtype=torch.float32, **more).eval()
    if base != folder:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder).eval()
    processor = getattr(library, processor_name).from_pretrained(folder)

    def expected(inputs: Any) -> np.ndarray:
        positions = {}
        if name == "transformers-colqwen2" and "pixel_values" in inputs:
            positions = colqwen2_positions(model, inputs)
        with torch.no_grad():
            output = model(**{k: v for k, v in inputs.items() if k != "labels"}, **positions)
        vectors = getattr(output, "embeddings", output)
        return (
            torch.nn.functional.normalize(vectors[0].float(), dim=-1).numpy().reshape(-1, vectors.shape[-1])
        )

    images = [picture(1), picture(2, 90, 160), picture(3)]
    for image, item in zip(images, embedder.embed_images(images), strict=True):
        np.testing.assert_allclose(
            item.vectors, expected(processor.process_images([Image.fromarray(image)])), atol=2e-5
        )
    queries = ["revenue", "profit of the year"]
    for query, item in zip(queries, embedder.embed_queries(queries), strict=True):
        np.testing.assert_allclose(item.vectors, expected(processor.process_queries([query])), atol=2e-5)


def colqwen2_positions(model: Any, inputs: Any) -> dict[str, Any]:
    """Positions in the plane, which transformers' own ColQwen2 leaves out and Qwen2-VL was trained with."""
    is_image = (inputs["input_ids"] == model.config.vlm_config.image_token_id).int()
    positions, _ = model.vlm.get_rope_index(
        inputs["input_ids"],
        is_image,
        image_grid_thw=inputs["image_grid_thw"],
        attention_mask=inputs["attention_mask"],
    )
    return {"position_ids": positions}


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


def test_bfloat16_gives_nearly_the_vectors_of_float32(
    encoder: tuple[str, PageEmbedder], folders: Callable[[str], Path]
):
    """What "auto" takes on an accelerator; here on the processor. It keeps 8 bits of every number."""
    name, embedder = encoder
    halved = build_page_embedder(LocalVisualOptions(model=str(folders(name)), device="cpu", dtype="bfloat16"))
    pairs = [
        *zip(embedder.embed_images([picture(1)]), halved.embed_images([picture(1)]), strict=True),
        *zip(embedder.embed_queries(["revenue"]), halved.embed_queries(["revenue"]), strict=True),
    ]
    for full, half in pairs:
        np.testing.assert_allclose(np.linalg.norm(half.vectors, axis=1), 1, atol=1e-5)
        cosines = (full.vectors * half.vectors).sum(axis=1)
        assert cosines.min() > 0.99
        assert np.abs(full.vectors - half.vectors).max() > 0  # it did compute in another type


def test_different_images_have_different_vectors(encoder: tuple[str, PageEmbedder]):
    _, embedder = encoder
    a, b = embedder.embed_images([picture(1), picture(2)])
    assert np.abs(a.vectors - b.vectors).max() > 1e-3


def test_every_patch_of_the_grid_has_its_own_vector(encoder: tuple[str, PageEmbedder]):
    name, embedder = encoder
    (item,) = embedder.embed_images([picture(1)])
    if is_single(name):
        assert item.grid is None
        return
    assert item.grid is not None
    assert item.grid.shape == next(shape for model, shape in GRIDS.items() if model in name)
    assert len(np.unique(item.grid)) == item.grid.size
    assert 0 <= item.grid.min() <= item.grid.max() < len(item.vectors)


@pytest.mark.parametrize("name", ["transformers-colqwen2", "engine-colidefics3", "engine-colgemma3"])
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
