# SPDX-License-Identifier: Apache-2.0
"""The log: the logger "redcol" in Python."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

import redcol
from grouping import GROUP, add
from sentinels import wait_until
from servers import Server

PACKAGE = Path(redcol.__file__).parents[1]


class Failing(logging.Handler):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.seen = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.seen += 1
        raise self.error


def test_connecting_is_logged_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    with Server(args=("--requirepass", "se,cret")) as locked:
        url = locked.url.replace("unix://", "unix://:se%2Ccret@")
        with caplog.at_level(logging.DEBUG, "redcol"):
            redcol.read_stream(url, "none")
    lines = [record for record in caplog.records if record.name == "redcol"]
    assert any("connected to" in record.getMessage() for record in lines)
    assert all(record.topic == "connection" for record in lines)
    assert "cret" not in caplog.text


def test_the_same_thing_is_said_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    with Server() as fresh, caplog.at_level(logging.DEBUG, "redcol"):
        for _ in range(50):
            redcol.read_stream(fresh.url, "none")
        said = [record for record in caplog.records if str(fresh.socket_path) in record.message]
    # As many as there were seconds; 50 connections take much less.
    assert 1 <= len(said) < 25


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_handler_ends_the_call(error: type[BaseException]) -> None:
    handler = Failing(error())
    logger = logging.getLogger("redcol")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with Server() as fresh, pytest.raises(error):
            redcol.read_stream(fresh.url, "none")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert handler.seen == 1


def test_ctrl_c_while_a_line_is_written_is_not_lost() -> None:
    class Interrupting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGINT)

    handler = Interrupting()
    logger = logging.getLogger("redcol")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with Server() as fresh, pytest.raises(KeyboardInterrupt):
            # Without the interrupt this would wait forever.
            redcol.read_stream(fresh.url, "none", block_ms=0)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_threads_in_the_library_do_not_disturb_the_end_of_python(server: Server) -> None:
    program = """
import logging, sys, threading
sys.path.insert(0, sys.argv[1])
import redcol
logging.basicConfig(level=logging.DEBUG, stream=open("/dev/null", "w"))
def work():
    while True:
        try:
            redcol.read_stream(sys.argv[2], "none")
        except redcol.RedcolError:
            pass
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
redcol.read_stream(sys.argv[2], "none")
"""
    for _ in range(5):
        command = [sys.executable, "-c", program, str(PACKAGE), server.url]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, "")


def test_lines_come_from_several_threads_at_once() -> None:
    seen: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    handler = Keeping()
    logger = logging.getLogger("redcol")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with Server() as one, Server() as two:

            def read(url: str) -> None:
                for _ in range(200):
                    redcol.read_stream(url, "none")

            threads = [threading.Thread(target=read, args=[url]) for url in (one.url, two.url) * 2]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert any(str(one.socket_path) in line for line in seen)
            assert any(str(two.socket_path) in line for line in seen)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


INTERRUPTED_BEFORE_THE_FIRST_LINE = """
import signal, sys, threading, time
import redcol

def interrupt():
    # Nobody else runs Python until this thread waits. The main thread connects in the meantime, and
    # is about to enter the function that logs it when the signal comes.
    entered.wait()
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass
    signal.pthread_kill(main, signal.SIGINT)

redcol.read_stream(sys.argv[1], "none")  # imports all that a read needs
report = sys.unraisablehook

def dropped(unraisable):
    print("dropped", unraisable.err_msg, unraisable.object)
    report(unraisable)

sys.unraisablehook = dropped
time.sleep(1.1)  # the same line is written again after a second
main, entered = threading.get_ident(), threading.Event()
threading.Thread(target=interrupt, daemon=True).start()
sys.setswitchinterval(100)
entered.set()
try:
    redcol.read_stream(sys.argv[1], "none", block_ms=0)  # forever, if nothing ends it
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_before_the_first_line_of_the_logger_is_not_lost() -> None:
    with Server() as fresh:
        for _ in range(10):  # on a busy machine the signal may come at another place
            done = subprocess.run(
                [sys.executable, "-c", INTERRUPTED_BEFORE_THE_FIRST_LINE, fresh.url],
                env={"PYTHONPATH": str(PACKAGE)} | os.environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.stdout.endswith("interrupted\n"), done.stderr
            assert done.stderr == ""
            if "_write_log" in done.stdout:  # Python has dropped the interrupt
                break
        else:
            pytest.fail("no signal came before the first line of the logger")


def test_other_errors_that_nobody_can_catch_are_shown(server: Server) -> None:
    program = """
import sys
import redcol

redcol.read_stream(sys.argv[1], "none")

class Broken:
    def __del__(self):
        raise KeyboardInterrupt("shown")

Broken()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, server.url],
        env={"PYTHONPATH": str(PACKAGE)} | os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "KeyboardInterrupt: shown" in done.stderr


def test_claims_and_groups_that_are_made_again_are_logged(
    caplog: pytest.LogCaptureFixture, url: str, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, range(3))
    any_db.xgroup_create(key, "g", id="0")
    any_db.xreadgroup("g", "gone", {key: ">"})
    with (
        caplog.at_level(logging.INFO, "redcol"),
        redcol.iter_stream(
            url, key, **GROUP, claim_idle_ms=0, on_idle="empty", block_ms=50
        ) as batches,
    ):
        assert len(next(batches)) == 3
        any_db.xgroup_destroy(key, "g")
        line = f'of stream "{key}" was gone, and was created again'
        wait_until(lambda: next(batches) is None or line in caplog.text)
        assert "claimed 3 entries that others had held for 0 ms or more" in caplog.text
        levels = {record.levelname for record in caplog.records if "again at" in record.message}
        assert levels == {"WARNING"}
