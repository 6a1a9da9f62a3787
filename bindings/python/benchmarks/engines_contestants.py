# SPDX-License-Identifier: Apache-2.0
"""Engines that read a stream and add up a column, and the process in which one of them runs.

usage: engines_contestants.py NAME URL ROWS

NAME ends with how many tasks run side by side, and a task reads about ROWS entries. For every line
on standard input the stream is read once, and what it took is printed as JSON. The processor time
is that of this process and of all that have REDCOL_BENCH in their environment, as those that this
one begins.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import events
import polars as pl

import redcol

#: Columns as Polars and Spark name their types.
SCHEMA = {"user_id": pl.String, "action": pl.String, "value": pl.Int64, "amount": pl.Float64}
COLUMNS = "_id string, _ts long, user_id string, action string, value long, amount double"
#: How many entries there are, and the sum of `value`.
Result = tuple[int, int]
#: What reads once; made from the URL, the rows of a task, and how many run side by side.
Read = Callable[[], Result]
MARK = "REDCOL_BENCH"
#: What ends the engine of this process.
STOPS: list[Callable[[], Any]] = []
_TICKS = os.sysconf("SC_CLK_TCK")


def summed(frame: pl.DataFrame) -> Result:
    return len(frame), int(frame["value"].sum())


def added(results: list[Result]) -> Result:
    return sum(rows for rows, _ in results), sum(total for _, total in results)


def read_stream(url: str, _rows: int, _cores: int) -> Read:
    """One process, one connection, one frame."""
    return lambda: summed(redcol.read_stream(url, events.STREAM, schema=SCHEMA))


def read_part(url: str, part: redcol.Partition) -> Result:
    return summed(part.read(url, schema=SCHEMA))


def partitions(url: str, rows: int, cores: int) -> Read:
    """Partitions over a pool of processes, each of which adds up its own."""
    pool = ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn"))
    STOPS.append(pool.shutdown)

    def read() -> Result:
        parts = redcol.partitions(url, events.STREAM, rows=rows)
        tasks = [pool.submit(read_part, url, part) for part in parts]
        return added([task.result() for task in tasks])

    return read


def spark_session(cores: int) -> Any:
    os.environ.update({"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"})
    warnings.simplefilter("ignore")
    from pyspark.sql import SparkSession

    from redcol.spark import RedcolDataSource

    builder = SparkSession.builder.master(f"local[{cores}]")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": str(cores),
        "spark.log.level": "ERROR",
        "spark.local.dir": tempfile.gettempdir(),
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={tempfile.gettempdir()}",
        "spark.sql.warehouse.dir": tempfile.gettempdir(),
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    STOPS.append(session.stop)
    session.dataSource.register(RedcolDataSource)
    return session


def spark_options(url: str, rows: int) -> dict[str, str]:
    return {"url": url, "stream": events.STREAM, "rowsPerPartition": str(rows)}


def spark_sum(frame: Any) -> Result:
    [row] = frame.selectExpr("count(*)", "sum(value)").collect()
    return row[0], row[1] or 0


def spark_batch(url: str, rows: int, cores: int) -> Read:
    """A batch, aggregated by Spark."""
    reader = spark_session(cores).read.format("redcol").options(**spark_options(url, rows))
    return lambda: spark_sum(reader.schema(COLUMNS).load())


def spark_stream(url: str, rows: int, cores: int) -> Read:
    """A query that reads what is there in one micro-batch, and ends."""
    reader = spark_session(cores).readStream.format("redcol").options(**spark_options(url, rows))
    frame = reader.option("startingOffsets", "earliest").schema(COLUMNS).load()

    def read() -> Result:
        results: list[Result] = []
        with tempfile.TemporaryDirectory() as folder:
            query = (
                frame.writeStream.foreachBatch(lambda some, _: results.append(spark_sum(some)))
                .option("checkpointLocation", str(Path(folder, "checkpoint")))
                .trigger(availableNow=True)
                .start()
            )
            query.awaitTermination()
        return added(results)

    return read


def spark_source(url: str, rows: int, cores: int) -> Read:
    """What Spark's tasks do in Python, one after the other, with nothing handed to the JVM."""
    from pyspark.sql.types import StructType

    from redcol.spark import RedcolDataSource

    spark_session(cores)  # which reads the schema
    schema = StructType.fromDDL(COLUMNS)

    def read() -> Result:
        import pyarrow.compute as pc

        reader = RedcolDataSource(spark_options(url, rows)).reader(schema)
        return added(
            [
                (batch.num_rows, pc.sum(batch.column("value")).as_py())
                for task in reader.partitions()
                for batch in reader.read(task)
            ]
        )

    return read


def ray_dataset(url: str, rows: int, cores: int) -> Read:
    """A dataset, whose blocks Ray's tasks add up."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    warnings.simplefilter("ignore")
    import pyarrow as pa
    import pyarrow.compute as pc
    import ray

    from redcol.ray import read_redcol

    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        object_store_memory=256 * 2**20,
        logging_level="error",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=tempfile.mkdtemp(prefix="r-"),
    )
    STOPS.append(ray.shutdown)
    ray.data.DataContext.get_current().enable_progress_bars = False
    schema = {"user_id": str, "action": str, "value": int, "amount": float}

    def sum_of(block: Any) -> Any:
        return pa.table({"rows": [len(block)], "sum": [pc.sum(block["value"]).as_py()]})

    def read() -> Result:
        length = int(redcol.list_streams(url, events.STREAM)["length"][0])
        tasks = -(-length // rows)
        ds = read_redcol(url, events.STREAM, schema=schema, parallelism=tasks)
        sums = ds.map_batches(sum_of, batch_size=None, batch_format="pyarrow")
        return added([(row["rows"], row["sum"]) for row in sums.take_all()])

    return read


CONTESTANTS: dict[str, Callable[[str, int, int], Read]] = {
    "read_stream": read_stream,
    "partitions": partitions,
    "Spark batch": spark_batch,
    "Spark stream": spark_stream,
    "Spark source": spark_source,
    "Ray": ray_dataset,
}


def cpu_seconds() -> float:
    """Of this process, of those with the mark, and of those that they have waited for."""
    mark, ticks = f"{MARK}={os.environ[MARK]}".encode(), 0
    for process in Path("/proc").iterdir():
        try:
            if not process.name.isdigit() or mark not in (process / "environ").read_bytes():
                continue
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended, or is another user's
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS + time.process_time()


def measure(read: Read) -> dict[str, Any]:
    cpu_before, before = cpu_seconds(), time.perf_counter()
    rows, total = read()
    seconds, cpu = time.perf_counter() - before, cpu_seconds() - cpu_before
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "sum": total}


def main(name: str, url: str, rows: str) -> None:
    what, cores = name.rsplit(", ", 1)
    os.environ[MARK] = str(os.getpid())
    # What engines print is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder = tempfile.mkdtemp(prefix="redcol-bench-")
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    try:
        read = CONTESTANTS[what](url, int(rows), int(cores))
        for _ in sys.stdin:
            print(json.dumps(measure(read)), file=answers, flush=True)
    finally:
        for stop in STOPS:
            stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
