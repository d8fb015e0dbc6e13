"""A tiny cross-encoder behind a real vLLM server, against the same checkpoint in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.retrieve.small_corpus import unit
from tests.visual.tiny_checkpoints import declare_torchvision_operators
from tests.vllm_server.server import VllmServer, run_module, serve

from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.options import VllmScoreOptions
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown
from docrag.retrieve.rerank.vllm_score import VllmScorer

pytestmark = pytest.mark.loopback

QUESTION = "Where is the gold?"
TEXTS = ["page with gold", "page with tin and lead", "", "gold"]
PAGES = [Shown(unit("a.pdf", n), text) for n, text in enumerate(TEXTS, 1)]


@pytest.fixture(scope="module")
def folder(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerank") / "tiny"
    run_module(vllm_python, "tests.vllm_server.rerankers", str(folder))
    return folder


@pytest.fixture(scope="module")
def server(vllm_python: str, folder: Path) -> Iterator[VllmServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCRAG_TEST_SOCKETS", "loopback")
        with serve(vllm_python, folder, "--runner", "pooling", "--max-model-len", "512") as server:
            yield server


@pytest.mark.parametrize("endpoint", ["score", "rerank"])
def test_the_server_scores_as_the_model_in_this_process(server: VllmServer, folder: Path, endpoint: str):
    pytest.importorskip("torch")
    declare_torchvision_operators()
    from docrag.retrieve.rerank.cross_encoder import CrossEncoderScorer

    options = VllmScoreOptions(base_url=server.base_url, endpoint=endpoint, batch_size=2)  # type: ignore[arg-type]
    client = VllmScorer(options)
    calls = Calls()
    found = client.score(QUESTION, PAGES, calls)
    client.close()
    expected = CrossEncoderScorer(folder, device="cpu", dtype="float32").score(QUESTION, PAGES, Calls())
    for ours, theirs in zip(expected, found, strict=True):
        assert isinstance(ours, Relevance)
        assert isinstance(theirs, Relevance)
        assert theirs.score == pytest.approx(ours.score, abs=1e-4)
    assert sum(usage.n_input_tokens for usage in calls.usage) > 50
