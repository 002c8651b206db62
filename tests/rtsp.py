"""A camera for tests: an RTSP server in a process of its own that loops the files of a folder."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

_SERVE = """
import asyncio, os, sys
from aio_rtsp_toolkit.server import RtspServer
async def main():
    server = await RtspServer(sys.argv[1], "127.0.0.1", int(sys.argv[2])).start()
    os.write(1, b"ready")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    await server.serve_forever()
asyncio.run(main())
"""


class RtspCamera:
    """Dies at `kill` and comes back, on the same port, at `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, file: str, user: str = "guard:${GATE_PASSWORD}") -> str:
        """Where a file of the folder plays; `user` with its password, or the variable that stands for it."""
        return f"rtsp://{user}@127.0.0.1:{self.port}/{file}?play_count=0"

    def start(self) -> None:
        """Returns once it answers."""
        command = [sys.executable, "-W", "ignore", "-c", _SERVE, str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            while b"ready" not in said.read():
                assert self.process.poll() is None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
