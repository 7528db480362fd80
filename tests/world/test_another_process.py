"""What is computed in another process: its results, errors, progress, and its end."""

import os
import threading
import time

import jax
import pytest

from jaxvlm.errors import InputError
from jaxvlm.world.workers import in_another_process


def places(number, on_progress):
    """Which process, and where it keeps what JAX compiles."""
    on_progress("counting", number, 3)
    return os.getpid(), jax.config.jax_compilation_cache_dir


def fails(on_progress):
    on_progress("failing", 0, 1)
    raise InputError("a.txt: empty; fill it")


def endless(began, on_progress):
    while True:
        on_progress("waiting", 0, 1)
        open(began, "a").close()
        time.sleep(0.01)


def test_one_process_computes_and_tells_of_its_progress_in_order():
    heard = []
    with in_another_process() as call:
        one = call(places, 1, on_progress=lambda *news: heard.append(news))
        two = call(places, 2, on_progress=lambda *news: heard.append(news))
    assert one == two
    assert one[0] != os.getpid() and one[1] == jax.config.jax_compilation_cache_dir
    assert heard == [("counting", 1, 3), ("counting", 2, 3)]


def test_an_error_is_raised_here_and_the_process_stays():
    with in_another_process() as call:
        with pytest.raises(InputError, match=r"^a\.txt: empty; fill it$"):
            call(fails)
        assert call(places, 1)[0] != os.getpid()


def test_what_nobody_waits_for_ends_where_it_next_tells_of_itself(tmp_path):
    began = tmp_path / "began"

    def interrupted(*_):
        if began.exists():
            raise KeyboardInterrupt

    start = threading.active_count()
    with pytest.raises(KeyboardInterrupt), in_another_process() as call:
        call(endless, began, on_progress=interrupted)
    assert threading.active_count() == start  # else it would wait here for ever
