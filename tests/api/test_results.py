"""Results show themselves in a notebook, and convert to JSON, pandas and LangChain documents."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import pickle
import re

import pandas as pd
import pytest
from PIL import Image
from tests.pdfs import encrypted_pdf, text_pdf

from docrag import Answer, DocRAG, Hit
from docrag.report.shapes import answer_values, search_values
from docrag.types import Sentence, Usage

QUESTION = "Who is the chief executive?"


@pytest.fixture
def answer(rag):
    return rag.ask(QUESTION)


@pytest.fixture
def found(rag):
    return rag.search("chief executive copper", k=2)


def pictures(html: str) -> list[Image.Image]:
    encoded = re.findall(r'href="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in encoded]


def test_an_answer_is_still_an_answer(answer):
    assert isinstance(answer, Answer)
    assert answer == pickle.loads(pickle.dumps(answer))
    assert "Lindqvist" in answer.text


def test_sentences_carry_the_numbers_of_their_citations_and_a_bare_citation_no_quote(answer):
    bare = dataclasses.replace(answer.citations[0], quote="", support="none")
    sentences = (Sentence("It is she.", (1,)), Sentence("So they say.", ()))
    changed = dataclasses.replace(
        answer, text="It is she. So they say.", sentences=sentences, citations=(bare,)
    )
    assert str(changed).splitlines() == ["It is she. [1] So they say.", "[1] report.pdf, page 2"]
    html = changed._repr_html_()
    assert "It is she. [1] So they say." in html
    assert "no quote given" in html


def test_an_answer_shows_the_cited_place_with_its_boxes(answer):
    html = answer._repr_html_()
    (picture,) = pictures(html)
    assert picture.width == pytest.approx(900, abs=2)
    assert html.count("<rect") == len(answer.citations[0].boxes) == 1
    assert "report.pdf, page 2" in html
    # The mark lies on dark pixels: the quoted line.
    x, y, width, height = (
        float(re.search(rf'<rect[^>]* {name}="([^"]+)"', html)[1]) for name in ("x", "y", "width", "height")
    )
    scale = picture.width / float(re.search(r'viewBox="0 0 (\S+)', html)[1])
    inside = picture.convert("L").crop([round(v * scale) for v in (x, y, x + width, y + height)])
    assert inside.getextrema()[0] < 100


def test_a_hit_a_citation_and_a_search_show_themselves(answer, found):
    assert len(pictures(answer.citations[0]._repr_html_())) == 1
    assert len(pictures(found.hits[0]._repr_html_())) == 1
    html = found._repr_html_()
    assert len(pictures(html)) == len(found.hits)
    assert "chief executive" in html


def test_an_abstention_says_why(rag):
    html = rag.ask("Which bank holds the pension fund?")._repr_html_()
    assert "Not answerable" in html
    assert "Nothing found in the documents" in html
    assert not pictures(html)


def test_a_search_that_finds_nothing_says_so(rag):
    assert "Nothing found" in rag.search("zzz")._repr_html_()


def test_text_of_documents_cannot_become_markup(tmp_path):
    from tests.api.conftest import settings_with

    text_pdf(tmp_path / "evil.pdf", pages=[["The chief executive is <script>alert(1)</script> & <b>co</b>."]])
    with DocRAG.open(tmp_path, settings=settings_with()) as rag:
        rag.index()
        shown = rag.ask(QUESTION)._repr_html_() + rag.search("<b>executive</b>")._repr_html_()
    assert "&lt;script&gt;" in shown
    assert not re.search(r"<(script|b>co|b>executive)", shown)


def test_a_file_that_is_gone_is_said_in_the_place_of_its_picture(answer, found, folder):
    (folder / "report.pdf").unlink()
    for html in (answer._repr_html_(), found.hits[0]._repr_html_()):
        assert "No picture: report.pdf is not where it was indexed" in html
        assert not pictures(html)


def test_an_encrypted_file_is_shown_with_the_password_it_was_indexed_with(tmp_path):
    from tests.api.conftest import settings_with

    encrypted_pdf(tmp_path / "locked.pdf", password="sesame")
    with DocRAG.open(tmp_path, settings=settings_with()) as rag:
        rag.index(password="sesame")
        assert len(pictures(rag.search("treasure", k=1)._repr_html_())) == 1
    with DocRAG.open(tmp_path, settings=settings_with()) as rag:
        html = rag.search("treasure", k=1)._repr_html_()
    assert "No picture: " in html
    assert "sesame" not in html


def test_a_copy_shows_its_text_alone(answer, found):
    copy = pickle.loads(pickle.dumps(answer))
    assert "Lindqvist" in copy._repr_html_()
    assert not pictures(copy._repr_html_())
    hit = dataclasses.replace(found.hits[0], score=1.0)
    assert isinstance(hit, Hit)
    assert hit.text == hit.snippet
    assert not pictures(hit._repr_html_())


def test_printing_an_answer_gives_text_and_places(answer):
    first, second = str(answer).splitlines()
    assert first == answer.text
    assert second.startswith("[1] report.pdf, page 2: “")


def test_json_is_that_of_the_command_line(answer, found):
    assert answer.to_json() == answer_values(answer)
    assert "trace" in answer.to_json(explain=True)
    assert found.to_json() == search_values("chief executive copper", found.hits)
    troubled = dataclasses.replace(found, warnings=("half of it failed",), usage=Usage(n_model_calls=2))
    assert troubled.to_json()["warnings"] == ["half of it failed"]
    assert troubled.to_json()["usage"]["n_model_calls"] == 2
    assert found.hits[0].to_json() == found.to_json()["hits"][0]
    assert answer.citations[0].to_json() == answer.to_json()["citations"][0]
    json.dumps([answer.to_json(explain=True), found.to_json()])


def test_hits_and_citations_become_tables(answer, found, rag):
    table = found.to_pandas()
    assert list(table["rank"]) == [1, 2]
    assert list(table["page"]) == [hit.page_no for hit in found.hits]
    assert table["score_bm25"][0] == found.hits[0].sources["bm25"].score
    cited = answer.to_pandas()
    assert list(cited["doc"]) == ["report.pdf"]
    nothing = rag.search("zzz").to_pandas()
    assert isinstance(nothing, pd.DataFrame)
    assert nothing.empty
    assert set(table.columns) == set(nothing.columns)


def test_hits_become_documents_with_text_and_references(found, folder):
    document = found.to_documents()[0]
    assert document.page_content == found.hits[0].text
    assert "87 people" in document.page_content  # all of the page, not just the snippet
    assert document.id == f"{found.hits[0].unit.doc_id}:p2"
    assert document.metadata["page_uri"] == f"{(folder / 'report.pdf').as_uri()}#page=2"
    assert document.metadata["boxes"]
    assert document.metadata["page"] == 2
    assert "base64" not in json.dumps(document.metadata)


def test_a_region_becomes_a_document_with_its_box(rag):
    hit = rag.search("chief executive", k=1, unit="region").hits[0]
    document = hit.to_document()
    assert document.metadata["region_id"] == f"p2c{hit.unit.chunk_no}"
    assert document.metadata["box"] == [round(value, 2) for value in hit.box]
    assert document.page_content == hit.text


def test_citations_become_documents(answer):
    (document,) = answer.to_documents()
    citation = answer.citations[0]
    assert document.page_content == citation.quote
    assert document.metadata["support"] == "full"
    assert document.metadata["page_size"] == [round(side, 2) for side in citation.page_size]
