"""Mutated files against every reader; exit code 1 where one fails."""

import argparse
import os
import sys
from pathlib import Path

from tests.fuzz import campaign
from tests.fuzz.case import FAILED


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000, help="how many, over all readers")
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, help="with --reader: this case alone, told in full")
    parser.add_argument("--keep", type=Path, help="folder in which the inputs stay")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    flags = parser.parse_args()
    campaign.limit_threads()
    from tests.fuzz.readers import READERS

    names = flags.reader or list(READERS)
    if unknown := sorted(set(names) - set(READERS)):
        parser.error(f"no reader {unknown[0]}; there are {', '.join(sorted(READERS))}")
    todo = campaign.cases(names, flags.cases, flags.first_seed)
    if flags.seed is not None:
        todo = [(name, flags.seed) for name in names]
    ended = []
    for each in campaign.run(todo, workers=flags.workers, keep=flags.keep):
        ended.append(each._replace(outcome=each.outcome._replace(text="")))
        if each.outcome.kind == FAILED or flags.seed is not None:
            print(f"{each.command}: {each.outcome.kind}\n{each.outcome.text}\n", flush=True)
    print("\n".join(campaign.summary(ended)))
    return int(any(each.outcome.kind == FAILED for each in ended))


if __name__ == "__main__":
    sys.exit(main())
