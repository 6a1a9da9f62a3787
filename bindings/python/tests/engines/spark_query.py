# SPDX-License-Identifier: Apache-2.0
"""A streaming query in a process of its own, to be killed: URL, STREAM, FOLDER, ENTRIES."""

import sys
from pathlib import Path

import sparks

if __name__ == "__main__":
    url, stream, folder, entries = sys.argv[1:]
    frame = sparks.follow(
        url, stream, "_id string, n long", startingOffsets="earliest", maxEntriesPerTrigger=entries
    )
    query = (
        frame.writeStream.format("parquet")
        .option("checkpointLocation", str(Path(folder) / "checkpoint"))
        .start(str(Path(folder) / "out"))
    )
    query.awaitTermination()
