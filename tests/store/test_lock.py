"""One writer at a time; a dead one never stands in the way."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docrag.errors import IndexLocked
from docrag.store.lock import FILE_NAME, STALE_AFTER_S, Owner, WriterLock

HOLD = """
import sys, time
from pathlib import Path
from docrag.store.lock import WriterLock
WriterLock(Path(sys.argv[1]), command="docrag index of the other").acquire()
print("held", flush=True)
time.sleep(60)
"""


def hold_in_child(index: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(index)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()


def write_owner(index: Path, owner: Owner, *, silent_for_s: float) -> None:
    path = index / FILE_NAME
    path.write_text(json.dumps(dataclasses.asdict(owner)))
    then = time.time() - silent_for_s
    os.utime(path, (then, then))


def test_a_second_writer_is_told_who_has_the_lock_and_what_to_do(tmp_path: Path):
    child = hold_in_child(tmp_path)
    try:
        with pytest.raises(IndexLocked) as caught:
            WriterLock(tmp_path, command="docrag index b").acquire()
    finally:
        end(child)
    assert f"process {child.pid} " in str(caught.value)
    assert "docrag index of the other" in str(caught.value)
    assert "wait until it is done" in str(caught.value)


def test_the_lock_of_a_killed_writer_is_taken_over_at_once(tmp_path: Path):
    end(hold_in_child(tmp_path))
    lock = WriterLock(tmp_path, command="docrag index b")
    lock.acquire()
    lock.release()


def test_a_second_writer_in_the_same_process_is_refused_until_the_first_releases(tmp_path: Path):
    first, second = WriterLock(tmp_path, command="one"), WriterLock(tmp_path, command="two")
    first.acquire()
    with pytest.raises(IndexLocked, match='"one"'):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()  # releasing twice is harmless


def test_a_silent_owner_on_another_machine_is_replaced_and_a_live_one_is_not(tmp_path: Path):
    elsewhere = dataclasses.replace(Owner.current("docrag index x"), host="elsewhere")
    lock = WriterLock(tmp_path, command="docrag index b")
    write_owner(tmp_path, elsewhere, silent_for_s=STALE_AFTER_S / 2)
    with pytest.raises(IndexLocked, match="on elsewhere"):
        lock.acquire()
    write_owner(tmp_path, elsewhere, silent_for_s=STALE_AFTER_S + 60)
    lock.acquire()
    lock.release()


def test_an_owner_lives_only_while_its_pid_has_its_start_time():
    me = Owner.current("docrag index x")
    assert me.is_alive(heartbeat_age_s=1e9)
    reused = dataclasses.replace(me, process_started_at=me.process_started_at - 3600)
    assert not reused.is_alive(heartbeat_age_s=0)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not dataclasses.replace(me, pid=ended.pid).is_alive(heartbeat_age_s=0)


@pytest.mark.parametrize("record", ["", "{", "[]", '{"pid": 1}', '"x"', "\x00\x00"])
def test_a_broken_record_does_not_keep_a_free_lock(tmp_path: Path, record: str):
    (tmp_path / FILE_NAME).write_text(record)
    lock = WriterLock(tmp_path, command="docrag index b")
    lock.acquire()
    assert f'"pid": {os.getpid()}' in (tmp_path / FILE_NAME).read_text()
    lock.release()
    assert (tmp_path / FILE_NAME).read_text() == ""
