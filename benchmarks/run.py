"""All benchmarks, or those named: `python benchmarks/run.py [augmentation] [epoch] [step] …`.

One that cannot be run, as its data or its peer is not there, says why, and the others go on.
"""

import importlib
import sys
from pathlib import Path

from common import report

OWN = ("common", "run")


def main() -> int:
    """Run each benchmark and keep what it measured; 1 where one was not run."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in OWN)
    names = sys.argv[1:] or known
    if unknown := set(names) - set(known):
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    left_out = []
    for name in names:
        try:
            report(name, importlib.import_module(name).run())
        except SystemExit as reason:
            print(f"{name} was not measured. {reason}", file=sys.stderr, flush=True)
            left_out.append(name)
    if left_out:
        print(f"Not measured: {', '.join(left_out)}.", file=sys.stderr)
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
