"""The thread that brings a spool's messages to their receiver, until it has each."""

import random
import threading
import time
from collections.abc import Callable

from jaxvlm.alarms.spool import Spool

LONGEST_DELAY = 60.0  # seconds between two attempts
_LAST = 5.0  # seconds that are given at the end to what still waits


class NotDelivered(Exception):
    """The receiver does not have the message; it is tried again. The line says why."""


class Refused(Exception):
    """The receiver will never take the message. The line says why."""


class Sender:
    """Delivers a spool's messages in their order, each at least once.

    After an attempt that fails the next one waits 1, 2, 4 … 60 seconds, times a random part in
    [0.5, 1], so that many senders do not come back at once. Told are the first failure, what is
    refused, and when the receiver is there again.
    """

    def __init__(
        self,
        name: str,
        spool: Spool,
        deliver: Callable[[str, bytes], None],
        *,
        say: Callable[[str], None],
        first_delay: float = 1.0,
    ):
        """deliver: takes an id and the content; raises NotDelivered or Refused. first_delay: in
        seconds."""
        self.name, self.spool, self.deliver, self.say = name, spool, deliver, say
        self.first_delay = first_delay
        self.failures = self.counted = 0  # attempts in a row; lost messages that were counted
        self.deadline = float("inf")
        self.stop = threading.Event()
        self.chance = random.Random(name)
        self.thread = threading.Thread(target=self._run, name=f"send {name}", daemon=True)
        self.thread.start()

    def put(self, message_id: str, content: bytes) -> None:
        """Gives a message to the spool; raises as `Spool.put`."""
        lost = self.spool.lost
        self.spool.put(message_id, content)
        if self.spool.lost > lost:
            self.say(f"{self.name}: the spool is full; the oldest messages are lost")

    def close(self) -> None:
        """Gives what waits a last chance; the rest stays for the next start."""
        self.deadline = time.monotonic() + _LAST
        self.stop.set()
        self.spool.wake()
        self.thread.join(timeout=_LAST + 1.0)
        if len(self.spool):
            self.say(f"{self.name}: {len(self.spool)} wait for the next start: {self.spool.folder}")

    def _run(self) -> None:
        while True:
            message = self.spool.oldest()
            if message is None:
                if self.stop.is_set():
                    return
                self.spool.wait(1.0)
                continue
            name, message_id, content = message
            try:
                self.deliver(message_id, content)
            except Refused as error:
                self.say(f"{self.name}: {error}; put aside: {self.spool.refuse(name)}")
                continue
            except NotDelivered as error:
                if self.failures == 0:
                    self.say(f"{self.name}: {error}; tried again until it is there")
                if self._pause():
                    return
                continue
            self.spool.done(name)
            if self.failures:
                self.say(f"{self.name}: is there again")
            self.failures = 0

    def _pause(self) -> bool:
        """Waits before the next attempt; whether it is time to end."""
        delay = min(self.first_delay * 2.0 ** min(self.failures, 20), LONGEST_DELAY)
        self.failures += 1
        delay *= self.chance.uniform(0.5, 1.0)
        if not self.stop.wait(delay):
            return False
        # The end has come: what is not there now is tried for a few seconds more.
        remaining = self.deadline - time.monotonic()
        time.sleep(max(0.0, min(delay, remaining, 0.5)))
        return time.monotonic() >= self.deadline
