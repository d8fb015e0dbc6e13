"""Answerers with models through the product's own path: settings, index, files, models."""

import io
import json
import os
import shutil
import threading

import pytest
from PIL import Image
from tests.pdfs import encrypted_pdf, text_pdf

from docrag import DocRAG, load_settings
from docrag.errors import ConfigError, IngestError
from docrag.geometry import Box
from docrag.ingest.open_pdf import open_source
from docrag.pipeline.assemble import by_words_and_by_looks
from docrag.pipeline.pictures import FilePictures
from docrag.retrieve.build import build_fusion
from docrag.types import PageRef

FAST = ["ingest.layout=fast", "ingest.ocr=never", "ingest.n_workers=1", "embed.kind=none"]
PAGES = (
    ["Annual report", "Revenue in 2023 was 4.2 million euros."],
    ["Staff", "The chief executive is Maria Lindqvist."],
)
GOOD = json.dumps(
    {
        "answerable": True,
        "sentences": [
            {
                "text": "It was 4.2 million euros.",
                "citations": [{"id": "E1", "quote": "was 4.2 million euros"}],
            }
        ],
    }
)
SCRIPTED = ["models.default.kind=scripted", f"models.default.replies=[{json.dumps(GOOD)}]"]


def settings(*overrides: str):
    return load_settings(overrides=[*FAST, *overrides], environ={})


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    text_pdf(folder / "report.pdf", pages=PAGES)
    with DocRAG.open(folder, settings=settings()) as rag:
        rag.index()
    return folder


@pytest.fixture
def folder(indexed, tmp_path):
    return shutil.copytree(indexed, tmp_path / "reports")


def pictures_of(folder, **more) -> tuple[FilePictures, PageRef]:
    with DocRAG.open(folder, settings=settings()) as rag:
        (document,) = rag.documents()
    return FilePictures([document], folder, **more), PageRef(document.doc_id, 1)


# ── answerers from settings ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["single-pass", "dual-branch", "interleaved", "summaries"])
def test_every_kind_answers_from_the_files(folder, kind):
    rag = DocRAG.open(
        folder, settings=settings(*SCRIPTED, "models.default.repeat_last=true", f"answer.kind={kind}")
    )
    with rag:
        answer = rag.ask("What was the revenue in 2023?")
        n_images = answer.usage.n_images
    assert answer.text == "It was 4.2 million euros."
    assert [(c.doc, c.page_no, c.support, len(c.boxes)) for c in answer.citations] == [
        ("report.pdf", 1, "full", 1)
    ]
    assert n_images >= 1
    assert not [w for w in answer.warnings if "picture" in w]


def test_options_reach_the_answerer(folder):
    chosen = settings(
        *SCRIPTED, "answer.kind=single-pass", "answer.context.modality=text", "answer.n_pages=1"
    )
    with DocRAG.open(folder, settings=chosen) as rag:
        answer = rag.ask("What was the revenue in 2023?")
    assert answer.usage.n_images == 0
    assert len(answer.evidence) == 1


def test_the_budget_reaches_the_run(folder):
    chosen = settings(*SCRIPTED, "answer.kind=single-pass", "budget.max_images=0")
    with DocRAG.open(folder, settings=chosen) as rag:
        answer = rag.ask("What was the revenue in 2023?")
    assert answer.reason == "budget_spent"


def test_prompts_of_ones_own_are_used_and_named_by_their_digest(folder, tmp_path):
    mine = tmp_path / "style.md"
    mine.write_text("---\ndescription: mine\nvariables: []\n---\n# user\nAnswer in verse.\n", "utf-8")
    plain = settings(*SCRIPTED, "answer.kind=single-pass")
    changed = settings(*SCRIPTED, "answer.kind=single-pass", f"prompts.answer_style_full={mine}")
    digests = []
    for chosen in (plain, changed):
        with DocRAG.open(folder, settings=chosen) as rag:
            trace = rag.ask("What was the revenue in 2023?").trace
        (detail,) = [step.detail for step in trace if step.name == "answer"]
        digests.append(detail["fragments"]["answer_style_full"])
    assert digests[0] != digests[1]


def test_without_a_model_the_setting_that_is_missing_is_named(folder):
    with (
        DocRAG.open(folder, settings=settings("answer.kind=single-pass")) as rag,
        pytest.raises(
            ConfigError, match=r"answer.kind is single-pass, which needs a model: .*models\.default"
        ),
    ):
        rag.ask("What was the revenue?")


def test_unknown_kinds_and_options_are_refused():
    with pytest.raises(ConfigError, match="single-pass"):
        settings("answer.kind=singlepass")
    with pytest.raises(ConfigError, match="prior"):
        settings("answer.kind=single-pass", "answer.prior=text")


def test_files_that_are_gone_are_answered_from_the_index(folder):
    (folder / "report.pdf").unlink()
    with DocRAG.open(folder, settings=settings(*SCRIPTED, "answer.kind=single-pass")) as rag:
        answer = rag.ask("What was the revenue in 2023?")
    assert answer.text == "It was 4.2 million euros."
    assert "report.pdf is not where it was indexed" in answer.warnings[0]


def test_encrypted_files_are_shown_with_the_password_they_were_indexed_with(tmp_path):
    encrypted_pdf(tmp_path / "secret.pdf", password="sesame")
    chosen = settings(*SCRIPTED, "answer.kind=single-pass")
    with DocRAG.open(tmp_path, settings=chosen) as rag:
        assert rag.index(password="sesame").files[0].status == "indexed"
        page = rag.corpus.page(PageRef(rag.documents()[0].doc_id, 1))
        answer = rag.ask(page.text[:60])
        assert answer.usage.n_images == 1
    with DocRAG.open(tmp_path, settings=chosen) as rag:
        answer = rag.ask(page.text[:60])
        assert answer.usage.n_images == 0
        assert "password" in answer.warnings[0]


def test_branches_search_by_words_and_by_looks_only_where_there_are_both():
    assert by_words_and_by_looks(settings()) is None
    visual = ["visual.encoder.kind=local", "visual.encoder.model=x"]
    assert by_words_and_by_looks(settings(*visual, "retrieval.retrievers=[visual]")) is None
    both = settings(
        *visual,
        "retrieval.retrievers=[bm25, dense, visual]",
        "retrieval.fusion.kind=weighted-sum",
        "retrieval.fusion.weights={bm25: 0.4, dense: 0.1, visual: 0.5}",
    )
    split = by_words_and_by_looks(both)
    assert split is not None
    assert split["text"].retrieval.retrievers == ("bm25", "dense")
    assert split["text"].retrieval.fusion.weights == {"bm25": 0.4, "dense": 0.1}
    assert split["image"].retrieval.retrievers == ("visual",)
    assert split["image"].retrieval.fusion.weights == {"visual": 0.5}


def test_keywords_are_asked_for_only_in_the_branch_that_searches_by_them():
    split = by_words_and_by_looks(
        settings(
            "visual.encoder.kind=local",
            "visual.encoder.model=x",
            "retrieval.retrievers=[bm25, visual]",
            "retrieval.fusion.weights={bm25: 1, visual: 1}",
            "retrieval.query.ensemble.retrievers=[bm25]",
        )
    )
    assert split is not None
    assert split["image"].retrieval.query.ensemble is None
    text = split["text"].retrieval.query.ensemble
    assert text is not None
    assert text.retrievers == ("bm25",)


@pytest.mark.parametrize(
    ("retrievers", "fusion", "text", "image"),
    [
        (  # reciprocal ranks without weights count alike
            "[bm25, dense, visual]", ["kind=reciprocal-rank"], {"bm25": 0.5, "dense": 0.5}, {"visual": 1.0},
        ),
        ("[bm25, visual]", ["weights={bm25: 0, visual: 1}"], {"bm25": 1.0}, {"visual": 1.0}),
        ("[bm25, visual]", ["weights={bm25: 2, visual: 0}"], {"bm25": 2.0}, {"visual": 1.0}),
    ],
)  # fmt: skip
def test_a_branch_can_be_built_though_its_retrievers_have_no_weight_beside_the_others(
    retrievers: str, fusion: list[str], text: dict[str, float], image: dict[str, float]
):
    split = by_words_and_by_looks(
        settings(
            "visual.encoder.kind=local",
            "visual.encoder.model=x",
            f"retrieval.retrievers={retrievers}",
            *(f"retrieval.fusion.{option}" for option in fusion),
        )
    )
    assert split is not None
    for name, weights in (("text", text), ("image", image)):
        branch = split[name].retrieval
        assert branch.fusion.weights == weights
        build_fusion(branch.fusion, configured=branch.retrievers)


# ── evaluation ───────────────────────────────────────────────────────────────────────────────────────

QUESTIONS = [
    {"id": f"q{i}", "doc": "report.pdf", "question": "What was the revenue in 2023?", "answer": "4.2 million",
     "answer_format": "Str", "evidence_pages": [1]}
    for i in range(5)
]  # fmt: skip


def test_no_question_is_dropped_whatever_the_model_does(folder, tmp_path, monkeypatch, capsys):
    from docrag.cli import main

    monkeypatch.chdir(tmp_path)
    dataset = tmp_path / "set"
    shutil.copytree(folder, dataset / "documents", ignore=shutil.ignore_patterns(".docrag"))
    (dataset / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    declined = json.dumps({"answerable": False, "sentences": []})
    # The last two questions find the script used up: an error each.
    (tmp_path / "script.yaml").write_text(json.dumps({"replies": [GOOD, "no format [E1].", declined]}))
    arguments = ["eval", dataset, "--task", "answers", "--out", "run.jsonl", "--json", "--index", "idx"]
    for override in [
        *FAST,
        "answer.kind=single-pass",
        "models.default.kind=scripted",
        "models.default.file=script.yaml",
    ]:
        arguments += ["--set", override]
    assert main.run([str(argument) for argument in arguments]) == 2
    report = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q0", "q1", "q2", "q3", "q4"]
    assert [line["prediction"] for line in lines] == [
        "It was 4.2 million euros.",
        "no format.",
        "Not answerable",
        "",
        "",
    ]
    assert ["error" in line for line in lines] == [False, False, False, True, True]
    assert lines[0]["citations"] == [["report.pdf", 1]]
    assert report["groups"][0]["n"] == 5


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_page_is_drawn_at_the_resolution_asked_for(folder):
    pictures, ref = pictures_of(folder)
    picture = pictures.picture(ref, dpi=72)
    assert (picture.media_type, picture.width_px, picture.height_px) == ("image/jpeg", 595, 842)
    with Image.open(io.BytesIO(picture.data)) as image:
        assert (image.format, image.size) == ("JPEG", (595, 842))
    part = pictures.picture(ref, dpi=144, clip=Box(50, 60, 250, 160))
    assert (part.width_px, part.height_px) == (400, 200)
    pictures.close()


def test_equal_arguments_give_equal_bytes_also_from_another_reader(folder):
    pictures, ref = pictures_of(folder, max_cache_bytes=0)
    first = pictures.picture(ref, dpi=100)
    other = pictures.picture(ref._replace(page_no=2), dpi=100)
    assert other.data != first.data
    assert pictures.picture(ref, dpi=100).data == first.data
    again, _ = pictures_of(folder)
    assert again.picture(ref, dpi=100).data == first.data
    pictures.close()
    again.close()


def test_pictures_are_kept_up_to_so_many_bytes_the_last_used_longest(folder):
    pictures, ref = pictures_of(folder)
    one = len(pictures.picture(ref, dpi=60).data)
    pictures.close()
    pictures, ref = pictures_of(folder, max_cache_bytes=int(2.5 * one))
    a = pictures.picture(ref, dpi=60)
    b = pictures.picture(ref, dpi=61)
    assert pictures.picture(ref, dpi=60) is a
    pictures.picture(ref, dpi=62)  # takes the place of the one at 61
    assert pictures.picture(ref, dpi=60) is a
    assert pictures.picture(ref, dpi=61) is not b
    pictures.close()


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (lambda path: path.unlink(), "io_error", "is not where it was indexed"),
        (lambda path: os.utime(path, (1, 1)), "changed_while_reading", "has changed since it was indexed"),
    ],
)
def test_a_file_that_is_gone_or_changed_is_a_typed_error(folder, change, reason, said):
    pictures, ref = pictures_of(folder)
    change(folder / "report.pdf")
    with pytest.raises(IngestError, match=said) as caught:
        pictures.picture(ref, dpi=72)
    assert caught.value.reason == reason


def test_what_is_not_there_is_a_typed_error(folder):
    pictures, ref = pictures_of(folder)
    with pytest.raises(IngestError, match="not in the index"):
        pictures.picture(PageRef("0" * 32, 1), dpi=72)
    with pytest.raises(IngestError):
        pictures.picture(ref, dpi=72, clip=Box(9000, 9000, 9100, 9100))
    with pytest.raises(IngestError):
        pictures.picture(ref._replace(page_no=99), dpi=72)
    pictures.close()


def test_several_threads_get_the_same_pictures(folder):
    pictures, ref = pictures_of(folder)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(pictures.picture(ref, dpi=90).data)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 6
    source = open_source(folder / "report.pdf", parser="pymupdf")
    height, width, _ = source.render(1, dpi=90).shape
    source.close()
    with Image.open(io.BytesIO(found[0])) as image:
        assert image.size == (width, height)
    pictures.close()
