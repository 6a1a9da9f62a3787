# SPDX-License-Identifier: Apache-2.0
"""Adds up the runners' reports; exits with 1 if a test or a runner failed, or a runner ran none.

usage: count_tests.py DIRECTORY [NAME OF A RUNNER THAT FAILED]...
"""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

RUNNERS = {"swift": "swift*.xml", "python": "python*.xml"}


def main(directory: str, *failed_runners: str) -> int:
    """Print what failed and was skipped, then the counts; gives the exit status."""
    wrong = [f"{runner} did not end well" for runner in failed_runners]
    passed = failed = 0
    skipped: list[str] = []
    for runner, pattern in RUNNERS.items():
        runner_cases = 0
        for report in Path(directory).glob(pattern):
            for case in ElementTree.parse(report).iter("testcase"):
                runner_cases += 1
                name = f"{case.get('classname')}.{case.get('name')}"
                if case.find("failure") is not None or case.find("error") is not None:
                    failed += 1
                    print(f"failed: {name}")
                elif (reason := case.find("skipped")) is not None:
                    skipped.append(f"{name}: {reason.get('message') or reason.text or ''}")
                else:
                    passed += 1
        if runner_cases == 0:
            wrong.append(f"{runner} ran no test")
    for line in skipped:
        print(f"skipped: {line}")
    if skipped and os.environ.get("CI"):
        wrong.append("where everything is installed, no test may be skipped")
    for line in wrong:
        print(f"error: {line}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
