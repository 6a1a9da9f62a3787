# SPDX-License-Identifier: Apache-2.0
"""One Spark for all tests of a process, and what they all do with it."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[2] / "src"
#: For all files of a Spark. One that is killed cannot delete its own, so that it is given a folder.
GIVEN = os.environ.get("REDCOL_SPARK_FOLDER")
FOLDER = Path(GIVEN or tempfile.mkdtemp(prefix="redcol-spark-"))
#: Where Spark writes what its history server and its UI show.
EVENTS = FOLDER / "events"
#: Settings of a Spark that listens on loopback, is small, and begins fast.
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.python.filterPushdown.enabled": "true",
    "spark.log.level": "ERROR",
    # A Python that starts on a busy machine may take long.
    "spark.python.authenticate.socketTimeout": "300s",
    "spark.eventLog.compress": "false",
    "spark.local.dir": str(FOLDER),
    "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={FOLDER} -XX:-UsePerfData",
}


def environment(folder: Path = FOLDER) -> dict[str, str]:
    """What Spark and its Python workers find redcol by. `folder`: for all files of that Spark."""
    paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(paths),
        "REDCOL_SPARK_FOLDER": str(folder),
        "SPARK_LOCAL_DIRS": str(folder),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TZ": "UTC",
    }


@functools.cache
def session() -> Any:
    """Two threads for tasks, each of which may be tried four times."""
    os.environ.update(environment())
    EVENTS.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        from redcol.spark import RedcolDataSource

        builder = SparkSession.builder.master("local[2,4]")
        events = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": EVENTS.as_uri()}
        for name, value in (SETTINGS | events).items():
            builder = builder.config(name, value)
        spark = builder.getOrCreate()
        spark.dataSource.register(RedcolDataSource)
    if GIVEN is None:
        atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
    atexit.register(spark.stop)
    return spark


def read(url: str, stream: str, schema: str | None = None, **options: Any) -> Any:
    """A frame of what is in streams."""
    reader = session().read.format("redcol").options(url=url, stream=stream, **options)
    return (reader if schema is None else reader.schema(schema)).load()


def follow(url: str, stream: str, schema: str, **options: Any) -> Any:
    """A frame of what is added to streams."""
    reader = session().readStream.format("redcol").options(url=url, stream=stream, **options)
    return reader.schema(schema).load()


def run_once(frame: Any, folder: Path, *, form: str = "parquet", **options: Any) -> None:
    """Write what a streaming frame has now into a folder, and end."""
    writer = frame.writeStream.format(form).trigger(availableNow=True)
    writer = writer.option("checkpointLocation", str(folder / "checkpoint")).options(**options)
    query = writer.start(str(folder / "out")) if form == "parquet" else writer.start()
    try:
        assert query.awaitTermination(300)
    finally:
        query.stop()


def rows(folder: Path, column: str) -> list[Any]:
    """The values that a folder of Parquet has."""
    return [row[0] for row in session().read.parquet(str(folder / "out")).select(column).collect()]
