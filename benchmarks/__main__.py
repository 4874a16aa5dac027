"""`python -m benchmarks [--only cold_start,overhead,batches,firestore,asgi,workerd] [--quick] [--docs] [--check]`."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import asgi, batches, cold_start, firestore, overhead, workerd
from benchmarks.report import DOCUMENT, Section, commit, document, machine, saved, shown
from benchmarks.staging import staged, versions

MEASUREMENTS = {
    "cold_start": cold_start,
    "overhead": overhead,
    "batches": batches,
    "firestore": firestore,
    "asgi": asgi,
    "workerd": workerd,
}

BUSY = 0.5  # other processes that want a core


def main() -> int:
    """Measure, print, and write results.json and the tables of docs/explanation/performance.md."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(MEASUREMENTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few repeats, for a look; results.json stays as it is")
    parser.add_argument(
        "--docs", action="store_true", help="measure nothing; rewrite the tables of docs/explanation/performance.md"
    )
    parser.add_argument(
        "--check", action="store_true", help="measure nothing; fail where the tables aren't results.json's"
    )
    options = parser.parse_args()
    if options.docs or options.check:
        return _document(write=options.docs)
    names = options.only.split(",") if options.only else list(MEASUREMENTS)
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        parser.error(f"unknown: {', '.join(unknown)}; possible are {', '.join(MEASUREMENTS)}")
    sections: dict[str, Section] = {}
    about, measured_at = machine(), commit()
    print(" · ".join(f"{name}: {value}" for name, value in about.items()))
    if about["load"] > BUSY:
        print("The machine is busy with other work: what is measured by the wall clock is rough, CPU times are surer.")
    with staged() as code:
        for name in names:
            began = time.monotonic()
            sections[name] = MEASUREMENTS[name].measure(code, options.quick)
            print(f"\n=== {name} ({time.monotonic() - began:.0f} s)\n\n{shown(sections[name])}", flush=True)
    goals = [goal for section in sections.values() for goal in section.goals]
    print(f"\n{sum(goal.met for goal in goals)} of {len(goals)} goals met")
    for goal in goals:
        if not goal.met:
            print(f"  missed: {goal.text}: {goal.margin}")
    if not options.quick:
        saved(sections, versions(), about, measured_at)
    return 0


def _document(*, write: bool) -> int:
    text = DOCUMENT.read_text()
    wanted = document(text)
    if write:
        DOCUMENT.write_text(wanted)
    elif text != wanted:
        print(
            "docs/explanation/performance.md is not what results.json says: python -m benchmarks --docs",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
