# SPDX-License-Identifier: Apache-2.0
"""The kinds of arguments that the command takes: positions, durations, sizes and schemas."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    from click.shell_completion import CompletionItem

    IntegerType: TypeAlias = click.ParamType[int]
    TextType: TypeAlias = click.ParamType[str]
    AnyType: TypeAlias = click.ParamType[Any]
else:  # older versions of click have no parameter there
    IntegerType = TextType = AnyType = click.ParamType

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Duration(IntegerType):
    """``10m``, ``1h30m``, ``500ms``: milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The milliseconds."""
        if isinstance(value, int):
            return value
        found = milliseconds(value)
        if found is None:
            self.fail(f"{value!r} is not a time such as 500ms, 30s, 10m, 1h30m or 2d.", param, ctx)
        return found


class Size(IntegerType):
    """``64M``, ``1G``: bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+)([kmg]?)(i?b)?", value, re.IGNORECASE)
        if found is None:
            self.fail(f"{value!r} is not a size such as 500K, 64M or 1G.", param, ctx)
        return int(found[1]) * _SIZES[found[2].lower()]


class Position(TextType):
    """A place in a stream: an id, a time, or how long ago."""

    name = "position"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """An entry id, its milliseconds, or one of ``-``, ``+`` and ``$``."""
        if value in ("-", "+", "$") or re.fullmatch(r"\d+(-\d+)?", value):
            return str(value)
        now = time.time_ns() // 1_000_000
        if value == "now":
            return str(now)
        if value[0:1] == "-" and (ago := milliseconds(value[1:])) is not None:
            return str(max(now - ago, 0))
        moment = _moment(value.removeprefix("@"))
        if moment is None:
            self.fail(
                f"{value!r} is not an entry id, a time such as 2024-01-31T12:00, or how long ago, "
                "such as -10m.",
                param,
                ctx,
            )
        return str(moment)


class SchemaText(AnyType):
    """``user:str,value:i64,at:datetime[ms]``: columns and their dtypes."""

    name = "schema"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The columns as :func:`redcol.read_stream` takes them."""
        if not isinstance(value, str) or value == "infer":
            return value
        from .schema import parse

        try:
            return parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class StreamName(TextType):
    """A stream's key, which shells complete."""

    name = "stream"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The key."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The streams of the server that begin so; none if it does not answer at once."""
        from click.shell_completion import CompletionItem

        from ..errors import RedcolError
        from ..lists import list_streams
        from .session import Session

        escaped = re.sub(r"([*?\[\]\\])", r"\\\1", incomplete)
        url = Session().server_url()
        limits = {"connect_timeout_ms": 500, "timeout_ms": 500}
        try:
            found = list_streams(url, f"{escaped}*", **limits)["stream"].to_list()
        except RedcolError:
            found = []
        return [CompletionItem(stream) for stream in found]


DURATION, SIZE, POSITION, SCHEMA = Duration(), Size(), Position(), SchemaText()
STREAM = StreamName()


def milliseconds(text: str) -> int | None:
    """The milliseconds of ``1h30m``; None if it is no duration."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _moment(text: str) -> int | None:
    """The milliseconds of a time: ISO 8601 (UTC if it names no zone), or seconds since 1970."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return round(float(text) * 1_000)
    from datetime import datetime, timezone

    try:
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1_000)
