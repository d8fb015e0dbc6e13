"""The text encoder over the real sentence-transformers, with a tiny model."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from docrag.embed.build import build_text_embedder
from docrag.embed.options import SentenceTransformersOptions

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "sentence_transformers")),
    reason="the sentence-transformers extra",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that gives every word a vector of its own and takes their mean."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, while it is imported
        from tests.visual.tiny_checkpoints import declare_torchvision_operators

        declare_torchvision_operators()
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import StaticEmbedding
        from tokenizers import Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({"?": 0, "a": 1, "b": 2, "c": 3}, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        rows = np.array([[9, 9, 9], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
        folder = tmp_path_factory.mktemp("model")
        module = StaticEmbedding(tokenizer, embedding_weights=rows)
        SentenceTransformer(modules=[module], device="cpu").save(str(folder))
    return folder


def test_vectors_of_the_real_library_without_a_warning(model: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        warnings.simplefilter("error", DeprecationWarning)
        encoder = build_text_embedder(
            SentenceTransformersOptions(model=str(model), device="cpu", query_prompt="a ")
        )
        assert encoder is not None
        assert encoder.identity.dim == 3
        np.testing.assert_allclose(
            encoder.embed_passages(["b", "a a b"]), [[0, 1, 0], [0.8944, 0.4472, 0]], atol=1e-4
        )
        np.testing.assert_allclose(encoder.embed_queries(["c"]), [[0.7071, 0, 0.7071]], atol=1e-4)
