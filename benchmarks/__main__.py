"""Run benchmarks, each in a process of its own, and print tables: `make bench`. The last results stand in RESULTS.md."""

import argparse
import fnmatch
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import machine
from benchmarks.cases import CASES
from benchmarks.figures import Report
from benchmarks.side import REPOSITORY
from benchmarks.table import markdown, plain


def main() -> None:
    """Measure and print; a figure that is not reached is marked, and only a case that breaks is an error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"cases, * for any letters; all without one: {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller volumes: to see that everything runs")
    parser.add_argument("--markdown", action="store_true", help="print what RESULTS.md takes")
    chosen = parser.parse_args()
    unknown = [pattern for pattern in chosen.names if not fnmatch.filter(CASES, pattern)]
    if unknown:
        parser.error(f"no case is called {' or '.join(unknown)}; the cases are {', '.join(CASES)}")
    names = _matching(chosen.names)
    described = {
        "Machine": machine.describe(),
        "Versions": machine.versions(),
        "Settings of threads and memory": machine.environment(),
        "Command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "Date": time.strftime("%d %B %Y"),
    }
    reports, broken = [], []
    for name in names:
        start = time.perf_counter()
        report = _run(name, quick=chosen.quick)
        outcome = "done" if report else "BROKEN"
        print(f"{name}: {outcome} in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        if report is None:
            broken.append(name)
        else:
            reports.append(report)
    ends = ("  ", "\n\n") if chosen.markdown else ("", "\n\n")
    print(f"{ends[0]}\n".join(f"{what}: {told}" for what, told in described.items()), end=ends[1])
    print(markdown(reports) if chosen.markdown else plain(reports))
    if broken:
        sys.exit(f"These cases broke, see above: {', '.join(broken)}")


def _matching(patterns: Sequence[str]) -> list[str]:
    return [name for name in CASES if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _run(name: str, *, quick: bool) -> Report | None:
    words = [sys.executable, "-m", "benchmarks.case", name, *(["--quick"] if quick else [])]
    ended = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    return None if ended.returncode else Report.model_validate_json(ended.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
