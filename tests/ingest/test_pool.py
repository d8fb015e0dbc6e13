"""Whatever a file does to a worker, every page ends in a message and the neighbours are read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.ingest.faulty import FaultyReader, FaultyStart, HangingStart

from docrag.ingest.options import IngestLimits
from docrag.ingest.pool import WorkerPool
from docrag.ingest.process import StepLimit, WorkerProcess, WorkerStartError
from docrag.ingest.slot import Job
from docrag.ingest.worker import Message, Opened, Refused, Task, TaskDone
from docrag.types import Page, PageFailure, Reason

# The wall limit leaves room for a machine on which other tests run.
QUICK = IngestLimits(open_cpu_s=0.5, page_cpu_s=0.5, wall_factor=8, memory_mb=256)


def read_all(
    pool: WorkerPool, files: Iterable[Path], *, parser: str = "auto", password: str | None = None
) -> dict[str, list[Message]]:
    names = {}
    for key, path in enumerate(files):
        names[key] = path.name
        pool.submit(Job(key, path, parser, tuple(range(1, 17)), True, password))
    messages: dict[str, list[Message]] = defaultdict(list)
    n_open = len(names)
    while n_open:
        result = pool.next()
        messages[names[result.key]].append(result.message)
        n_open -= isinstance(result.message, Refused | TaskDone)
    return messages


def write(folder: Path, **documents: str) -> list[Path]:
    paths = []
    for name, text in documents.items():
        paths.append(folder / name)
        paths[-1].write_text(text)
    return paths


def outcome(messages: list[Message]) -> dict[int, str]:
    """Per page "ok" or the reason of its failure; page 0 stands for opening."""
    pages: dict[int, str] = {}
    for message in messages:
        if isinstance(message, Page):
            pages[message.page_no] = "ok"
        elif isinstance(message, PageFailure):
            pages[message.page_no] = str(message.reason)
        elif isinstance(message, Refused):
            pages[0] = str(message.reason)
    return pages


DEATHS = {
    "segv": Reason.PARSER_CRASH,
    "abort": Reason.PARSER_CRASH,
    "exit": Reason.PARSER_CRASH,
    "null": Reason.PARSER_CRASH,
    "spin": Reason.CPU_LIMIT,
    "sleep": Reason.WALL_LIMIT,
    "stubborn": Reason.WALL_LIMIT,
    "memory": Reason.MEMORY_LIMIT,
    "alloc": Reason.MEMORY_LIMIT,
    "wrapped": Reason.MEMORY_LIMIT,
    "xcpu": Reason.CPU_LIMIT,
}


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_each_way_of_dying_costs_one_page_or_one_file_and_no_neighbour(tmp_path: Path) -> None:
    documents = {"good-a": "ok\nok", "good-b": "ok"}
    expected = {"good-a": {1: "ok", 2: "ok"}, "good-b": {1: "ok"}}
    for deed, reason in DEATHS.items():
        documents[f"page-{deed}"] = f"ok\n{deed}\nok"
        expected[f"page-{deed}"] = {1: "ok", 2: str(reason), 3: "ok"}
        documents[f"open-{deed}"] = f"open: {deed}\nok"
        expected[f"open-{deed}"] = {0: str(reason)}
    with WorkerPool(FaultyReader, n_workers=3, limits=QUICK) as pool:
        messages = read_all(pool, write(tmp_path, **documents))
    assert {name: outcome(m) for name, m in messages.items()} == expected


def test_a_page_that_kills_once_is_read_at_the_second_try(tmp_path: Path) -> None:
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        messages = read_all(pool, write(tmp_path, a="ok\nonce exit\nok", b="open: once exit\nok"))
        assert pool.n_crashes == 2
    assert outcome(messages["a"]) == {1: "ok", 2: "ok", 3: "ok"}
    assert outcome(messages["b"]) == {1: "ok"}


def test_a_file_that_kills_the_first_parser_is_opened_with_the_second(tmp_path: Path) -> None:
    paths = write(tmp_path, a="open: first exit\nok")
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        assert outcome(read_all(pool, paths, parser="auto")["a"]) == {1: "ok"}
        assert outcome(read_all(pool, paths, parser="pymupdf")["a"]) == {0: "parser_crash"}


def test_python_errors_are_failures_with_a_reason_and_cost_no_worker(tmp_path: Path) -> None:
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        messages = read_all(
            pool,
            write(tmp_path, a="raise\nunreadable\ndisk\nok", b="open: raise\nok", c="open: disk\nok", d=""),
        )
        assert pool.n_crashes == 0
    assert outcome(messages["a"]) == {1: "page_unreadable", 2: "page_unreadable", 3: "io_error", 4: "ok"}
    assert outcome(messages["b"]) == {0: "xref_unrecoverable"}
    assert outcome(messages["c"]) == {0: "io_error"}
    assert outcome(messages["d"]) == {0: "zero_pages"}
    assert "ValueError: the cow is out" in str(messages["a"])


def test_noise_on_stdout_does_not_disturb_the_results(tmp_path: Path) -> None:
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        assert outcome(read_all(pool, write(tmp_path, a="print\nok"))["a"]) == {1: "ok", 2: "ok"}


def test_a_worker_runs_no_code_of_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dataclasses", "pickle", "types", "docrag"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('code of the folder ran')")
    monkeypatch.chdir(tmp_path)
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        assert outcome(read_all(pool, write(tmp_path, a="ok"))["a"]) == {1: "ok"}


def test_a_file_whose_every_page_kills_is_given_up_after_some_workers(tmp_path: Path) -> None:
    limits = QUICK.model_copy(update={"max_crashes": 3})
    with WorkerPool(FaultyReader, n_workers=1, limits=limits) as pool:
        messages = read_all(pool, write(tmp_path, a="\n".join(["ok"] + ["exit"] * 9), b="ok"))
        assert pool.n_crashes == 3
    assert outcome(messages["a"]) == {1: "ok", **dict.fromkeys(range(2, 11), "parser_crash")}
    assert outcome(messages["b"]) == {1: "ok"}


def test_pages_that_a_file_no_longer_has_have_failed(tmp_path: Path) -> None:
    (path,) = write(tmp_path, a="shrink\nok\nok")
    messages: list[Message] = []
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        pool.submit(Job(0, path, "auto", (1,), True))
        pool.submit(Job(0, path, "auto", (2, 3), False))
        while sum(message == TaskDone() for message in messages) < 2:
            messages.append(pool.next().message)
    assert outcome(messages) == {1: "ok", 2: "changed_while_reading", 3: "changed_while_reading"}
    assert "page 2 is gone: the file has 1 page now" in str(messages)


def test_opening_says_what_the_file_is_before_its_first_page(tmp_path: Path) -> None:
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        opened, page, done = read_all(pool, write(tmp_path, a="ok"))["a"]
    assert isinstance(opened, Opened)
    assert (opened.n_pages, opened.title, opened.parser) == (1, "A title", "faulty")
    assert isinstance(page, Page)
    assert done == TaskDone()


def test_a_password_opens_a_file_and_shows_up_nowhere(tmp_path: Path) -> None:
    paths = write(tmp_path, a="open: secret xyzzy\nok")
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK) as pool:
        assert outcome(read_all(pool, paths)["a"]) == {0: "encrypted"}
        messages = read_all(pool, paths, password="xyzzy")["a"]
        if sys.platform == "linux":
            pids = subprocess.run(
                ["ps", "--ppid", str(os.getpid()), "-o", "pid="], capture_output=True, text=True, check=True
            ).stdout.split()
            for pid in pids:
                if Path(f"/proc/{pid}/cmdline").exists():
                    assert b"xyzzy" not in Path(f"/proc/{pid}/cmdline").read_bytes()
                    assert b"xyzzy" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert outcome(messages) == {1: "ok"}
    assert "xyzzy" not in repr(messages)
    assert "xyzzy" not in repr(Job(0, paths[0], "auto", (1,), True, "xyzzy"))
    assert "xyzzy" not in repr(Task("a", "auto", (1,), "xyzzy"))


def test_workers_are_replaced_after_some_pages(tmp_path: Path) -> None:
    with WorkerPool(FaultyReader, n_workers=1, limits=QUICK, recycle_after_pages=2) as pool:
        before = [process.pid for process in wait_for_processes(pool)]
        messages = read_all(pool, write(tmp_path, a="ok\nok", b="ok"))
        after = [process.pid for process in wait_for_processes(pool)]
    assert outcome(messages["b"]) == {1: "ok"}
    assert before != after


def wait_for_processes(pool: WorkerPool) -> list[WorkerProcess]:
    while not (processes := pool.processes()):
        pass
    return processes


def test_closing_ends_hung_workers_at_once(tmp_path: Path) -> None:
    slow = IngestLimits(page_cpu_s=600)
    (path,) = write(tmp_path, a="ok\nstubborn")
    with WorkerPool(FaultyReader, n_workers=1, limits=slow) as pool:
        pool.submit(Job(0, path, "auto", (1, 2), True))
        assert isinstance(pool.next().message, Opened)
        (process,) = pool.processes()
    assert not process.is_alive()


def test_a_worker_that_cannot_start_is_one_clear_error() -> None:
    with (
        pytest.raises(WorkerStartError, match=r"(?s)the model file is gone.*docrag doctor"),
        WorkerPool(FaultyStart, n_workers=1, limits=QUICK) as pool,  # type: ignore[arg-type]
    ):
        pool.next()


def test_closing_ends_a_worker_that_hangs_while_it_starts() -> None:
    with WorkerPool(HangingStart, n_workers=1, limits=QUICK) as pool:  # type: ignore[arg-type]
        (process,) = wait_for_processes(pool)
    assert not process.is_alive()


def test_a_worker_that_hangs_while_it_starts_is_one_clear_error() -> None:
    process = WorkerProcess(HangingStart, QUICK)  # type: ignore[arg-type]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            process.check()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(WorkerStartError, match=r"took more than 0\.5 s(?s:.)*docrag doctor"):
            process.wait_until_ready(StepLimit(cpu_s=60.0, wall_s=0.5))
    finally:
        done.set()
        watcher.join()
    assert not process.is_alive()
