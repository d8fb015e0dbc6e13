"""The page encoder of docrag against a real server, and against the same checkpoint in this process."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import closing

import httpx
import numpy as np
import pytest
from tests.vllm_server.server import VllmServer

from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import LocalVisualOptions, VllmVisualOptions
from docrag.embed.visual.vllm import VllmPageEmbedder
from docrag.errors import ModelError
from docrag.protocols import PageEmbedder

pytestmark = pytest.mark.loopback

DIM = 320
"""Of colpali-engine's ColQwen3."""

IN_PROCESS = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "colpali_engine"))


def picture(seed: int, height: int = 200, width: int = 150) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def embedder(vllm_page_encoder_server: VllmServer) -> Iterator[PageEmbedder]:
    embedder = build_page_embedder(
        VllmVisualOptions(base_url=vllm_page_encoder_server.base_url, query_suffix="<|endoftext|>" * 10)
    )
    assert isinstance(embedder, VllmPageEmbedder)
    with closing(embedder):
        yield embedder


def test_model_and_dimension_are_asked_for(embedder: PageEmbedder, vllm_page_encoder_server: VllmServer):
    assert embedder.identity.name == vllm_page_encoder_server.model
    assert embedder.identity.dim == DIM


def test_a_batch_gives_the_unit_vectors_that_each_image_alone_gives(embedder: PageEmbedder):
    images = [picture(1), picture(2, 96, 160), picture(3), picture(4, 128, 96), picture(5, 1, 1)]
    for image, item in zip(images, embedder.embed_images(images), strict=True):
        assert item.vectors.shape[1] == DIM
        np.testing.assert_allclose(np.linalg.norm(item.vectors, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(item.vectors, embedder.embed_images([image])[0].vectors, atol=1e-5)


@pytest.mark.skipif(not IN_PROCESS, reason="the visual extra")
@pytest.mark.filterwarnings("ignore")  # torch and transformers warn about one another
def test_vectors_are_those_of_the_same_checkpoint_in_this_process(
    embedder: PageEmbedder, vllm_page_encoder_server: VllmServer
):
    from tests.visual.tiny_checkpoints import declare_torchvision_operators

    declare_torchvision_operators()
    local = build_page_embedder(
        LocalVisualOptions(model=str(vllm_page_encoder_server.checkpoint), device="cpu")
    )
    assert local.identity.dim == embedder.identity.dim
    images = [picture(1), picture(2, 96, 160), picture(3, 500, 400)]
    queries = ["revenue", "profit of the year"]
    pairs = [
        *zip(local.embed_images(images), embedder.embed_images(images), strict=True),
        *zip(local.embed_queries(queries), embedder.embed_queries(queries), strict=True),
    ]
    for here, there in pairs:
        np.testing.assert_allclose(there.vectors, here.vectors, atol=2e-5)


def test_every_page_is_nearest_to_itself_by_maxsim(embedder: PageEmbedder):
    """Noise as pages, but the same noise twice."""
    pages = [item.vectors for item in embedder.embed_images([picture(seed) for seed in range(4)])]
    scores = np.array([[(a @ b.T).max(axis=1).mean() for b in pages] for a in pages])
    assert (scores.argmax(axis=1) == np.arange(4)).all()
    np.testing.assert_allclose(scores.diagonal(), 1, atol=1e-5)


def test_a_server_that_only_chats_is_named_as_such(vllm_chat_server: VllmServer):
    with pytest.raises(ModelError, match=r"/pooling: HTTP 404.*--runner pooling"):
        build_page_embedder(VllmVisualOptions(base_url=vllm_chat_server.base_url))


def test_a_prompt_that_is_too_long_is_an_error_of_that_query(embedder: PageEmbedder):
    with pytest.raises(ModelError, match="HTTP 400"):
        embedder.embed_queries(["long " * 2000])
    assert len(embedder.embed_queries(["short"])[0].vectors)


def test_the_server_normalises_too(vllm_page_encoder_server: VllmServer):
    """So that scaling its vectors, which docrag does in any case, changes nothing here."""
    answer = httpx.post(
        vllm_page_encoder_server.base_url.removesuffix("/v1") + "/pooling",
        json={"model": vllm_page_encoder_server.model, "task": "token_embed", "input": "profit"},
        timeout=60,
    ).json()
    vectors = np.asarray(answer["data"][0]["data"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
