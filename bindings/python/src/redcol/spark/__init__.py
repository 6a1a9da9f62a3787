# SPDX-License-Identifier: Apache-2.0
"""Streams as tables of Apache Spark, for ``pip install "redcol[spark]"``: docs/engines.md.

``spark.dataSource.register(RedcolDataSource)``, and ``spark.read.format("redcol")`` reads streams.
"""

from ._source import RedcolDataSource

__all__ = ["RedcolDataSource"]
