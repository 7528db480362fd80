"""What a program does from its start to its first result; run by `benchmarks.start` in a process
of its own, as a file:

    python benchmarks/start_inside.py OUT.json TREE BEGAN WORDS…

TREE is the checkout whose ``jaxvlm WORDS…`` runs, BEGAN when the process was asked for. Nothing of
the project is imported but by the program itself.
"""

import _frozen_importlib as importing
import atexit
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Where a stage begins and ends: what is called, once its module is there.
LOADS = {"jaxvlm.clip.model": "load", "jaxvlm.video.role_model": "load_role_model"}
FIRSTS = {"jaxvlm.pages.scored_outputs": ("ScoredOutputs", "add"),
          "jaxvlm.video.batches": ("Batches", "step")}  # fmt: skip
# A stage is counted where none that stands before it goes on.
STAGES = ("import", "compile", "load")

Span = tuple[float, float]
spans: dict[str, list[Span]] = {stage: [] for stage in STAGES}
counts = {"compiled": 0, "from_cache": 0}
found: dict[str, float] = {}


def spanned(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which notes its outermost calls."""
    depth = 0

    @functools.wraps(call)
    def noted(*args: Any, **options: Any) -> Any:
        nonlocal depth
        depth, start = depth + 1, time.time()
        try:
            return call(*args, **options)
        finally:
            depth -= 1
            if not depth:
                spans[stage].append((start, time.time()))

    return noted


def first(call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, of which the first call that returns is the first result."""

    @functools.wraps(call)
    def noted(*args: Any, **options: Any) -> Any:
        result = call(*args, **options)
        if not found:
            found["first"], found["first_cpu"] = time.time(), time.process_time()
        return result

    return noted


def listen(monitoring: Any) -> None:
    """Notes JAX's tracing, lowering, compiling, and what it finds in its cache."""

    def span(event: str, start: float, end: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            spans["compile"].append((start, end))

    def happened(event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/compile_requests_use_cache":
            counts["compiled"] += 1
        if event == "/jax/compilation_cache/cache_hits":
            counts["from_cache"] += 1

    monitoring.register_event_time_span_listener(span)
    monitoring.register_event_listener(happened)


def watched(find: Callable[..., Any]) -> Callable[..., Any]:
    """The import system's own function; modules are instrumented as soon as they are there."""

    def found_and_loaded(name: str, *args: Any) -> Any:
        module = find(name, *args)
        if name in LOADS and hasattr(module, LOADS[name]):
            load = LOADS.pop(name)
            setattr(module, load, spanned("load", getattr(module, load)))
        if name in FIRSTS:
            owner, method = FIRSTS.pop(name)
            owner = getattr(module, owner)
            setattr(owner, method, first(getattr(owner, method)))
        if name == "jax._src.monitoring":
            listen(module)
        return module

    return spanned("import", found_and_loaded)


def exclusive(spans: dict[str, list[Span]], end: float) -> dict[str, float]:
    """Seconds of each stage up to ``end``, a moment of several as the foremost one's."""
    edges = sorted({edge for own in spans.values() for span in own for edge in span} | {end})
    seconds = dict.fromkeys(spans, 0.0)
    for start, stop in zip(edges, edges[1:], strict=False):
        if stop <= end:
            for stage, own in spans.items():
                if any(a <= start and stop <= b for a, b in own):
                    seconds[stage] += stop - start
                    break
    return seconds


def write(out: Path, began: float) -> None:
    end = found.get("first", time.time())
    stages = exclusive(spans, end)
    rest = end - began - sum(stages.values())
    out.write_text(json.dumps({**stages, "rest": rest, **counts, "seconds": end - began,
                               "cpu": found.get("first_cpu", time.process_time())}))  # fmt: skip


if __name__ == "__main__":
    out, tree, began, *words = sys.argv[1:]
    atexit.register(write, Path(out), float(began))
    importing._find_and_load = watched(importing._find_and_load)
    sys.path[0] = tree  # the checkout that is measured, which need not be this file's
    from jaxvlm.command.programs import main

    main(words)
