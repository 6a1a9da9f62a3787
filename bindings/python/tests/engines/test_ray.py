# SPDX-License-Identifier: Apache-2.0
"""Streams as datasets of a real, local Ray; and Dask over partitions."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import redcol
from proxy import Faults, Proxy
from servers import REDIS_7, Server

SOURCES = Path(__file__).parents[2] / "src"
PAGE = Path(__file__).parents[4] / "docs/ray.md"
SCHEMA = {"n": int, "name": str}
ROWS = 5_000
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def local_ray() -> Iterator[object]:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCES), os.environ.get("PYTHONPATH", "")])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        logging_level="error",
        _node_ip_address="127.0.0.1",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(REDIS_7, tcp=True) as started, started.client() as db:
        for stream in ("s:a", "s:b"):
            pipeline = db.pipeline(transaction=False)
            for number in range(ROWS):
                pipeline.xadd(stream, {"n": number, "name": f"é{number}"}, id=f"{number + 1}-0")
            pipeline.execute()
        yield started


def test_a_dataset_is_what_the_stream_is(local_ray, server):
    from redcol.ray import read_redcol

    ds = read_redcol(server.url, "s:a", schema=SCHEMA, parallelism=4)
    table = pa.concat_tables(local_ray.get(ds.to_arrow_refs()))
    whole = redcol.read_stream(server.url, "s:a", schema={"n": pl.Int64, "name": pl.String})
    assert pl.DataFrame(table).sort("_ts").equals(whole)
    assert ds.count() == ROWS
    # Again, when there are more entries: the same rows.
    with server.client() as db:
        db.xadd("s:a", {"n": 1, "name": "new"})
        assert ds.sum("n") == sum(range(ROWS))
        db.xtrim("s:a", minid=1, approximate=False)
        last = db.xrevrange("s:a", count=1)[0][0]
        db.xdel("s:a", last)


def test_several_streams(local_ray, server):
    from redcol.ray import read_redcol

    ds = read_redcol(
        server.url, "s:*", schema={"name": pl.String}, key_column="key", include_id=False, end_id=20
    )
    rows = ds.take_all()
    assert sorted({row["key"] for row in rows}) == ["s:a", "s:b"]
    assert sorted(rows[0]) == ["_ts", "key", "name"]
    assert len(rows) == 40
    assert read_redcol(server.url, "none", schema=SCHEMA).count() == 0


def test_writing(local_ray, server):
    from redcol.ray import write_redcol

    ds = local_ray.data.range(1_000, override_num_blocks=4)
    write_redcol(ds, server.url, "written")
    written = redcol.read_stream(server.url, "written", schema={"id": pl.Int64})
    assert sorted(written["id"]) == list(range(1_000))


def test_arguments(local_ray, server):
    from redcol.ray import read_redcol, write_redcol

    with redcol.connect(server.url) as client:
        for wrong in (client, None):
            with pytest.raises(redcol.InvalidArgumentError, match="url"):
                read_redcol(wrong, "s", schema=SCHEMA)
            with pytest.raises(redcol.InvalidArgumentError, match="url"):
                write_redcol(local_ray.data.range(1), wrong, "s")
    with pytest.raises(redcol.InvalidArgumentError, match="schema"):
        read_redcol(server.url, "s", schema=None)
    with pytest.raises(redcol.InvalidArgumentError, match="parallelism"):
        read_redcol(server.url, "s", schema=SCHEMA, parallelism=0)
    for name, wrong in (
        *(("stream", 5), ("schema", 5), ("on_error", "stop")),
        *(("key_column", 5), ("key_column", "n"), ("key_column", "_id")),
    ):
        given = {"stream": "s:a", "schema": SCHEMA, name: wrong}
        with pytest.raises(redcol.InvalidArgumentError, match=name):
            read_redcol(server.url, **given)
    with server.client() as db:
        rights = ("+xinfo", "+xrange", "+hello", "+client")
        db.execute_command("ACL", "SETUSER", "one", "on", ">hush", "~s:a", *rights)
    url = server.url.replace("://", "://one:hush@")
    assert read_redcol(url, "s:a", schema=SCHEMA).count() == ROWS


def test_a_worker_that_is_killed_is_replaced(local_ray, server, tmp_path):
    """Ray repeats its task: the same rows, once."""
    from redcol.ray import read_redcol

    once = tmp_path / "once"

    def killed(block: pa.Table) -> pa.Table:
        try:
            once.touch(exist_ok=False)
        except FileExistsError:
            return block
        os.kill(os.getpid(), signal.SIGKILL)
        return block

    ds = read_redcol(server.url, "s:b", schema=SCHEMA, parallelism=4)
    ds = ds.map_batches(killed, batch_size=None, batch_format="pyarrow")
    assert sorted(row["n"] for row in ds.take_all()) == list(range(ROWS))
    assert once.exists()


def test_connections_that_are_cut(local_ray, server):
    """The first connections of the tasks end in the middle of their entries."""
    from redcol.ray import read_redcol

    def plan(number: int) -> Faults:
        return Faults(end_after=8_000, since=b"XRANGE") if number < 8 else Faults()

    with Proxy(server.socket_path, plan) as proxy:
        ds = read_redcol(proxy.url, "s:b", schema=SCHEMA, parallelism=4)
        assert sorted(row["n"] for row in ds.take_all()) == list(range(ROWS))
        assert proxy.accepted > 8


def test_errors_and_secrets(local_ray, server):
    from redcol.ray import RedcolDatasource, read_redcol

    with pytest.raises(Exception, match="does not fit Int64"):
        read_redcol(server.url, "s:b", schema={"name": int}).materialize()
    with server.client() as db:
        db.execute_command("ACL", "SETUSER", "app", "on", ">hush", "~*", "+@all")
    url = server.url.replace("://", "://app:hush@")
    ds = read_redcol(url, "s:b", schema=SCHEMA)
    assert ds.count() == ROWS
    shown = [str(ds), repr(ds), ds.stats(), repr(RedcolDatasource([]).get_read_tasks(1))]
    assert "hush" not in "".join(shown)


def test_the_blocks_of_the_page(local_ray):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    with Server(REDIS_7, tcp=True) as server, server.client() as db:
        for index in range(2):
            fields = {"user_id": f"user_{index}", "value": (index + 1) * 10}
            db.xadd("events", fields, id=f"{1_704_067_200_000 + index}-0")
        for text in blocks:
            text = text.replace("redis://localhost", server.url)
            exec(compile(text, PAGE.name, "exec"), names)
    # Ray keeps the lambda of a block, and with it all that the blocks have.
    names.clear()
