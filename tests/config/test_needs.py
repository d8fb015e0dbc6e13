"""What a configuration needs is named before anything is read, with the line that mends it."""

from __future__ import annotations

import pytest

from docrag.cli import main
from docrag.config import load_settings
from docrag.config.sources import presets
from docrag.pipeline.needs import is_installed, unmet


def missing(*overrides: str, config: str = "local", environ=None, modules=()):
    settings = load_settings(config, overrides=overrides, environ={})
    return list(map(str, unmet(settings, environ=environ or {}, have=lambda module: module in modules)))


def test_the_default_needs_nothing():
    assert missing() == []


LOCAL = ["visual.encoder.kind=local", "visual.encoder.model=org/model"]
RERANK = "retrieval.rerank.steps=[{kind: cross-encoder, model: org/model, runtime: %s}]"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (LOCAL, 'visual.encoder: needs torch, transformers; install with: pip install "docrag[visual]"'),
        (
            ["embed.kind=sentence-transformers", "embed.model=m"],
            'embed: needs sentence_transformers; install with: pip install "docrag[sentence-transformers]"',
        ),
        (
            ["models.default.kind=transformers", "models.default.model=org/m"],
            'models.default: needs torch, transformers; install with: pip install "docrag[visual]"',
        ),
        (
            [RERANK % "transformers"],
            "retrieval.rerank.steps[0]: needs torch, transformers; "
            'install with: pip install "docrag[visual]"',
        ),
        (
            ["embed.kind=openai", "embed.model=m", "embed.api_key_env=OPENAI_API_KEY"],
            "embed: needs a key in OPENAI_API_KEY, which is not set; export OPENAI_API_KEY=…",
        ),
        (
            ["visual.encoder.kind=vllm", "visual.encoder.api_key_env=MY_KEY"],
            "visual.encoder: needs a key in MY_KEY, which is not set; export MY_KEY=…",
        ),
        (
            ["retrieval.rerank.steps=[{kind: vllm-score, api_key_env: MY_KEY}]"],
            "retrieval.rerank.steps[0]: needs a key in MY_KEY, which is not set; export MY_KEY=…",
        ),
        (
            ["models.default.kind=openai", "models.default.model=m", "models.default.api_key_env=MY_KEY"],
            "models.default: needs a key in MY_KEY, which is not set; export MY_KEY=…",
        ),
    ],
)
def test_a_missing_extra_or_key_is_named_with_its_setting_and_what_mends_it(overrides, message):
    assert missing(*overrides) == [message]
    everything = ("torch", "transformers", "sentence_transformers")
    assert missing(*overrides, modules=everything, environ={"OPENAI_API_KEY": "k", "MY_KEY": "k"}) == []


@pytest.mark.parametrize(
    "overrides",
    [
        [RERANK % "onnx"],
        ["embed.kind=openai", "embed.model=m"],
        ["embed.kind=openai", "embed.model=m", "embed.api_key=k"],
        ["models.default.kind=openai", "models.default.model=m"],
    ],
)
def test_what_can_do_without_is_not_asked_for_more(overrides):
    assert missing(*overrides) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    here = ["visual.encoder.kind=local", f"visual.encoder.model={tmp_path / 'model'}"]
    (found,) = missing(*here, modules=("torch", "transformers"))
    assert found == (
        f"visual.encoder.model: {tmp_path / 'model'}: there is no such folder; "
        "name one with --set visual.encoder.model=FOLDER"
    )
    (tmp_path / "model").mkdir()
    assert missing(*here, modules=("torch", "transformers")) == []


@pytest.mark.parametrize("name", presets())
def test_what_a_preset_needs_can_be_said(name):
    for line in missing(config=name):
        assert "; install with: pip install" in line or "; export " in line or "; name one with --set" in line


@pytest.mark.skipif(is_installed("torch"), reason="nothing is missing here")
def test_nothing_is_indexed_when_something_is_missing(tmp_path, monkeypatch, capsys):
    from tests.pdfs import text_pdf

    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    text_pdf(tmp_path / "reports" / "a.pdf", pages=[["A page."]])
    assert main.run(["index", "reports", "--config", "laptop-visual"]) == 1
    err = capsys.readouterr().err
    assert "visual.encoder: needs torch" in err
    assert "visual.encoder.model: ./page-encoder: there is no such folder" in err
    assert not (tmp_path / "reports" / ".docrag").exists()
