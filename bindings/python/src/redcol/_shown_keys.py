# SPDX-License-Identifier: Apache-2.0
r"""Keys, and how lists show them: with \xNN for NUL and for bytes that are not UTF-8."""

from __future__ import annotations

from .errors import UnsupportedError


def asked_apart(chosen: bytes | list[bytes]) -> list[bytes | list[bytes]]:
    """What to ask for, so that `of_row` knows the key of each row."""
    if not isinstance(chosen, list):
        return [chosen]
    alone = [[key] for key in chosen if _is_shown_otherwise(key)]
    together = [key for key in chosen if not _is_shown_otherwise(key)]
    return [together, *alone] if together or not alone else list(alone)


def of_row(shown: str, asked: bytes | list[bytes]) -> str | bytes:
    """The key of a row, which was asked for with `asked`, one of what `asked_apart` returns."""
    if isinstance(asked, list) and len(asked) == 1:
        return _decoded(asked[0])
    if not isinstance(asked, list) and "\\x" in shown:
        raise UnsupportedError(
            f"The pattern finds the key {shown!r}, which may not be UTF-8: give such keys in a "
            "list.",
            stream=shown,
        )
    return shown


def in_order(stream: str | bytes) -> bytes:
    """What keys are sorted by."""
    return stream.encode() if isinstance(stream, str) else stream


def _decoded(key: bytes) -> str | bytes:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key


def _is_shown_otherwise(key: bytes) -> bool:
    """Whether a list shows the key with escapes, or as it shows another one."""
    text = _decoded(key)
    return not isinstance(text, str) or "\0" in text or "\\x" in text
