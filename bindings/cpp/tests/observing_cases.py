# SPDX-License-Identifier: Apache-2.0
"""The cases of test_statuses.py about where an iterator is, how far behind, and what is missing."""

from __future__ import annotations

from statuses import CALLS, FOLLOW, GROUP, Reading, case, prepared

from servers import Server


@case("END", "redcol_iter_position")
def nothing_was_handed_over(_: str) -> int:
    with Server() as server, prepared("redcol_iter_position", server.url) as reading:
        status = reading.position()
        server.client().xadd("s", {"a": 1}, id="1-1")
        assert reading.next() == reading.position() == 0
        return status


@case("END", "redcol_iter_lag")
def the_group_has_no_lag(_: str) -> int:
    with Server() as server, prepared("redcol_iter_lag", server.url, **GROUP) as reading:
        assert reading.lag() == 0
        server.client().xgroup_destroy("s", "g")
        return reading.lag()


@case("GAP", "redcol_iter_next")
def entries_are_gone(_: str) -> int:
    with Server() as server, server.client() as db:
        db.xadd("s", {"a": 1})
        reading = Reading(server.url, **GROUP, on_gap="raise")
        assert reading.start() == reading.next() == 0
        db.xadd("s", {"a": 2})
        db.xadd("s", {"a": 3}, maxlen=1, approximate=False)
        db.client_kill_filter(_type="normal", skipme=True)
        status = reading.next()
        assert reading.next() == 0
        reading.free()
        return status


@case("NO_STREAM", "redcol_read_stream", "redcol_read_streams", "redcol_iter_connect",
      "redcol_iter_next", "redcol_iter_collect")  # fmt: skip
def the_stream_is_missing(function: str) -> int:
    with Server() as server, server.client() as db:
        options: dict[str, object] = {"connect": "later"} if "_iter_" in function else {}
        if function == "redcol_read_streams":
            options = {**FOLLOW}
        reading = Reading(server.url, **options, if_missing="raise")
        if "_iter_" in function:
            assert reading.start() == 0
        status = CALLS[function][0](reading)
        assert not db.exists("s")
        reading.free()
        return status
