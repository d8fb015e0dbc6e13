"""Rerankers in this process, on tiny checkpoints that went through ``save_pretrained``."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.retrieve.rerank_fakes import CORPUS, PAGES, candidates
from tests.retrieve.small_corpus import unit
from tests.visual.tiny_rerankers import TOKENS, save_classifier, save_language_model, save_vision_model

from docrag.chat.messages import ImagePart
from docrag.errors import BudgetExceeded, ConfigError, ModelError
from docrag.retrieve.rerank.build import RerankParts, build_rerankers
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.checkpoint import find_checkpoint
from docrag.retrieve.rerank.cross_encoder import CrossEncoderScorer
from docrag.retrieve.rerank.options import RerankOptions
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown
from docrag.retrieve.rerank.yes_no_model import YesNoModelScorer
from docrag.types import Query

QUESTION = "Where is the gold?"
TEXTS = [
    Shown(unit("a.pdf", n), text)
    for n, text in enumerate(["gold", " ".join(["tin and lead"] * 9), "", "cold"], 1)
]


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    save_language_model(folder)
    return folder


@pytest.fixture(scope="module")
def vision_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vision")
    save_vision_model(folder)
    return folder


@pytest.fixture(scope="module", params=[1, 2])
def classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"classifier{request.param}")
    save_classifier(folder, n_labels=request.param)
    return folder


def picture(seed: int, size: tuple[int, int] = (96, 64)) -> ImagePart:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return ImagePart(buffer.getvalue(), "image/png", *size)


def relevances(found: Sequence[Any]) -> list[Relevance]:
    assert all(isinstance(one, Relevance) for one in found), found
    return list(found)


# ── yes and no ───────────────────────────────────────────────────────────────────────────────────────────


def prompt_of(text: str) -> str:
    """The model card's prompt, written out."""
    return (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the "
        'Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n<Instruct>: Find it.\n<Query>: Where is the gold?\n<Document>: "
        f"{text}<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_logits_of_the_last_position_decide(language_model: Path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(language_model)
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    scorer = YesNoModelScorer(language_model, instruction="Find it.", device="cpu", dtype="float32")
    for page, found in zip(TEXTS, relevances(scorer.score(QUESTION, TEXTS, Calls())), strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(prompt_of(page.text), return_tensors="pt")).logits[0, -1]
        assert found.logits == pytest.approx((float(logits[yes]), float(logits[no])), abs=1e-4)
        assert found.score == pytest.approx(float(torch.softmax(logits[[no, yes]], 0)[1]), abs=1e-5)


def test_a_neighbour_in_the_batch_changes_nothing(language_model: Path):
    together = YesNoModelScorer(language_model, batch_size=4, device="cpu").score(QUESTION, TEXTS, Calls())
    alone = YesNoModelScorer(language_model, batch_size=1, device="cpu")
    for page, found in zip(TEXTS, relevances(together), strict=True):
        (single,) = relevances(alone.score(QUESTION, [page], Calls()))
        assert found.logits == pytest.approx(single.logits, abs=1e-5)
    assert len({found.score for found in relevances(together)}) == 4


def test_equal_shapes_share_a_batch_and_the_budget_counts_batches(language_model: Path):
    pages = [Shown(unit("a.pdf", n), text) for n, text in enumerate(["gold", "cold", "bold", "silver"], 1)]
    calls = Calls()
    scorer = YesNoModelScorer(language_model, batch_size=2, device="cpu")
    relevances(scorer.score(QUESTION, pages, calls))
    assert len(calls.usage) == 3  # two and one of four letters, one of six
    found = scorer.score(QUESTION, pages, Calls(max_calls=1))
    assert [isinstance(one, BudgetExceeded) for one in found] == [False, False, True, True]


def test_pictures_are_seen(vision_model: Path):
    scorer = YesNoModelScorer(vision_model, batch_size=3, device="cpu")
    assert scorer.sees_pictures
    pages = [
        Shown(unit("a.pdf", 1), "", picture(1)),
        Shown(unit("a.pdf", 2), "", picture(2)),
        Shown(unit("a.pdf", 3), "gold", picture(1)),
        Shown(unit("a.pdf", 4), "gold"),
        Shown(unit("a.pdf", 5), "", picture(1, (64, 128))),
    ]
    calls = Calls()
    together = relevances(scorer.score(QUESTION, pages, calls))
    assert len({found.score for found in together}) == 5
    assert sum(usage.n_images for usage in calls.usage) == 4
    for page, found in zip(pages, together, strict=True):
        (alone,) = relevances(scorer.score(QUESTION, [page], Calls()))
        assert found.logits == pytest.approx(alone.logits, abs=1e-4)


def test_the_vision_model_is_asked_as_its_card_says(vision_model: Path):
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    shown = picture(4)
    prompt = prompt_of("<|vision_start|><|image_pad|><|vision_end|>gold")
    processor = AutoProcessor.from_pretrained(vision_model)
    inputs = processor(text=[prompt], images=[Image.open(io.BytesIO(shown.data))], return_tensors="pt")
    model = AutoModelForImageTextToText.from_pretrained(vision_model)
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -1]
    yes, no = processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
    scorer = YesNoModelScorer(vision_model, instruction="Find it.", device="cpu", dtype="float32")
    (found,) = relevances(scorer.score(QUESTION, [Shown(unit("a.pdf", 1), "gold", shown)], Calls()))
    assert found.logits == pytest.approx((float(logits[yes]), float(logits[no])), abs=1e-4)


def test_a_vocabulary_without_the_words_is_refused(tmp_path: Path):
    save_language_model(tmp_path, tokens=TOKENS[:-1])
    with pytest.raises(ModelError, match="'no' is 2 tokens of its vocabulary, expected one"):
        YesNoModelScorer(tmp_path, device="cpu")


# ── cross-encoders ───────────────────────────────────────────────────────────────────────────────────────


def test_a_cross_encoder_scores_as_its_library_does(classifier: Path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    scorer = CrossEncoderScorer(classifier, batch_size=2, device="cpu", dtype="float32")
    for page, found in zip(TEXTS, relevances(scorer.score(QUESTION, TEXTS, Calls())), strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(QUESTION, page.text, return_tensors="pt")).logits[0]
        expected = torch.sigmoid(logits[0]) if len(logits) == 1 else torch.softmax(logits, 0)[1]
        assert found.score == pytest.approx(float(expected), abs=1e-5)


def test_the_best_passage_speaks_for_a_long_page(classifier: Path):
    scorer = CrossEncoderScorer(classifier, passage_words=50, max_tokens=512, device="cpu")
    words = [f"w{n}" for n in range(100)]
    parts = [" ".join(words[:50]), " ".join(words[10:60]), " ".join(words[20:70]), " ".join(words[30:80]),
             " ".join(words[40:90]), " ".join(words[50:100])]  # fmt: skip
    short = [Shown(unit("a.pdf", n), part) for n, part in enumerate(parts, 1)]
    best = max(found.score for found in relevances(scorer.score(QUESTION, short, Calls())))
    (whole,) = relevances(scorer.score(QUESTION, [Shown(unit("a.pdf", 9), " ".join(words))], Calls()))
    assert whole.score == pytest.approx(best, abs=1e-6)


def test_a_long_passage_is_cut_to_the_models_length(classifier: Path):
    scorer = CrossEncoderScorer(classifier, max_tokens=64, device="cpu")
    long, longer = (Shown(unit("a.pdf", 1), "gold " * n) for n in (100, 130))
    found = relevances(scorer.score(QUESTION, [long, longer], Calls()))
    assert found[0].score == pytest.approx(found[1].score, abs=1e-6)


def test_a_budget_leaves_whole_pages_out(classifier: Path):
    found = CrossEncoderScorer(classifier, batch_size=1, device="cpu").score(
        QUESTION, TEXTS, Calls(max_calls=2)
    )
    assert sum(isinstance(one, BudgetExceeded) for one in found) == 2


def test_a_classifier_of_three_kinds_is_refused(tmp_path: Path):
    save_classifier(tmp_path, n_labels=3)
    with pytest.raises(ModelError, match=r"has 3 outputs, expected 1 \(relevance\) or 2"):
        CrossEncoderScorer(tmp_path, device="cpu")


def test_a_language_model_is_no_cross_encoder(language_model: Path):
    with pytest.raises(ModelError, match="lacks weights such as score"):
        CrossEncoderScorer(language_model, device="cpu")


# ── the way from the options ─────────────────────────────────────────────────────────────────────────────


def test_options_load_a_checkpoint_and_rerank_with_it(language_model: Path, classifier: Path):
    steps = [
        {"kind": "cross-encoder", "model": str(classifier), "device": "cpu"},
        {"kind": "yes-no", "model": str(language_model), "device": "cpu", "n_head": 3},
    ]
    options = RerankOptions.model_validate({"steps": steps})
    ranking = candidates()
    for step in build_rerankers(options, RerankParts(CORPUS)):
        result = step.rerank(Query(QUESTION), ranking)
        assert result.warnings == ()
        opinions = [i.sources[step.name].score for i in result.ranking if step.name in i.sources]
        assert opinions == sorted(opinions, reverse=True)
        assert all(math.isfinite(score) for score in opinions)
        ranking = list(result.ranking)
    assert sorted(item.unit for item in ranking) == sorted(PAGES)
    assert [("yes-no" in item.sources) for item in ranking] == [True] * 3 + [False] * 2


def test_a_language_model_cannot_be_shown_pictures(language_model: Path):
    options = RerankOptions.model_validate(
        {"steps": [{"kind": "yes-no", "model": str(language_model), "device": "cpu", "show": "both"}]}
    )
    with pytest.raises(ConfigError, match="reads text only, but show is 'both'"):
        build_rerankers(options, RerankParts(CORPUS))


def test_a_name_that_is_not_in_the_cache_is_not_fetched():
    with pytest.raises(ModelError, match=r"not in the local cache.*download: true"):
        find_checkpoint("nobody/no-such-reranker")
