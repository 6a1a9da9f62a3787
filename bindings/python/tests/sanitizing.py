# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for scripts/sanitize.sh: what this process needs to load a sanitized library is
needed by the Python programs that it starts, too, and by nothing else: no compiler, no server.
"""

from __future__ import annotations

import os
import sys

os.environ.pop("LD_PRELOAD", None)
sys.executable = os.environ["REDCOL_PYTHON"]
