# SPDX-License-Identifier: Apache-2.0
"""The class that Spark registers."""

from __future__ import annotations

from collections.abc import MutableMapping

import pyarrow as pa
from pyspark.sql.datasource import DataSource
from pyspark.sql.types import StructType

from .. import _interpreter  # noqa: F401  first: it refuses what cannot work
from ..errors import InvalidArgumentError, NoStreamError
from ..inference import infer_schema
from . import _columns, _options, _planning
from ._batch import BatchReader
from ._streaming import StreamReader
from ._writing import BatchWriter, StreamWriter


class RedcolDataSource(DataSource):
    """Redis Streams as a source and a sink of Spark: docs/engines.md has the options.

    Example::

        spark.dataSource.register(RedcolDataSource)
        events = (
            spark.read.format("redcol")
            .option("url", "redis://localhost")
            .option("stream", "events")
            .schema("_id string, user_id string, value long")
            .load()
        )
    """

    def __init__(self, options: MutableMapping[str, str]) -> None:
        super().__init__(options)
        _options.check(options)

    @classmethod
    def name(cls) -> str:
        """What `format` is given."""
        return "redcol"

    def schema(self) -> StructType:
        """The columns if none are given: those of the newest entries of the first stream."""
        settings = _options.read(self.options, "a source")
        streams = settings.keys_or_pattern()
        with settings.connect() as client:
            found = sorted(_planning.extents(client, streams).items())
            name = next((name for name, extent in found if extent.length), None)
            if name is None:
                raise NoStreamError(
                    "there is no entry whose fields could become columns: give a schema, such as "
                    '.schema("_id string, value long")'
                )
            columns = pa.schema(infer_schema(client, name))
        is_one = isinstance(streams, list) and len(streams) == 1
        return _columns.inferred(columns, has_key=not is_one)

    def reader(self, schema: StructType) -> BatchReader:
        """For ``spark.read``."""
        return BatchReader(_options.read(self.options, "spark.read"), schema)

    def streamReader(self, schema: StructType) -> StreamReader:  # noqa: N802  Spark's name
        """For ``spark.readStream``."""
        return StreamReader(_options.read(self.options, "spark.readStream"), schema)

    def writer(self, schema: StructType, overwrite: bool) -> BatchWriter:
        """For ``df.write``."""
        del schema
        return BatchWriter(self._sink(overwrite=overwrite))

    def streamWriter(self, schema: StructType, overwrite: bool) -> StreamWriter:  # noqa: N802
        """For ``df.writeStream``."""
        del schema
        return StreamWriter(self._sink(overwrite=overwrite))

    def _sink(self, *, overwrite: bool) -> _options.Settings:
        if overwrite:
            raise InvalidArgumentError(
                'entries can only be appended to a stream: use mode("append"), or '
                'outputMode("append").'
            )
        return _options.read(self.options, "a sink")
