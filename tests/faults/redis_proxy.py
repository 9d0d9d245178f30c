"""A proxy in front of a Redis server that holds replies back for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator


class DelayProxy:
    """Listens on a loopback port; passes requests on at once and each piece of a reply after the next of `delays` (seconds)."""

    def __init__(self, socket_path: str, delays: Iterator[float]) -> None:
        self._path = socket_path
        self._delays = delays
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def __aenter__(self) -> DelayProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        up_reader, up_writer = await asyncio.open_unix_connection(self._path)
        for pump in (self._pump(up_reader, writer, delayed=True), self._pump(reader, up_writer, delayed=False)):
            task = asyncio.ensure_future(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, delayed: bool) -> None:
        try:
            while data := await source.read(65536):
                if delayed:
                    await asyncio.sleep(next(self._delays))
                sink.write(data)
                await sink.drain()
        except OSError:
            return
        finally:
            sink.close()
