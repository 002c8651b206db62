"""The listeners of `benchmarks.stream`, in a process of their own: `python -m benchmarks.stream_clients`.

Reads a job (JSON) from standard input, prints `ready` once every client has its first event, and after a second line of
input, the number of the last entry, what each client got until then, and when (seconds of the machine's monotonic
clock, which all processes share).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 30.0
"""How long the last entry is waited for."""


async def listen(address: str, token: str, ready: asyncio.Event, got: list[tuple[int, str, str, float]]) -> None:
    """Keeps (id, event, subject, when) of all that comes."""
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=2**22)
    lines = ("GET /api/v1/stream HTTP/1.1", f"Host: {url.netloc}", f"Authorization: Bearer {token}", "", "")
    writer.write("\r\n".join(lines).encode())
    status = (await reader.readuntil(b"\r\n\r\n")).split()[1]
    if status != b"200":
        raise RuntimeError(f"a listener was answered {status.decode()}")
    number, event = -1, ""
    async for line in reader:
        if line == b"0\r\n":
            return
        if line.startswith(b"id: "):
            number = int(line[4:])
        elif line.startswith(b"event: "):
            event = line[7:-1].decode()
        elif line.startswith(b"data: "):
            when = time.monotonic()
            if event == "hello":
                ready.set()
            else:
                got.append((number, event, json.loads(line[6:]).get("subject_id", ""), when))


async def listen_all(job: dict[str, Any]) -> list[list[tuple[int, str, str, float]]]:
    results: list[list[tuple[int, str, str, float]]] = [[] for _ in range(job["clients"])]
    ready = [asyncio.Event() for _ in results]
    tasks = [
        asyncio.create_task(listen(job["address"], job["tokens"][number % len(job["tokens"])], ready[number], got))
        for number, got in enumerate(results)
    ]
    await asyncio.gather(*(one.wait() for one in ready))
    print("ready", flush=True)
    last, until = int(await asyncio.to_thread(sys.stdin.readline)), time.monotonic() + WAIT_S
    while any(not got or got[-1][0] < last for got in results) and time.monotonic() < until:
        await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return results


def main() -> None:
    job = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(listen_all(job))), flush=True)


if __name__ == "__main__":
    main()
