# SPDX-License-Identifier: Apache-2.0
"""Names for annotations, which cost nothing until somebody looks at an annotation.

`typing` with what it imports takes a fourth of the time that importing this package takes, and
Polars far more. Annotations are text; where `typing.get_type_hints` evaluates them, the modules
here import what is asked of them.
"""

from __future__ import annotations

import sys

__all__ = ["TYPE_CHECKING", "asyncio", "pl", "requests", "typing"]

#: Whether a type checker reads this: what is only for one is imported only then.
TYPE_CHECKING = False

if TYPE_CHECKING:
    import asyncio
    import typing

    import polars as pl

    from . import _request as requests
else:

    class _Later:
        """A module that is imported when one of its names is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> object:
            __import__(self._name)
            return getattr(sys.modules[self._name], name)

    asyncio = _Later("asyncio")
    pl = _Later("polars")
    requests = _Later("redcol._request")
    typing = _Later("typing")
