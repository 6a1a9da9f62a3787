# SPDX-License-Identifier: Apache-2.0
"""A service with FastAPI: a task follows a stream in the loop, and an endpoint reads a range.

Usage: uvicorn fastapi_service:app, with the server's URL in REDIS_URL
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import redcol

URL = os.environ.get("REDIS_URL", "redis://localhost")
sums = {"entries": 0, "value": 0}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow while the service runs."""
    task = asyncio.create_task(follow())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


async def follow() -> None:
    """Wait in the loop, which serves requests meanwhile."""
    async for batch in redcol.stream_batches(URL, "events", schema={"value": int}):
        sums["entries"] += len(batch)
        sums["value"] += batch["value"].sum()


@app.get("/sums")
async def get_sums() -> dict[str, int]:
    """What has come up to now."""
    return sums


@app.get("/latest")
def get_latest(count: int = 10) -> list[dict]:
    """The newest entries; FastAPI calls it in a thread, since it is not async."""
    return redcol.read_stream(URL, "events", last=count).to_dicts()
