"""One case in this process: ``python -m benchmarks.case NAME [--quick]`` prints its report as one line of JSON."""

import argparse

from benchmarks.cases import CASES
from benchmarks.figures import Report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.case", description="Run one benchmark.")
    parser.add_argument("name", choices=CASES)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    chosen = parser.parse_args()
    figures, notes = CASES[chosen.name](quick=chosen.quick)
    command = f"python -m benchmarks.case {chosen.name}{' --quick' if chosen.quick else ''}"
    print(Report(case=chosen.name, command=command, figures=tuple(figures), notes=tuple(notes)).model_dump_json())


if __name__ == "__main__":
    main()
