"""Progress tells pages, rate, remaining time and failures, as lines where there is no terminal."""

import os

import pytest

from docrag.cli.output import Output
from docrag.cli.progress import duration, index_progress, visual_progress
from docrag.ingest.events import FileDone, FileStarted, PageFailed, PagesDone, PlanMade
from docrag.ingest.report import FileResult
from docrag.pipeline.visual_index import VisualProgress
from docrag.types import PageFailure, Reason

REFUSED = FileDone(
    FileResult("sub/bad.pdf", "", "refused", Reason.EMPTY_FILE, "bad.pdf: the file has 0 bytes")
)


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (125, "2 min 5 s"), (3600 + 12 * 60 + 40, "1 h 12 min")],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_lines_tell_rate_remaining_time_and_failures(capsys):
    clock = Clock()
    with index_progress(Output(), clock=clock) as tell:
        tell(PlanMade(3, 2, 2000))
        tell(FileStarted("a.pdf", 100, 0, 1000))
        clock.now_s = 20.0
        tell(PageFailed("a.pdf", PageFailure(7, Reason.WALL_LIMIT, "took too long")))
        clock.now_s = 40.0
        tell(PagesDone("a.pdf", 50))
    out, err = capsys.readouterr()
    assert out == ""
    # 50 of 200 pages (the second file, of the same size, is taken to have 100 too) in 40 s: 120 s remain
    assert err.splitlines() == [
        "reading 2 of 3 files",
        "a.pdf, page 7: wall_limit (took too long)",
        "0 of about 200 pages, 0.0 pages/s, 1 page failed",
        "50 of about 200 pages, 1.2 pages/s, 2 min 0 s left, 1 page failed",
    ]


def test_pages_are_no_estimate_once_every_file_is_open(capsys):
    clock = Clock()
    with index_progress(Output(), clock=clock) as tell:
        tell(PlanMade(2, 2, 2000))
        tell(FileStarted("a.pdf", 100, 0, 1000))
        tell(FileStarted("b.pdf", 7, 0, 1000))
        clock.now_s = 20.0
        tell(PagesDone("a.pdf", 50))
    assert capsys.readouterr().err.splitlines()[-1].startswith("50/107 pages, 2.5 pages/s")


def test_a_refused_file_is_named_with_its_reason(capsys):
    with index_progress(Output()) as tell:
        tell(REFUSED)
    assert capsys.readouterr().err == "sub/bad.pdf: refused, empty_file (the file has 0 bytes)\n"


def test_a_visual_pass_tells_time_from_when_its_encoder_is_loaded(capsys):
    clock = Clock()
    with visual_progress(Output(), clock=clock) as tell:
        clock.now_s = 100.0  # loading
        tell(VisualProgress(0, 20, "a.pdf"))
        clock.now_s = 140.0
        tell(VisualProgress(4, 20, "a.pdf"))
        clock.now_s = 141.0
        tell(VisualProgress(5, 20, "a.pdf"))  # too soon for another line
        clock.now_s = 154.0
        tell(VisualProgress(108, 216, "a.pdf"))
    assert capsys.readouterr().err.splitlines() == [
        "encoded 0/20 pages and regions",
        "encoded 4/20 pages and regions, 10.0 s each, 2 min 40 s left",
        "encoded 108/216 pages and regions, 2.0 a second, 54 s left",
    ]


def test_quiet_says_nothing(capsys):
    with index_progress(Output(quiet=True)) as tell:
        tell(PlanMade(1, 1, 10))
        tell(REFUSED)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("set_before", "after"), [(None, "1"), ("0", "0")])
def test_libraries_draw_no_bars_where_there_is_no_terminal_unless_told_to(monkeypatch, set_before, after):
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", set_before or "")
    if set_before is None:
        monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS")
    Output(quiet=True)
    assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == after


def test_file_names_cannot_command_the_terminal(capsys):
    with index_progress(Output()) as tell:
        tell(FileDone(FileResult("\x1b[2J.pdf", "", "refused", Reason.NOT_PDF, "[red]no[/red]")))
    assert capsys.readouterr().err == "\ufffd[2J.pdf: refused, not_pdf ([red]no[/red])\n"
