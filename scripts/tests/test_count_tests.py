# SPDX-License-Identifier: Apache-2.0
"""The log of a failed run says why each test failed, and does not drown in one test's words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SCRIPT = Path(__file__).resolve().parents[1] / "count_tests.py"


def counted(folder: Path, *failures: str) -> tuple[int, str]:
    """The exit status and the output for one failed test of pytest with each of these elements."""
    cases = "".join(
        f'<testcase classname="file" name="test_{number}">{failure}</testcase>'
        for number, failure in enumerate(failures)
    )
    (folder / "python.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    passed = '<testsuite><testcase classname="Suite" name="passes"/></testsuite>'
    for runner in ("swift", "engines"):
        (folder / f"{runner}.xml").write_text(passed)
    ended = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=60
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_a_failure_is_printed_with_the_end_of_its_message(tmp_path: Path) -> None:
    text = escape("def test():\n>   assert 1 < 0\nE   assert 1 < 0\n\nfile.py:3: AssertionError")
    status, output = counted(tmp_path, f'<failure message="assert">{text}</failure>')
    assert status == 1
    assert output == (
        "failed: file.test_0\n"
        "    def test():\n"
        "    >   assert 1 < 0\n"
        "    E   assert 1 < 0\n"
        "    \n"
        "    file.py:3: AssertionError\n"
        "2 passed, 1 failed\n"
    )


def test_what_the_runners_say_only_in_the_attribute_is_printed(tmp_path: Path) -> None:
    """Swift Testing writes no text, and a test can fail in its body and again in its fixture."""
    said = "Expectation failed: (1 → 2) == 3 // where?"
    _, output = counted(tmp_path, f"<failure message={quoteattr(said)}/><error/>")
    assert f"    {said}\n    no message\n" in output


def test_a_long_message_is_cut_at_its_beginning(tmp_path: Path) -> None:
    lines = escape("\n".join(f"line {number}" for number in range(1000)))
    wide = "ü" * 10_000 + " the reason"
    failures = (f"<failure>{text}</failure>" for text in (lines, wide))
    _, output = counted(tmp_path, *failures)
    first, second = output.split("failed: ")[1:]
    shown = first.splitlines()[1:]
    assert shown == [f"    line {number}" for number in range(970, 1000)]
    message = second.splitlines()[1]
    assert message.endswith(" the reason")
    assert 2900 < len(message.encode()) <= 3004


def twice(folder: Path, failed: int, still: int) -> tuple[int, str]:
    """What is counted if so many tests failed at first, and so many of them once more."""

    def report(name: str, cases: int, failures: int) -> None:
        text = "".join(
            f'<testcase classname="file" name="test_{number}">'
            + ("<failure>no answer came</failure>" if number < failures else "")
            + "</testcase>"
            for number in range(cases)
        )
        (folder / name).write_text(f"<testsuites><testsuite>{text}</testsuite></testsuites>")

    for runner in ("swift", "engines"):
        report(f"{runner}.xml", 1, 0)
    report("python.xml", 10, failed)
    report("python-again.xml", failed, still)
    ended = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=60
    )
    return ended.returncode, ended.stdout


def test_what_passes_in_its_second_go_is_named(tmp_path: Path) -> None:
    status, output = twice(tmp_path, failed=2, still=0)
    assert status == 0
    assert output == (
        "passed in its second go: file.test_0\n    no answer came\n"
        "passed in its second go: file.test_1\n    no answer came\n"
        "12 passed, 0 failed\n"
    )


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    status, output = twice(tmp_path, failed=2, still=1)
    assert status == 1
    assert "failed: file.test_0\n" in output
    assert output.endswith("11 passed, 1 failed\n")


def test_many_that_fail_at_first_have_failed(tmp_path: Path) -> None:
    status, output = twice(tmp_path, failed=6, still=0)
    assert status == 1
    assert output.endswith("6 passed, 6 failed\n")


def test_what_was_not_run_again_has_failed(tmp_path: Path) -> None:
    """The second go ends at its first failure."""
    status, _ = twice(tmp_path, failed=3, still=0)
    (tmp_path / "python-again.xml").write_text("<testsuites/>")
    ended = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, timeout=60
    )
    assert (status, ended.returncode) == (0, 1)
    assert ended.stdout.endswith("9 passed, 3 failed\n")


def test_a_test_that_took_its_process_with_it_has_failed(tmp_path: Path) -> None:
    twice(tmp_path, failed=1, still=0)
    report = tmp_path / "python.xml"
    died = "worker 'gw0' crashed while running 'test_0'"
    report.write_text(report.read_text().replace("no answer came", died))
    ended = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
