"""`python -m batch_pipeline_tests.chaos.relay ADDRESS PORT`: brings hosts to the local server, which is for its own."""

from __future__ import annotations

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress


async def main(address: str, port: int) -> None:
    """Relays connections to a port of the address to the same port of the loopback interface."""

    async def relay(reader: StreamReader, writer: StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, to_server), _pump(from_server, writer))

    server = await asyncio.start_server(relay, address, port)
    print("listening", flush=True)  # noqa: T201 - for the one that started it
    await server.serve_forever()


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):  # whoever was there was killed
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
