# SPDX-License-Identifier: Apache-2.0
"""Which kinds of Python redcol supports: checked once, before anything else is imported."""

from __future__ import annotations

import sys


def _is_subinterpreter() -> bool:
    try:  # its name since Python 3.13, and the one before
        import _interpreters as module  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        try:
            import _xxsubinterpreters as module  # type: ignore[import-not-found,unused-ignore]
        except ImportError:  # built without: there are none
            return False

    def number(identity: object) -> object:
        return identity[0] if isinstance(identity, tuple) else identity

    return number(module.get_current()) != number(module.get_main())


def check() -> None:
    """Raise ImportError where redcol would fail later, with errors that nobody could read."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ImportError(
            "redcol has not been tested with free-threaded Python, in which the GIL is off: "
            "start it with PYTHON_GIL=1 in the environment (or -X gil=1), or use a regular build."
        )
    if _is_subinterpreter():
        raise ImportError(
            "redcol runs in Python's main interpreter only, not in subinterpreters: "
            "use threads, asyncio or processes (mod_wsgi: WSGIApplicationGroup %{GLOBAL})."
        )


check()
