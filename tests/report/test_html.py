"""The report is one file that fetches nothing, runs nothing and shows everything as text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from docrag.geometry import Box
from docrag.report.crops import Crop
from docrag.report.html import answer_html
from docrag.types import (
    NOT_ANSWERABLE,
    Abstention,
    Answer,
    Citation,
    Evidence,
    Hit,
    Sentence,
    SourceScore,
    Trace,
    TraceStep,
    UnitRef,
    Usage,
)

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "'; alert(1); '",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;",
)
WRITTEN_AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


class Page(HTMLParser):
    """Elements, attributes and visible text of a page."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open == "style":
            self.style += data
        else:
            self.text += data

    def attributes(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def make_answer(text: str = "4.2 million") -> Answer:
    unit = UnitRef(f"{text}.pdf", 3, 1, "d" * 32)
    hit = Hit(unit, f"iv{text}", 0.5, {"bm25": SourceScore(2, 7.25)}, f"snippet {text}", kind="table")
    citation = Citation(
        1, "E1", unit.doc, unit.doc_id, 3, "iv", (Box(10, 20, 110, 40),), (600, 800), f"quote {text}", "full"
    )
    return Answer(
        question=f"question {text}",
        text=text,
        abstained=False,
        reason=None,
        citations=(citation,),
        evidence=(Evidence("E1", hit, f"evidence {text}"),),
        usage=Usage(),
        warnings=(f"warning {text}",),
        trace=Trace("t1", (TraceStep("search", 0.25, {"what": text}),)),
    )


def render(answer: Answer, **changes) -> Page:
    crop = Crop(b"jpeg", Box(0, 0, 600, 200), answer.citations[0].boxes if answer.citations else ())
    arguments = {
        "crops": {1: crop},
        "missing": {},
        "facts": [("docrag", "9.9")],
        "written_at": WRITTEN_AT,
        **changes,
    }
    return Page(answer_html(answer, **arguments))


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_any_text_is_shown_and_never_run(attack):
    plain, attacked = render(make_answer("x")), render(make_answer(attack), facts=[("docrag", attack)])
    assert [tag for tag, _ in attacked.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(a) for _, a in attacked.elements] == [sorted(a) for _, a in plain.elements]
    for place in ("question", "warning", "quote"):
        assert f"{place} {attack}" in attacked.text


def test_nothing_is_fetched_and_every_link_stays_inside():
    page = render(make_answer())
    assert not {"script", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.elements}
    values = [value for _, a in page.elements for name, value in a.items() if name in ("src", "href")]
    assert values
    assert all(value.startswith(("#", "data:image/jpeg;base64,")) for value in values)
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_the_policy_admits_exactly_the_style_of_the_file():
    page = render(make_answer())
    policy = next(a["content"] for a in page.attributes("meta") if a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.split("; ")[:3] == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
    ]
    assert not [a for _, a in page.elements if "style" in a]  # inline styles would be refused


def test_direction_overrides_and_control_characters_are_made_visible():
    page = render(make_answer("invoice\u202efdp.exe\x1b[31m"))
    assert not re.search("[\u202a-\u202e\x1b]", page.text)
    assert "invoice\ufffdfdp.exe\ufffd[31m" in page.text


def test_a_crop_is_drawn_with_its_marks_in_points_of_the_crop():
    page = render(make_answer(), crops={1: Crop(b"jpeg", Box(5, 10, 605, 210), (Box(10, 20, 110, 40),))})
    assert page.attributes("image")[0]["href"] == "data:image/jpeg;base64,anBlZw=="
    mark = {
        name: float(value)
        for name, value in page.attributes("rect")[0].items()
        if name in ("x", "y", "width", "height")
    }
    # 1.5 pt wider than the word box on every side, from the crop's corner (5, 10)
    assert mark == {"x": 3.5, "y": 8.5, "width": 103.0, "height": 23.0}


def test_a_citation_without_a_picture_says_why():
    page = render(make_answer(), crops={}, missing={1: "the file has changed"})
    assert "No picture: the file has changed" in page.text
    assert not page.attributes("svg")


def test_an_abstention_says_so_and_why():
    answer = replace(
        make_answer(),
        text=NOT_ANSWERABLE,
        abstained=True,
        reason=Abstention.NOT_IN_DOCUMENTS,
        citations=(),
    )
    page = render(answer, crops={})
    assert NOT_ANSWERABLE in page.text
    assert "Nothing found in the documents answers this" in page.text


def test_ranks_scores_times_and_versions_are_there():
    text = " ".join(render(make_answer()).text.split())
    for expected in ("#2 7.250", "0.5000", "search", "250.0", "docrag9.9", "2026-01-02 03:04 UTC"):
        assert expected in text


def with_sentences(*sentences: Sentence, text: str = "x") -> Answer:
    answer = make_answer(text)
    second = replace(answer.citations[0], n=2, support="none", quote=f"figure {text}")
    return replace(answer, citations=(*answer.citations, second), sentences=sentences)


def test_sentences_link_to_their_citations():
    page = render(with_sentences(Sentence("One.", (1,)), Sentence("Two.", (1, 2)), Sentence("Three.")))
    references = [a for a in page.attributes("a") if a["class"].startswith("ref")]
    assert [(a["href"], a["class"]) for a in references] == [
        ("#c1", "ref full"),
        ("#c1", "ref full"),
        ("#c2", "ref none"),
    ]
    texts = [a["class"] for a in page.attributes("p") if a.get("class", "").startswith("text")]
    assert texts == ["text", "text", "text uncited"]
    assert "4.2 million" not in page.text


def test_figures_stand_after_their_sentence_and_only_once_there_is_a_picture():
    sentences = (Sentence("One.", (1,)), Sentence("Two.", (2,), figures=(2,)))
    crop = Crop(b"jpeg", Box(0, 0, 600, 200), ())
    page = render(with_sentences(*sentences), crops={1: crop, 2: crop})
    assert len(page.attributes("figure")) == 1
    tags = [tag for tag, _ in page.elements]
    assert tags.index("figure") > [i for i, tag in enumerate(tags) if tag == "p"][2]
    assert "figure x" in page.text
    assert not render(with_sentences(*sentences), crops={1: crop}).attributes("figure")


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_sentences_and_captions_never_runs(attack):
    crop = Crop(b"jpeg", Box(0, 0, 600, 200), ())

    def page(text: str) -> Page:
        return render(
            with_sentences(Sentence(f"said {text}", (2,), (2,)), text=text),
            crops={1: crop, 2: crop},
            facts=[("docrag", text)],
        )

    plain, attacked = page("x"), page(attack)
    assert [tag for tag, _ in attacked.elements] == [tag for tag, _ in plain.elements]
    assert f"said {attack}" in attacked.text


def test_a_partial_answer_says_so():
    assert "A partial answer" in render(replace(make_answer(), is_partial=True)).text
    assert "A partial answer" not in render(make_answer()).text
