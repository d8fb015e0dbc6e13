"""`ls`, `doctor`, `show` and `config show`."""

from __future__ import annotations

import json
import shutil

from PIL import Image
from tests.cli.cli_support import FAST


def test_show_begins_with_the_first_page(docrag, reports, tmp_path):
    result = docrag("show", reports / "report.pdf", *FAST)
    assert result.code == 0
    assert result.out.startswith("page 1, ")
    assert (tmp_path / "report-p1.png").is_file()


def test_ls_lists_documents(docrag, reports):
    result = docrag("ls", "--index", reports / ".docrag")
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert rows[1][:2] == ["report.pdf", "3"]
    assert rows[2][:2] == ["sub/notes.pdf", "1"]
    assert "2 documents, 4 pages" in result.err


def test_ls_says_that_files_are_copies_of_a_listed_one(docrag, reports):
    shutil.copy(reports / "report.pdf", reports / "sub" / "copy.pdf")
    docrag("index", reports, *FAST)
    result = docrag("ls", "--index", reports / ".docrag", *FAST)
    assert "copy.pdf" not in result.out
    assert result.err == "2 documents, 4 pages; 1 more file is a copy of one of these, named by --json\n"


def test_ls_as_json_accounts_for_every_page(docrag, reports):
    documents = docrag("ls", "--index", reports / ".docrag", "--json").json["documents"]
    assert [(d["doc"], d["pages_declared"]) for d in documents] == [("report.pdf", 3), ("sub/notes.pdf", 1)]
    for document in documents:
        failed = len(document["pages_failed"])
        assert document["pages_indexed"] + failed == document["pages_declared"]


def test_doctor_is_content_with_a_good_index(docrag, reports):
    result = docrag("doctor", reports, "--json", *FAST)
    checks = {check["name"]: check for check in result.json["checks"]}
    assert (result.code, result.json["problems"]) == (0, 0)
    assert "2 documents, 4 pages, no text vectors" in checks["index"]["detail"]


def test_doctor_says_what_is_wrong_and_how_to_mend_it(docrag, reports):
    result = docrag("doctor", reports)  # asks for vectors, which this index has not
    assert result.code == 2
    assert "encoder of index" in result.out
    assert "→ use the configuration that the index was made with" in result.out


def test_doctor_names_what_others_put_beside_the_segments(docrag, reports):
    (reports / ".docrag" / "segments" / "backup").mkdir(parents=True)
    result = docrag("doctor", reports, "--json", *FAST)
    checks = {check["name"]: check for check in result.json["checks"]}
    assert (result.code, checks["not of the index"]["state"]) == (0, "note")
    assert checks["not of the index"]["detail"].endswith("segments: backup")


def test_doctor_reports_a_damaged_manifest(docrag, reports):
    (reports / ".docrag" / "manifest.json").write_text("{")
    result = docrag("doctor", reports, *FAST)
    assert result.code == 2
    assert "not valid JSON" in result.out


def test_show_draws_the_page_and_lists_its_regions(docrag, reports):
    result = docrag("show", reports / "report.pdf", "-p", 2, "--dpi", 72, *FAST)
    assert result.code == 0
    assert "The company employed 87 people" in result.out
    assert "picture written to report-p2.png" in result.out
    with Image.open("report-p2.png") as picture:
        assert picture.size == (595, 842)
        assert len(picture.getcolors(maxcolors=1 << 16)) > 10  # drawn over in colours


def test_show_as_json_gives_words_with_boxes(docrag, reports):
    result = docrag("show", reports / "report.pdf", "-p", 2, "--out", "x.png", "--json", "--words", *FAST)
    values = result.json
    assert values["image"] == "x.png"
    words = {word["text"]: word["box"] for word in values["words"]}
    x0, y0, x1, y1 = words["Lindqvist."]
    assert 0 < x0 < x1 < values["width_pt"]
    assert 0 < y0 < y1 < values["height_pt"]


def test_show_refuses_a_page_that_is_not_there(docrag, reports):
    result = docrag("show", reports / "report.pdf", "-p", 9, *FAST)
    assert result.code == 1
    assert "has 3 pages, there is no page 9" in result.err


def test_config_show_tells_values_and_origins(docrag, tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text("ingest:\n  ocr_dpi: 200\n")
    monkeypatch.setenv("DOCRAG_INGEST__OCR", "never")
    result = docrag("config", "show", "--origin", "--config", "my.yaml", "--set", "ingest.layout=fast")
    rows = {line.split()[0]: line.split()[1:] for line in result.out.splitlines() if line}
    assert rows["ingest.ocr_dpi"] == ["200", "my.yaml:2:3"]
    assert rows["ingest.ocr"] == ["never", "DOCRAG_INGEST__OCR"]
    assert rows["ingest.layout"] == ["fast", "--set", "ingest.layout"]
    assert rows["ingest.parser"] == ["auto", "default"]


def test_config_show_prints_a_file_that_can_be_used(docrag, tmp_path):
    (tmp_path / "copy.yaml").write_text(docrag("config", "show", "--config", "fast").out)
    first = docrag("config", "show", "--config", "fast", "--json")
    second = docrag("config", "show", "--config", "copy.yaml", "--json")
    assert first.json == second.json
    assert json.loads(first.out)["settings"]["ingest"]["layout"] == "fast"


def test_config_show_masks_keys(docrag, monkeypatch):
    monkeypatch.setenv("MY_KEY", "canary")
    options = ["--set", "embed.kind=openai", "--set", "embed.model=m", "--set", "embed.api_key=${MY_KEY}"]
    for form in ([], ["--json"], ["--origin"]):
        result = docrag("config", "show", *options, *form)
        assert result.code == 0
        assert "canary" not in result.out + result.err
        assert "***" in result.out
