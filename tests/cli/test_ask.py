"""`docrag ask` and `docrag search`: what people see, and the JSON that programs read."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace

import pytest
from tests.cli.cli_support import FAST, write_reports
from tests.pdfs import text_pdf

from docrag import DocRAG
from docrag.cli.ask import bring_up_to_date, looked_at, print_answer
from docrag.cli.output import Output
from docrag.errors import StorageRefused
from docrag.store.lock import WriterLock
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
    UnitRef,
    Usage,
)


def evidence(evidence_id: str, doc: str, page_no: int, label: str = "") -> Evidence:
    hit = Hit(UnitRef(doc, page_no, 1, "d" * 32), label, 1.0, {"bm25": SourceScore(1, 2.0)}, "snippet")
    return Evidence(evidence_id, hit, "text")


def answer(**changes) -> Answer:
    citation = Citation(1, "E1", "a.pdf", "d" * 32, 3, "iv", (), (600, 800), "the quote", "full")
    values = {
        "question": "q",
        "text": "42",
        "abstained": False,
        "reason": None,
        "citations": (citation,),
        "evidence": (evidence("E1", "a.pdf", 3), evidence("E2", "b.pdf", 1), evidence("E3", "a.pdf", 2)),
        "usage": Usage(elapsed_s=0.25),
        "warnings": (),
        "trace": Trace("t"),
        "confidence": 0.5,
        **changes,
    }
    return Answer(**values)


def test_an_answer_is_printed_with_places_quotes_and_what_was_looked_at(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    print_answer(Output(), answer(warnings=("b.pdf: 1 page could not be read",)))
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "42",
        "",
        "[1] a.pdf, page 3 (label iv)",
        "    “the quote”",
        "",
        "Looked at a.pdf, pages 3, 2; b.pdf, page 1  (0.25 s, confidence 0.50)",
    ]
    assert err == "warning: b.pdf: 1 page could not be read\n"


@pytest.mark.parametrize("reason", Abstention)
def test_an_abstention_says_why(capsys, reason):
    print_answer(Output(), answer(text=NOT_ANSWERABLE, abstained=True, reason=reason, citations=()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Not answerable"
    assert lines[1].endswith(".")


def test_a_doubtful_quote_is_marked(capsys):
    doubtful = replace(answer().citations[0], support="none")
    print_answer(Output(), answer(citations=(doubtful,)))
    assert "(quote not found on the page)" in capsys.readouterr().out


def test_a_citation_without_a_quote_is_not_said_to_have_a_wrong_one(capsys):
    bare = replace(answer().citations[0], quote="", support="none")
    print_answer(Output(), answer(citations=(bare,)))
    assert "[1] a.pdf, page 3 (label iv)  (no quote given)" in capsys.readouterr().out


def test_sentences_say_which_citations_support_them(capsys):
    second = replace(answer().citations[0], n=2, page_no=4)
    sentences = (
        Sentence("It has 42.", (1, 2)),
        Sentence("So it seems.", ()),
        Sentence("- 40 here", (2,)),
    )
    text = "It has 42. So it seems.\n- 40 here"
    print_answer(Output(), answer(text=text, citations=(*answer().citations, second), sentences=sentences))
    assert capsys.readouterr().out.splitlines()[:2] == ["It has 42. [1][2] So it seems.", "- 40 here [2]"]


def test_sentences_that_are_not_the_text_leave_it_as_it_is(capsys):
    print_answer(Output(), answer(text="42 in all", sentences=(Sentence("It has 42.", (1,)),)))
    assert capsys.readouterr().out.splitlines()[0] == "42 in all"


def test_text_of_documents_cannot_command_the_terminal(capsys):
    print_answer(Output(), answer(text="\x1b[2J[bold]x[/bold]\u202e"))
    assert capsys.readouterr().out.splitlines()[0] == "\ufffd[2J[bold]x[/bold]\ufffd"


def test_looked_at_names_every_page_once():
    twice = (evidence("E1", "a.pdf", 3), evidence("E2", "a.pdf", 3))
    assert looked_at(answer(evidence=twice)) == "a.pdf, page 3"


# ── the commands over a real index ───────────────────────────────────────────────────────────────────────


def test_search_prints_places_and_snippets(docrag, reports):
    result = docrag("search", "chief executive", "--index", reports / ".docrag", "--explain", *FAST)
    assert result.code == 0
    lines = result.out.splitlines()
    assert re.match(r" 1\. report\.pdf, page 2  -?\d", lines[0])
    assert "Lindqvist" in lines[1] or "chief executive" in lines[1]
    assert "Ranks and scores by retriever" in result.out
    assert "bm25" in result.out


def test_search_shows_what_fusion_gave_before_a_named_page_was_lifted(docrag, reports):
    command = ["search", "chief executive on page 1", "--doc", "report.pdf", "--index", reports / ".docrag"]
    unlifted = docrag(*command, "--json", *FAST, "--set", "retrieval.reference_weight=0").json["hits"]
    lifted = docrag(*command, "--json", *FAST).json["hits"]
    # The rankings below the boost are the same, so what they give together is known from the search without.
    assert [hit["page"] for hit in unlifted] == [2]
    assert [(hit["page"], hit["fused"]) for hit in lifted] == [
        (1, None),  # no word of the question is on it
        (2, {"rank": 1, "score": unlifted[0]["score"]}),
    ]
    table = docrag(*command, "--explain", *FAST).out
    header = next(line for line in table.splitlines() if "where" in line).replace("┃", " ").split()
    assert header == ["#", "where", "score", "fused", "bm25", "references"]
    assert "–" in next(line for line in table.splitlines() if line.startswith("│ 1"))
    assert f"1: {unlifted[0]['score']:.3f}" in next(
        line for line in table.splitlines() if line.startswith("│ 2")
    )


def test_search_as_json_has_the_shape_that_tools_rely_on(docrag, reports):
    command = ["search", "chief executive", "--index", reports / ".docrag", "--json", *FAST]
    page = docrag(*command)
    assert set(page.json) == {"query", "hits"}
    hit = page.json["hits"][0]
    assert {"doc", "doc_id", "page", "page_label", "region", "score", "snippet", "sources"} <= set(hit)
    assert (hit["doc"], hit["page"], hit["region"]) == ("report.pdf", 2, None)
    assert set(hit["sources"]["bm25"]) == {"rank", "score"}
    assert hit["fused"] == {"rank": 1, "score": hit["score"]}
    region = docrag(*command, "--unit", "region", "-k", "1", "--explain").json
    assert len(region["hits"]) == 1
    assert set(region["hits"][0]["region"]) == {"id", "kind", "box"}
    assert len(region["hits"][0]["region"]["box"]) == 4
    assert "bm25" in [step["name"] for step in region["explain"]["steps"]]


@pytest.mark.parametrize("command", ["search", "ask"])
def test_a_report_that_cannot_be_written_does_not_lose_the_result(docrag, reports, command):
    missing = reports / "nowhere" / "out.html"
    result = docrag(
        command, "Who is the chief executive?", "--index", reports / ".docrag", "--html", missing, *FAST
    )
    assert result.code == 2
    assert "Lindqvist" in result.out
    assert f"{missing}: the report cannot be written" in result.err.replace("\n", "")
    as_json = docrag(
        command,
        "Who is the chief executive?",
        "--index",
        reports / ".docrag",
        "--html",
        missing,
        "--json",
        *FAST,
    )
    assert as_json.code == 2
    assert "error" not in as_json.json


def test_search_explains_what_was_cut(docrag, reports):
    cut = ["--set", "retrieval.cutoff.kind=fixed", "--set", "retrieval.cutoff.k=1", "--explain"]
    command = ["search", "pasta company copper", "--index", reports / ".docrag", *FAST, *cut]
    values = docrag(*command, "--json").json
    assert len(values["hits"]) == 1
    first = values["explain"]["cuts"][0]
    assert (first["ranking"], first["rank"], first["reason"]) == ("fusion", 2, "beyond the first 1")
    assert {"doc", "page", "region", "score"} < set(first)
    table = docrag(*command).out
    assert "Cut off" in table
    assert "beyond the first 1" in " ".join(table.split())


def test_search_keeps_to_documents_and_pages(docrag, reports):
    command = ["search", "pasta company copper", "--index", reports / ".docrag", "--json", *FAST]
    assert {hit["doc"] for hit in docrag(*command, "--doc", "sub/*").json["hits"]} == {"sub/notes.pdf"}
    pages = docrag(*command, "--doc", "report.pdf", "--pages", "2-3").json["hits"]
    assert {hit["page"] for hit in pages} <= {2, 3}
    unknown = docrag(*command, "--doc", "reprot.pdf")
    assert unknown.code == 1
    assert "report.pdf" in unknown.err


def test_ask_indexes_first_and_says_what_it_did(docrag, tmp_path):
    folder = write_reports(tmp_path / "reports")
    first = docrag("ask", "Who is the chief executive?", folder, *FAST)
    assert first.code == 0
    assert "2 indexed" in first.err
    second = docrag("ask", "Who is the chief executive?", folder, *FAST)
    assert "2 unchanged" in second.err
    assert first.out.splitlines()[0] == second.out.splitlines()[0]


def test_a_folder_with_a_file_that_cannot_be_read_is_asked_for_the_others(docrag, reports):
    (reports / "sub" / "broken.pdf").write_text("no PDF")
    question = "How long does the pasta boil?"
    result = docrag("ask", question, reports / "sub", "--index", reports / ".docrag", *FAST)
    assert result.code == 2
    assert "sub/broken.pdf: refused, not_pdf" in result.err
    assert "Looked at sub/notes.pdf, page 1" in result.out
    alone = docrag("ask", question, reports / "sub" / "broken.pdf", "--index", reports / ".docrag", *FAST)
    assert alone.code == 3
    assert alone.out.startswith("Not answerable")
    assert "The index is not complete" in alone.out


def test_ask_as_json_has_the_shape_that_tools_rely_on(docrag, reports):
    result = docrag("ask", "What was the revenue in 2023?", "--index", reports / ".docrag", "--json", *FAST)
    values = result.json
    assert {
        "question", "answer", "abstained", "reason", "citations", "evidence", "usage", "warnings", "trace_id",
    } <= set(values)  # fmt: skip
    for citation in values["citations"]:
        assert {"n", "doc", "doc_id", "page", "page_label", "boxes", "page_size", "quote", "support"} <= set(
            citation
        )
    assert "trace" not in values


def test_ask_without_anything_to_go_by_abstains_and_exits_with_0(docrag, reports):
    command = ["ask", "Which bank holds the pension fund?", "--index", reports / ".docrag", *FAST]
    values = docrag(*command, "--json", "--explain").json
    assert values["abstained"]
    assert (values["answer"], values["reason"]) == ("Not answerable", "not_in_documents")
    assert values["trace"]
    assert docrag(*command).out.startswith("Not answerable\n")


def test_quiet_ask_still_names_the_files_that_were_refused(docrag, reports):
    (reports / "empty.pdf").touch()
    result = docrag("ask", "Who is the chief executive?", reports, "--quiet", *FAST)
    assert result.code == 2
    assert result.err == "empty.pdf: refused, empty_file (the file has 0 bytes)\n"


def test_ask_goes_on_while_another_process_indexes(docrag, reports):
    lock = WriterLock(reports / ".docrag", command="docrag index")
    lock.acquire()
    try:
        result = docrag("ask", "Who is the chief executive?", reports, *FAST)
    finally:
        lock.release()
    assert result.code == 0
    assert "asking what is indexed so far" in result.err
    assert "Looked at report.pdf" in result.out


class ReadOnly(DocRAG):
    """An index of a user who may not write to it; root may write anywhere, so chmod alone shows nothing."""

    def index(self, *_paths, **_options):
        raise StorageRefused("opening the index for writing failed: Permission denied")


def test_an_index_that_cannot_be_written_to_is_asked_when_nothing_changed(reports, capsys):
    with ReadOnly.open(reports) as rag:
        assert bring_up_to_date(rag, [reports], Output(), password=None) == 0
    assert "cannot be written to; nothing has changed since" in capsys.readouterr().err


def test_what_an_index_that_cannot_be_written_to_lacks_is_named(reports, capsys):
    (reports / "sub" / "notes.pdf").unlink()
    text_pdf(reports / "new.pdf", pages=[["New"]])
    shutil.copy(reports / "report.pdf", reports / "same.pdf")
    with ReadOnly.open(reports) as rag:
        assert bring_up_to_date(rag, [reports], Output(quiet=True), password=None) == 0
    err = capsys.readouterr().err
    assert "not taken in: new.pdf, same.pdf, sub/notes.pdf; asking what was indexed before" in err


def test_a_folder_that_cannot_be_written_to_and_has_no_index_is_an_error(tmp_path):
    folder = write_reports(tmp_path / "reports")
    with ReadOnly.open(folder) as rag, pytest.raises(StorageRefused, match="Permission denied"):
        bring_up_to_date(rag, [folder], Output(), password=None)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be written to")
def test_a_folder_without_permission_to_write_is_asked_as_it_is(docrag, reports):
    places = [reports / ".docrag", *(reports / ".docrag").rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    try:
        result = docrag("ask", "Who is the chief executive?", reports, *FAST)
    finally:
        for place in places:
            place.chmod(0o755 if place.is_dir() else 0o644)
    assert result.code == 0
    assert "cannot be written to; nothing has changed since it was made" in result.err
    assert "Looked at report.pdf" in result.out


def test_ask_about_a_path_looks_only_there(docrag, reports):
    options = ["--index", reports / ".docrag", "--json", *FAST]
    result = docrag("ask", "Who is the chief executive?", reports / "sub", *options)
    assert {item["doc"] for item in result.json["evidence"]} <= {"sub/notes.pdf"}


def test_ask_writes_a_report_with_a_picture(docrag, reports, tmp_path):
    options = ["--set", "answer.threshold=0"]  # answer whatever comes first
    result = docrag("ask", "What was the revenue in 2023?", reports, "--html", "out.html", *FAST, *options)
    assert result.code == 0
    html = (tmp_path / "out.html").read_text("utf-8")
    assert "report.pdf" in html
    assert html.count("data:image/jpeg;base64,") >= 1
    assert "No picture" not in html


def test_a_report_about_a_file_that_is_gone_says_so(docrag, reports, tmp_path):
    (reports / "report.pdf").unlink()
    options = ["--set", "answer.threshold=0", "--index", reports / ".docrag", "--html", "out.html"]
    assert docrag("ask", "What was the revenue in 2023?", *FAST, *options).code == 0
    assert "No picture: report.pdf is not where it was indexed" in (tmp_path / "out.html").read_text("utf-8")
