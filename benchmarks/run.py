"""All benchmarks, or those named: `python benchmarks/run.py [augmentation] [epoch] [step] …`.

Each runs in a process of its own, on one thread and with a home of its own, so that none finds what another left. One
that cannot be run, as its data or its peer is not there, or that fails, says why, and the others go on.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
OWN = ("common", "run")
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> int:
    """Run each benchmark, which keeps what it measured; 1 where one was not run."""
    known = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in OWN)
    names = sys.argv[1:] or known
    if unknown := set(names) - set(known):
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    if left_out := [name for name in names if not done(name)]:
        print(f"Not measured: {', '.join(left_out)}.", file=sys.stderr)
    return 1 if left_out else 0


def done(name: str) -> bool:
    """Run the benchmark `name`; True if it ended well."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **THREADS, "MANYWAYS_HOME": home}
        code = subprocess.run([sys.executable, str(FOLDER / f"{name}.py")], env=environment, check=False).returncode
    if code:
        print(f"{name} was not measured (exit code {code}).", file=sys.stderr, flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
