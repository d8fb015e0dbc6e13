"""Parts by dotted name: they run the code that the configuration names, and no other."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.api.conftest import settings_with

from docrag import DocRAG
from docrag.errors import ConfigError
from docrag.pipeline.custom import CustomOptions, make_custom
from docrag.pipeline.settings import Settings

HERE = "tests.api.parts_of_mine"
WEIGHTS = [
    "retrieval.retrievers=[bm25]",
    "retrieval.fusion={kind: weighted-sum, weights: {bm25: 0.5, last: 0.5}}",
]


def made(factory: str, *arguments: object, method: str = "answer", **options: object):
    return make_custom(
        CustomOptions(factory=factory, options=options), *arguments, setting="answer", method=method
    )


def test_an_answerer_of_mine_answers(folder):
    settings = settings_with(
        "answer.kind=custom", f"answer.factory={HERE}:Talker", "answer.options={words: of course}"
    )
    with DocRAG.open(folder, settings=settings) as rag:
        answer = rag.ask("is it?")
    assert answer.text == "of course"
    assert [step.name for step in answer.trace] == ["talk"]


def test_an_encoder_of_mine_makes_the_vectors_of_an_index(folder, tmp_path):
    settings = settings_with(
        "embed.kind=custom", f"embed.factory={HERE}:LengthEmbedder", "ingest.n_workers=1"
    )
    with DocRAG.open(folder, index=tmp_path / "mine", settings=settings) as rag:
        rag.index()
        assert rag.corpus.manifest.text_encoder.name == "length"
        assert "dense" in rag.search("pasta").hits[0].sources


def test_a_retriever_and_a_reranker_of_mine_take_part(folder):
    parts = f"custom.retrievers=[{{factory: '{HERE}:LastPage'}}]"
    with DocRAG.open(folder, settings=settings_with(parts, *WEIGHTS)) as rag:
        found = rag.search("revenue euros")
        assert {hit.doc: hit.page_no for hit in found.hits if "last" in hit.sources} == {
            "report.pdf": 3,
            "notes.pdf": 1,
        }
    back = f"custom.rerankers=[{{factory: '{HERE}:Backwards'}}]"
    with DocRAG.open(folder, settings=settings_with(parts, back, *WEIGHTS)) as rag:
        turned = rag.search("revenue euros")
    assert [hit.unit for hit in turned.hits] == [hit.unit for hit in reversed(found.hits)]


def test_a_retriever_without_a_weight_is_refused(folder):
    parts = f"custom.retrievers=[{{factory: '{HERE}:LastPage'}}]"
    with DocRAG.open(folder, settings=settings_with(parts)) as rag, pytest.raises(ConfigError, match="last"):
        rag.search("revenue")


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        ("no_such_package.parts:make", {}, 'there is no module "no_such_package"; install it'),
        (f"{HERE}:Talkre", {}, 'there is no "Talkre" in it'),
        (f"{HERE}:NOT_A_FUNCTION", {}, "it is a int, expected a function"),
        (f"{HERE}:makes_nothing", {}, "it returned a NoneType without the method answer"),
        (f"{HERE}:Talker", {"wrods": "x"}, "unexpected keyword argument 'wrods'"),
    ],
)
def test_a_part_that_cannot_be_made_is_named_with_its_setting(factory, options, message):
    with pytest.raises(ConfigError) as caught:
        made(factory, object(), object(), **options)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f'answer.factory is "{factory}": ')


@pytest.mark.parametrize("factory", ["os", "os.system", "os:", ":system", "a b:c", "os:system()"])
def test_a_name_that_is_no_function_of_a_module_is_refused_unread(factory):
    with pytest.raises(ConfigError, match="factory"):
        settings_with("answer.kind=custom", f"answer.factory={factory}")


def test_reading_a_configuration_imports_nothing_and_using_the_part_runs_its_code(tmp_path):
    module = tmp_path / "loud_part.py"
    module.write_text("print('imported')\ndef make(*_):\n    print('called')\n")
    code = (
        "from docrag import load_settings\n"
        "settings = load_settings(overrides=['answer.kind=custom', 'answer.factory=loud_part:make'])\n"
        "print('read')\n"
        "from docrag.pipeline.custom import make_custom\n"
        "try:\n    make_custom(settings.answer, setting='answer', method='answer')\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["read", "imported", "called", "ConfigError"]


def test_without_a_name_in_the_configuration_there_is_no_custom_part():
    settings = Settings()
    assert settings.custom.retrievers == settings.custom.rerankers == ()
    assert settings.answer.kind == "extractive"
