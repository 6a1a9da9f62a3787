# SPDX-License-Identifier: Apache-2.0
"""Servers of every kind, and what is shown of how they are reached."""

from __future__ import annotations

import contextlib
import io

import pytest
from test_spark_streaming import fill

import sparks
from clusters import Cluster
from sentinels import Sentinels
from servers import Server
from tls_files import TLSServer, files

pytestmark = pytest.mark.filterwarnings("ignore")
PASSWORD = "open-sesame-4711"


def copy(url: str, streams: str, target: str, **options) -> int:
    """Read streams, write what is in them to another one, and count that."""
    frame = sparks.read(url, streams, "_key string, n long", rowsPerPartition=50, **options)
    writer = frame.select("n").write.format("redcol").options(url=url, stream=target, **options)
    writer.mode("append").save()
    return sparks.read(url, target, "n long", **options).count()


def test_tls():
    with TLSServer() as server, server.client() as db:
        fill(db, "s", range(200))
        url = f"rediss://127.0.0.1:{server.tls_port}"
        assert copy(url, "s", "t", sslCaCerts=str(files().authority.file)) == 200
        with pytest.raises(Exception, match="certificate"):
            sparks.read(url, "s", "n long").count()


def test_sentinels():
    with Sentinels() as service:
        with service.db() as db:
            fill(db, "s", range(200))
        assert copy(service.url, "s", "t") == 200


def test_a_cluster(tmp_path):
    with Cluster() as cluster:
        names = [cluster.key_at(node, "even") for node in cluster.primaries]
        for name in names:
            with cluster.db(name) as db:
                fill(db, name, range(100))
        total = 100 * len(names)
        assert copy(cluster.url, ",".join(names), "copy") == total
        frame = sparks.follow(cluster.url, "even*", "n long", startingOffsets="earliest")
        sparks.run_once(frame, tmp_path)
        assert len(sparks.rows(tmp_path, "n")) == total


def test_credentials_are_shown_nowhere(tmp_path):
    """Not in plans, errors, what is printed, nor in what the UI and the history server show."""
    spark, shown = sparks.session(), io.StringIO()
    with Server(tcp=True, args=("--requirepass", PASSWORD)) as server:
        with server.client(password=PASSWORD) as db:
            fill(db, "s", range(100))
        url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}"
        frame = sparks.read(url, "s", "_ts long, n long").where("_ts > 5 and n > 3")
        with contextlib.redirect_stdout(shown):
            frame.explain("extended")
            frame.explain("formatted")
            frame.createOrReplaceTempView("events")
            spark.sql("explain cost select * from events").show(truncate=False)
        assert frame.count() == 96
        assert copy(url, "s", "t") == 100
        stream = sparks.follow(url, "s", "n long", startingOffsets="earliest")
        query = stream.writeStream.format("memory").queryName("held").start()
        query.processAllAvailable()
        with contextlib.redirect_stdout(shown):
            query.explain(extended=True)
        shown.write(str(query.lastProgress))
        query.stop()
        sparks.run_once(stream, tmp_path)
        for wrong in ({"startId": "x"}, {"nonsense": "1"}):
            with pytest.raises(Exception, match=r"option|start_id") as caught:
                sparks.read(url, "s", "n long", **wrong).count()
            shown.write(str(caught.value))
        with pytest.raises(Exception, match="field") as caught:
            sparks.read(url, "s", "n boolean").collect()
        shown.write(str(caught.value))
        wrong_url = url.replace(PASSWORD, PASSWORD[::-1])
        with pytest.raises(Exception, match="WRONGPASS") as caught:
            sparks.read(wrong_url, "s", "n long").count()
        shown.write(str(caught.value))
    assert "RelationV2" in shown.getvalue()
    assert "BatchScan redcol" in shown.getvalue()
    events = [file for file in sparks.EVENTS.rglob("*") if file.is_file()]
    assert any(b"BatchScan redcol" in file.read_bytes() for file in events)
    for secret in (PASSWORD, PASSWORD[::-1]):
        assert secret not in shown.getvalue()
        checkpoint = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert checkpoint
        for file in events + checkpoint:
            assert secret.encode() not in file.read_bytes(), file


def test_a_password_can_come_from_a_file(tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    with Server(tcp=True, args=("--requirepass", PASSWORD)) as server:
        with server.client(password=PASSWORD) as db:
            fill(db, "s", range(10))
        frame = sparks.read(server.url, "s", "n long", passwordFile=str(tmp_path / "password"))
        assert frame.count() == 10
