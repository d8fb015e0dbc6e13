"""One vector a page without colpali-engine: last-token pooling, and image models of sentence-transformers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ModelError
from docrag.protocols import PageEmbedder

pytestmark = [
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="the visual extra",
    ),
    pytest.mark.filterwarnings(
        "ignore"
    ),  # torch, transformers and sentence-transformers warn about one another
]
needs_sentence_transformers = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None, reason="the sentence-transformers extra"
)

NAMES = [
    "last-token-qwen3-vl",
    pytest.param("sentence-clip", marks=needs_sentence_transformers),
    pytest.param("sentence-dse", marks=needs_sentence_transformers),
]

DSE = {
    "query_instruction": "You are a helpful assistant.",
    "query_prefix": "Query: ",
    "query_image": True,
    "image_instruction": "You are a helpful assistant.",
    "image_prompt": "What is shown in this image?",
    "prompt_end": "<|endoftext|>",
}
SYSTEM = "<|im_start|>system\n{}<|im_end|>\n"
USER = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def picture(seed: int, height: int = 200, width: int = 150) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


IMAGES = [picture(1), picture(2, 90, 160), picture(3), np.full((200, 150, 3), 255, np.uint8)]
QUERIES = ["revenue", "a much longer question than the other one"]


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


def load(folder: Path, **options: object) -> PageEmbedder:
    return build_page_embedder(
        LocalVisualOptions.model_validate({"model": str(folder), "device": "cpu", **options})
    )


def last_hidden(folder: Path, prompt: str, image: np.ndarray | None) -> np.ndarray:
    """The last token's hidden state, by transformers alone."""
    import torch
    from transformers import Qwen3VLModel, Qwen3VLProcessor

    model = Qwen3VLModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = Qwen3VLProcessor.from_pretrained(folder)
    images = None if image is None else [Image.fromarray(image)]
    with torch.no_grad():
        hidden = model(**processor(text=[prompt], images=images, return_tensors="pt")).last_hidden_state
    return torch.nn.functional.normalize(hidden[0, -1].float(), dim=0).numpy()[None]


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_the_unit_vector_that_each_image_alone_gives(folders: Callable[[str], Path], name: str):
    embedder = load(folders(name), **({"pooling": "last-token"} if name.startswith("last") else {}))
    images, queries = embedder.embed_images(IMAGES), embedder.embed_queries(QUERIES)
    for image, item in zip(IMAGES, images, strict=True):
        assert item.vectors.shape == (1, embedder.identity.dim)
        assert item.grid is None
        np.testing.assert_allclose(np.linalg.norm(item.vectors), 1, atol=1e-5)
        np.testing.assert_allclose(item.vectors, embedder.embed_images([image])[0].vectors, atol=2e-5)
    for query, item in zip(QUERIES, queries, strict=True):
        assert item.vectors.shape == (1, embedder.identity.dim)
        assert item.tokens == (query,)
        np.testing.assert_allclose(item.vectors, embedder.embed_queries([query])[0].vectors, atol=2e-5)
    assert np.abs(images[0].vectors - images[2].vectors).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_vectors_in_bfloat16_are_of_unit_length_and_near_those_in_float32(
    folders: Callable[[str], Path], name: str
):
    options = {"pooling": "last-token"} if name.startswith("last") else {}
    full, half = (load(folders(name), dtype=dtype, **options) for dtype in ("float32", "bfloat16"))
    for a, b in (
        (full.embed_images(IMAGES[:1])[0].vectors, half.embed_images(IMAGES[:1])[0].vectors),
        (full.embed_queries(["revenue"])[0].vectors, half.embed_queries(["revenue"])[0].vectors),
    ):
        np.testing.assert_allclose(np.linalg.norm(b, axis=1), 1, atol=1e-5)
        assert 0.99 < (a * b).sum() < 1


def test_the_last_token_of_a_chat_with_both_instructions_is_the_vector(folders: Callable[[str], Path]):
    folder = folders("last-token-qwen3-vl")
    embedder = load(folder, pooling="last-token")
    page = SYSTEM.format("Represent the user's input.") + USER.format(IMAGE)
    query = SYSTEM.format("Retrieve document pages that answer the question.") + USER.format("revenue")
    np.testing.assert_allclose(
        embedder.embed_images(IMAGES[:1])[0].vectors, last_hidden(folder, page, IMAGES[0]), atol=2e-5
    )
    np.testing.assert_allclose(
        embedder.embed_queries(["revenue"])[0].vectors, last_hidden(folder, query, None), atol=2e-5
    )


def test_prompts_of_dse_can_be_told_by_options(folders: Callable[[str], Path]):
    folder = folders("last-token-qwen3-vl")
    embedder = load(folder, pooling="last-token", **DSE)
    system, end = SYSTEM.format("You are a helpful assistant."), "<|endoftext|>"
    page = system + USER.format(IMAGE + "What is shown in this image?") + end
    query = system + USER.format(IMAGE + "Query: revenue") + end
    np.testing.assert_allclose(
        embedder.embed_images(IMAGES[:1])[0].vectors, last_hidden(folder, page, IMAGES[0]), atol=2e-5
    )
    blank = np.full((56, 56, 3), 255, np.uint8)
    np.testing.assert_allclose(
        embedder.embed_queries(["revenue"])[0].vectors, last_hidden(folder, query, blank), atol=2e-5
    )


def test_what_is_said_with_every_image_is_part_of_the_identity(folders: Callable[[str], Path]):
    """Its vectors stand in the index; what is said with a query does not."""
    folder = folders("last-token-qwen3-vl")
    plain = load(folder, pooling="last-token").identity
    assert load(folder, pooling="last-token", image_prompt="Describe it.").identity != plain
    assert load(folder, pooling="last-token", query_instruction="Find charts.").identity == plain


@needs_sentence_transformers
def test_clip_of_sentence_transformers_is_clip_of_transformers(folders: Callable[[str], Path]):
    import torch
    from transformers import CLIPModel, CLIPProcessor

    folder = folders("sentence-clip")
    embedder = load(folder)
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    with torch.no_grad():
        output = model(
            **processor(
                text=["revenue"], images=[Image.fromarray(image) for image in IMAGES], return_tensors="pt"
            )
        )
    found = np.concatenate([item.vectors for item in embedder.embed_images(IMAGES)])
    np.testing.assert_allclose(found, output.image_embeds.numpy(), atol=2e-5)
    np.testing.assert_allclose(
        embedder.embed_queries(["revenue"])[0].vectors, output.text_embeds.numpy(), atol=2e-5
    )


@needs_sentence_transformers
def test_prompts_of_a_sentence_transformer_go_with_queries_and_pages(folders: Callable[[str], Path]):
    from tests.visual.tiny_checkpoints import declare_torchvision_operators

    folder = folders("sentence-dse")
    declare_torchvision_operators()
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(folder), device="cpu")
    embedder = load(folder)
    (query,), (page,) = embedder.embed_queries(["revenue"]), embedder.embed_images(IMAGES[:1])
    np.testing.assert_allclose(query.vectors, library.encode(["revenue"], prompt="Find pages."), atol=2e-5)
    image = Image.fromarray(IMAGES[0])
    np.testing.assert_allclose(page.vectors, library.encode([image], prompt="Remember this page."), atol=2e-5)
    assert np.abs(query.vectors - library.encode(["revenue"])).max() > 1e-3


@needs_sentence_transformers
def test_a_part_with_pickled_weights_is_refused(folders: Callable[[str], Path], tmp_path: Path):
    import shutil

    folder = tmp_path / "dense"
    shutil.copytree(folders("sentence-clip"), folder)
    (folder / "1_Dense").mkdir()
    (folder / "1_Dense" / "pytorch_model.bin").write_bytes(b"not loaded")
    with pytest.raises(ModelError, match=r"1_Dense: weights are pickled \(pytorch_model.bin\)"):
        load(folder)


@needs_sentence_transformers
def test_a_text_model_of_sentence_transformers_cannot_look_at_pages(
    folders: Callable[[str], Path], tmp_path: Path
):
    from tests.visual.tiny_checkpoints import save_sentence_text

    save_sentence_text(tmp_path / "text")
    embedder = load(tmp_path / "text")
    with pytest.raises(ModelError, match=r"page encoder text: cannot encode Image.*images and text"):
        embedder.embed_images(IMAGES[:1])


def test_a_checkpoint_without_a_part_of_its_weights_is_no_last_token_model(
    folders: Callable[[str], Path], tmp_path: Path
):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "incomplete"
    shutil.copytree(folders("last-token-qwen3-vl"), folder)
    weights = load_file(folder / "model.safetensors")
    kept = {
        name: tensor for name, tensor in weights.items() if not name.endswith("language_model.norm.weight")
    }
    assert len(kept) == len(weights) - 1
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights such as .*norm.weight"):
        load(folder, pooling="last-token")
