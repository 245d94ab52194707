"""All benchmarks, or those named: `python benchmarks/run.py [augmentation] [epoch] [step]`.

Every peer so far (the DataLoader, a plain loop, Pillow) is among our own dependencies, so none needs an environment of
its own; a benchmark with other peers installs them into `.venv-peers`, never into ours.
"""

import importlib
import sys
from pathlib import Path

from common import report


def main() -> None:
    """Run each benchmark and keep what it measured."""
    own = {"common", "run"}
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in own)
    names = sys.argv[1:] or known
    if unknown := set(names) - set(known):
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    for name in names:
        report(name, importlib.import_module(name).run())


if __name__ == "__main__":
    main()
