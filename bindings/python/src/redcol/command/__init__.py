# SPDX-License-Identifier: Apache-2.0
"""The command ``redcol``, for people and for scripts: Redis Streams from a shell.

It needs the packages of ``pip install "redcol[cli]"``. Modules of verbs import click alone, so that
``redcol --help`` is quick: Polars, rich and the libraries for pictures are imported when used.
"""

from __future__ import annotations

import sys

#: What to do about a package that is missing.
INSTALL = 'install the command\'s packages with: pip install "redcol[cli]"'


def main() -> int:
    """Run the command with the process's arguments. Returns its exit code."""
    try:
        import click  # noqa: F401
    except ImportError:
        print(f"redcol: there is no package click: {INSTALL}", file=sys.stderr)
        return 1
    from .run import run

    return run(sys.argv[1:])
