# SPDX-License-Identifier: Apache-2.0
"""Sentinels and servers that speak TLS, to their clients and to each other."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

import redcol
from grouping import GROUP, SCHEMA
from sentinels import SERVICE, Sentinel, wait_until
from servers import free_port
from tls_files import TLSServer, files


@pytest.fixture
def master() -> Iterator[TLSServer]:
    with TLSServer() as server:
        yield server


@pytest.fixture
def port(master: TLSServer) -> Iterator[int]:
    """The port for TLS of a Sentinel that knows the master by its own."""
    found = free_port()
    words = files().arguments()
    settings = [f"{name[2:]} {value}" for name, value in zip(words[::2], words[1::2], strict=True)]
    sentinel = Sentinel(master.tls_port, (f"tls-port {found}", "tls-replication yes", *settings))
    try:
        wait_until(lambda: "flags" in sentinel.ask("MASTER", SERVICE))
        yield found
    finally:
        sentinel.stop()


def url(port: int, authority: str) -> str:
    return f"rediss+sentinel://127.0.0.1:{port}/{SERVICE}?ssl_ca_certs={authority}"


def test_reading_and_writing(master: TLSServer, port: int) -> None:
    with redcol.connect(url(port, files().authority.file)) as client:
        redcol.write_stream(client, pl.DataFrame({"n": [1, 2]}), "s")
        assert redcol.read_stream(client, "s", schema=SCHEMA)["n"].to_list() == [1, 2]
        with redcol.iter_stream(client, "s", **GROUP, schema=SCHEMA, auto_ack=True) as batches:
            assert next(batches)["n"].to_list() == [1, 2]
            with master.client() as db:
                db.client_kill_filter(_type="normal", skipme=True)
                db.xadd("s", {"n": 3})
            assert next(batches)["n"].to_list() == [3], "the Sentinel is asked again"


def test_a_certificate_that_is_not_trusted(port: int) -> None:
    with pytest.raises(redcol.TLSError, match="ssl_ca_certs"):
        redcol.connect(url(port, files().other_authority.file))


def test_a_sentinel_that_is_asked_without_tls(port: int) -> None:
    with pytest.raises(redcol.RedcolError, match="rediss"):
        redcol.connect(f"redis+sentinel://127.0.0.1:{port}/{SERVICE}", connect_timeout_ms=5_000)
