# SPDX-License-Identifier: Apache-2.0
"""Reads that would go on forever, or wait for what cannot come, are refused."""

from __future__ import annotations

from typing import Any

import pytest
import redis

import redcol


@pytest.mark.parametrize("stream", ["s", ["other", "s"]])
@pytest.mark.parametrize("why", [{"on_error": "dead_letter"}, {"max_deliveries": 2}])
def test_dead_letters_do_not_go_to_a_stream_that_is_read(
    url: str, any_db: redis.Redis, key: str, stream: Any, why: dict[str, Any]
) -> None:
    streams = key if stream == "s" else [f"{key}-other", key]
    any_db.xadd(key, {"n": "x"})
    for create_group in (True, False):
        with pytest.raises(redcol.InvalidArgumentError, match="dead_letter is a stream that is"):
            redcol.iter_stream(
                url,
                streams,
                group="g",
                consumer="c",
                schema={"n": int},
                dead_letter=key,
                create_group=create_group,
                **why,
            )
    assert any_db.xlen(key) == 1
    assert not any_db.xinfo_groups(key)


@pytest.mark.parametrize("arguments", [{}, {"on_idle": "stop"}, {"end_id": "9-1"}])
def test_nothing_comes_after_the_largest_id(
    url: str, any_db: redis.Redis, key: str, arguments: dict[str, Any]
) -> None:
    any_db.xadd(key, {"n": 1})
    with pytest.raises(redcol.InvalidArgumentError, match='give "\\$"'):
        redcol.iter_stream(url, key, start_id="+", **arguments)


def test_what_is_closed_is_not_connected(url: str, key: str) -> None:
    batches = redcol.iter_stream(url, key, on_idle="empty", block_ms=1)
    next(batches)
    assert batches.is_connected
    batches.close()
    assert not batches.is_connected
