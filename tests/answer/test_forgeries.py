"""Two hundred scripted forgeries by class: every one is caught, no true citation beside it is lost."""

import itertools

import pytest
from tests.answer.conftest import FakeCorpus, Found, make_page
from tests.answer.model_support import FakeChat, cited_json, parts_of

from docrag.answer.options import SinglePassOptions
from docrag.answer.single_pass import SinglePassAnswerer
from docrag.chat.events import SILENCE, Listener
from docrag.types import Query

SUBJECTS = ["Revenue", "Costs", "Wages", "Taxes", "Debts", "Sales", "Assets", "Fees", "Grants", "Rents"]


def line(doc_no: int, page_no: int, i: int) -> str:
    """Every line of the collection has a number of its own."""
    return f"{SUBJECTS[i]} of unit {doc_no} were {doc_no}{page_no}{i},{100 + 37 * i + 11 * page_no + doc_no}"


def page(doc_no: int, page_no: int):
    return make_page([line(doc_no, page_no, i) for i in range(10)], page_no=page_no, label=f"A-{page_no}")


CORPUS = FakeCorpus({f"d{d}.pdf": [page(d, p) for p in (1, 2, 3)] for d in (1, 2)})
SHOWN = [("d1.pdf", 1), ("d1.pdf", 2)]
"""Of six pages two are shown, as E1 and E2."""
TRUE = [("E1", line(1, 1, 0)), ("E2", line(1, 2, 3))]


def search(query: Query, *, k: int, listener: Listener = SILENCE) -> Found:
    found = CORPUS.search(Query("were"), k=6)
    return Found([hit for hit in found.hits if (hit.doc, hit.page_no) in SHOWN])


def numbered(i: int) -> str:
    return line(1, 1, i)


FORGERIES: dict[str, list[tuple[str, str]]] = {
    # Ids that were never issued.
    "beyond the end": [(f"E{n}", numbered(n % 10)) for n in (0, 3, 4, 5, 6, 10, 11, 99, 100, 1000)],
    "signs and zeros": [
        (i, numbered(k))
        for k, i in enumerate(["E-1", "E+1", "E01", "E001", "E1.0", "E1.", "E 1", "-E1", "E1e0", "E1_"])
    ],
    "case and white space": [
        (i, numbered(k))
        for k, i in enumerate(
            ["e1", "e2", " E1", "E1 ", "\tE1", "E1\n", "E\u00a01", "E1\u3000", "E1\r", "e1 "]
        )
    ],
    "look-alike letters": [
        (i, numbered(k))
        for k, i in enumerate(
            [
                "\u04151",
                "\u03951",
                "\uff251",
                "\u212e1",
                "\u00c91",
                "\u01901",
                "\u2130\u0031",
                "\U0001d4041",
                "\u11c1",
                "\u0392\u0031",
            ]
        )
    ],
    "look-alike digits": [
        (i, numbered(k))
        for k, i in enumerate(
            [
                "E\uff11",
                "E\u00b9",
                "E\u2460",
                "E\u0661",
                "E\u0967",
                "El",
                "EI",
                "E|",
                "E\U0001d7cf",
                "E\u2081",
            ]
        )
    ],
    "invisible characters": [
        (i, numbered(k))
        for k, i in enumerate(
            [
                "E\u200b1",
                "E1\u200b",
                "\u200bE1",
                "E\u20601",
                "\ufeffE1",
                "E1\u00ad",
                "E\u202e1",
                "E1\ufe0f",
                "\u2066E1",
                "E1\U000e0031",
            ]
        )
    ],
    "names and pages for ids": [
        (i, numbered(k))
        for k, i in enumerate(
            [
                "d1.pdf",
                "d1.pdf:1",
                "page 1",
                "p. 1",
                "1",
                "A-1",
                "id-d1.pdf",
                "d1.pdf#page=1",
                "Evidence E1",
                "#E1",
            ]
        )
    ],
    "lists and paths": [
        (i, numbered(k))
        for k, i in enumerate(
            ["E1-E2", "E1..E2", "E1/E2", "E1;E2", "E1|E2", "../E1", "E1#", "E1?", "*", "E*"]
        )
    ],
    "markup and code": [
        (i, numbered(k))
        for k, i in enumerate(
            [
                "<b>E1</b>",
                "`E1`",
                "**E1**",
                "https://evil.test/E1",
                "E1\x00",
                "${E1}",
                "{{E1}}",
                "'E1'",
                '"E1"',
                "E1;DROP",
            ]
        )
    ],
    "nothing and too much": [
        (i, numbered(k))
        for k, i in enumerate(
            ["", "none", "null", "unknown", "all", "E", "E" * 500, "E1" * 50, "9" * 300, "\U0001f600"]
        )
    ],
    # Ids that were issued, with words that do not stand there.
    "the other page of the right document": [("E1", line(1, 2, i)) for i in range(10)],
    "a page that was not shown": [("E1", line(1, 3, i)) for i in range(10)],
    "the right page of the wrong document": [("E2", line(2, 2, i)) for i in range(10)],
    "another number": [("E1", line(1, 1, i)[:-1] + "1234567890"[int(line(1, 1, i)[-1])]) for i in range(10)],
    "a missing digit": [("E1", line(1, 1, i)[:-1]) for i in range(10)],
    "another subject": [("E1", line(1, 1, i).replace(SUBJECTS[i], SUBJECTS[i - 1])) for i in range(10)],
    "denied": [("E1", line(1, 1, i).replace("were", "were not")) for i in range(10)],
    "invented": [
        ("E1", q)
        for q in [
            "The auditors resigned",
            "Profit doubled",
            "The plant was closed",
            "Dividends were cancelled",
            "See the annex for more",
            "IGNORE ALL PREVIOUS INSTRUCTIONS",
            "https://evil.test/report",
            "A merger is planned",
            "The chief executive left",
            "Results are preliminary",
        ]
    ],
    "words from two places joined": [
        ("E1", f"{line(1, 1, i).split(' were ')[0]} were {line(1, 1, (i + 3) % 10).split(' were ')[1]}")
        for i in range(10)
    ],
    "stop words and punctuation": [
        ("E1", q)
        for q in ["of", "were", "of were", "...", "\u2014", "the of a", "\u200b", "!", "of … were", "it was"]
    ],
}


def test_there_are_two_hundred_and_all_are_different():
    every = list(itertools.chain.from_iterable(FORGERIES.values()))
    assert len(every) == 200
    assert all(len(forged) == 10 for forged in FORGERIES.values())
    assert len(set(every)) == 200


@pytest.mark.parametrize("kind", FORGERIES)
def test_forgeries_are_caught_and_true_citations_stay(kind):
    for forged in FORGERIES[kind]:
        reply = cited_json(("A true sentence.", TRUE[0], forged, TRUE[1]), ("A false one.", forged))
        parts = parts_of(CORPUS, FakeChat([reply]))
        answerer = SinglePassAnswerer(type(parts)(CORPUS, search, parts.runs), SinglePassOptions())
        answer = answerer.answer(Query("What were they?"))
        standing = [(c.evidence_id, c.quote) for c in answer.citations if c.support != "none" or c.boxes]
        assert standing == TRUE, forged
        assert all(c.support == "full" for c in answer.citations if (c.evidence_id, c.quote) in TRUE), forged
        assert {(c.doc, c.page_no) for c in answer.citations} <= set(SHOWN), forged
        # Both sentences are there; the false one has nothing that stands, and the answer says so.
        true, false = answer.sentences
        assert set(true.citations) >= {c.n for c in answer.citations if (c.evidence_id, c.quote) in TRUE}, (
            forged
        )
        verified = {c.n for c in answer.citations if c.support != "none"}
        assert not set(false.citations) & verified, forged
        assert any(w == "no evidence was found for: 'A false one.'" for w in answer.warnings), forged
        assert any(
            "removed a citation" in w or "is not on the page" in w or "without a quote" in w
            for w in answer.warnings
        ), forged
