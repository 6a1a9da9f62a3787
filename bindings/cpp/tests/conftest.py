# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package check after each test holds for these, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "python/tests"))

from leaks import no_leaks  # noqa: F401
