"""A real MQTT broker on loopback, in a process of its own: mosquitto where it is there, else amqtt.

python -m tests.alarms.broker PORT
"""

import asyncio
import contextlib
import logging
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def broker(port: int):
    """The broker listens on 127.0.0.1 while the context is open; then it is killed."""
    if shutil.which("mosquitto"):
        command = ["mosquitto", "-p", str(port)]
    else:
        command = [sys.executable, "-m", "tests.alarms.broker", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while True:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < end, "no broker"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


async def _serve(port: int) -> None:
    from amqtt.broker import Broker

    logging.disable(logging.CRITICAL)
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    await Broker(config).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
