"""Carries a request body from the client to the upstream while the response is awaited or already flows."""

import asyncio

from gateway.model import Framing, RequestHead
from gateway.proxy.connection import Connection
from gateway.proxy.downstream import BodyBroken
from gateway.proxy.envelope_body import BodySource


class Upload:
    """One request body on its way, in a task of its own that ends with the exchange."""

    __slots__ = ("_connection", "_length", "_source", "_task", "bytes_in")

    def __init__(self, head: RequestHead, source: BodySource, connection: Connection) -> None:
        """`source` is the client, or what was decrypted of its body."""
        self._source = source
        self._connection = connection
        self._length = head.content_length if head.framing is Framing.LENGTH else None
        self.bytes_in = 0
        loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = loop.create_task(self._carry(), name=f"upload {head.id}")
        self._task.add_done_callback(self._tell)
        # Runs after the task's first step: if the client has sent no body byte by then, the head goes alone.
        loop.call_soon(connection.flush)

    def __repr__(self) -> str:
        return f"Upload(bytes_in={self.bytes_in}, stopped={self._task is None})"

    def cancel(self) -> None:
        """Stop soon, whether or not the body is complete."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Stop, whether or not the body is complete; afterwards nobody reads from the client."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
        # What ended it early holds its frames, and those hold this object.
        self._task = None

    async def _carry(self) -> None:
        source, connection, length = self._source, self._connection, self._length
        while length is None or self.bytes_in < length:
            data = await source.read()
            if not data:
                break
            self.bytes_in += len(data)
            if length is not None and self.bytes_in > length:
                break
            connection.send(data)
            await connection.drained()
        if length is not None and self.bytes_in != length:
            raise BodyBroken(f"{self.bytes_in} bytes of a body of {length}")
        connection.end_body()

    def _tell(self, task: asyncio.Task[None]) -> None:
        """Hand a failure to whoever waits for the response; it is theirs to raise."""
        if not task.cancelled() and isinstance(problem := task.exception(), Exception):
            self._connection.fail(problem)
