"""Read files that are damaged or made with bad intent, thousands for each reader, and count what must never happen.

    python benchmarks/quality/fuzz.py --count 10000 --seed 0 [--only csv,npz] [--out FOLDER]
    python benchmarks/quality/fuzz.py --again npz:17 --seed 0

A small valid file of each form is changed and read in a child: it must be read, or refused by one of our errors that
names it, in less than 1 GiB and 20 seconds. Failing inputs are kept in the folder. `--again` reads one input here, so
that its traceback is seen. Ends with 1 where anything is counted.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from fuzzing.files import FILES
from fuzzing.judging import Judgement, judged, made
from fuzzing.loaders import LOADERS, sealed
from fuzzing.mutations import mutated
from fuzzing.reading import read_file, warm

KINDS = ("read", "refused", "unnamed", "traceback", "memory", "time")


@dataclass(frozen=True)
class Reader:
    """How a valid input is made, and read; `seal` makes hashes and the like right again after a change."""

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path, Random | None], Any]
    seal: Callable[[Path], None] | None = None


def readers() -> dict[str, Reader]:
    """All readers and loaders, by name."""
    files = {name: Reader(name, make, read_file) for name, make in FILES.items()}
    loaders = {name: Reader(name, make, load, sealed) for name, (make, load) in LOADERS.items()}
    return {**files, **loaders}


def changed(reader: Reader, valid: Path, folder: Path, seed: int, number: int) -> tuple[Path, tuple[str, ...], Random]:
    """Input `number` of a reader in `folder`: what is read, the names that a refusal may give, and its randomness."""
    rng = Random(f"{seed} {reader.name} {number}")
    top = valid.parent
    shutil.copytree(top, folder, dirs_exist_ok=True, symlinks=True)
    path = folder / valid.name
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    one = rng.choice(files)
    one.write_bytes(mutated(one.read_bytes(), one.name, rng))
    if reader.seal and rng.random() < 0.8:
        reader.seal(path)
    return path, (one.name, path.name), rng


def tried(reader: Reader, valid: Path, place: Path, seed: int, number: int) -> Judgement:
    """What comes of input `number`; what is made of it lies in `place`."""
    shutil.rmtree(place, ignore_errors=True)
    path, names, rng = changed(reader, valid, place / "input", seed, number)
    os.environ["MANYWAYS_HOME"] = str(place / "home")
    return judged(lambda each: reader.read(each, rng), path, names)


def run(chosen: Mapping[str, Reader], count: int, seed: int, out: Path) -> dict[str, Counter[str]]:
    """Try `count` inputs, as many of each reader; failing ones are copied into `out`, and said."""
    found: dict[str, Counter[str]] = {name: Counter() for name in chosen}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made_in:
        work = Path(made_in)
        os.environ["MANYWAYS_HOME"] = str(work / "home")
        valid = {name: made(reader.make, work / "valid" / name) for name, reader in chosen.items()}
        for name, reader in chosen.items():
            first = judged(lambda each, reader=reader: reader.read(each, None), valid[name], (name,))
            if first.kind != "read":
                raise SystemExit(f"The valid input of {name} is not read: {first.what}")
        with suppress(KeyboardInterrupt):  # what was found until then is printed
            _rounds(chosen, valid, -(-count // len(chosen)), seed, work / "now", out, found)
    return found


def _rounds(
    chosen: Mapping[str, Reader],
    valid: Mapping[str, Path],
    rounds: int,
    seed: int,
    place: Path,
    out: Path,
    found: Mapping[str, Counter[str]],
) -> None:
    for number in range(rounds):
        if number and not number % 10:
            print(f"{number:,} of {rounds:,} rounds", file=sys.stderr, flush=True)
        for name, reader in chosen.items():
            one = tried(reader, valid[name], place, seed, number)
            found[name][one.kind] += 1
            found[name]["ms"] += round(1000 * one.seconds)
            found[name]["MiB"] = max(found[name]["MiB"], one.memory >> 20)
            if one.failed:
                print(f"{name}:{number} {one.kind} after {one.seconds:.1f} s: {one.what}", flush=True)
                shutil.copytree(place / "input", out / name / str(number), dirs_exist_ok=True)


def table(found: Mapping[str, Counter[str]]) -> str:
    """The counts per reader, how long an input took on average, and the most memory of one."""
    lines = [f"{'reader':<18}" + "".join(f"{kind:>10}" for kind in KINDS) + f"{'ms each':>10}{'most MiB':>10}"]
    for name, counts in found.items():
        tries = max(1, sum(counts[kind] for kind in KINDS))
        numbers = [*(counts[kind] for kind in KINDS), round(counts["ms"] / tries), counts["MiB"]]
        lines.append(f"{name:<18}" + "".join(f"{number:>10,}" for number in numbers))
    total = [sum(counts[kind] for counts in found.values()) for kind in KINDS]
    return "\n".join([*lines, f"{'all':<18}" + "".join(f"{number:>10,}" for number in total)])


def again(reader: Reader, seed: int, number: int) -> None:
    """Read one input in this process, so that its traceback is seen."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made_in:
        os.environ["MANYWAYS_HOME"] = f"{made_in}/home"
        valid = made(reader.make, Path(made_in) / "valid" / reader.name)
        path, _, rng = changed(reader, valid, Path(made_in) / "input", seed, number)
        print(reader.read(path, rng))


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers, by comma; or the groups files and loaders")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-failures")
    parser.add_argument("--again", help="an input as the lines say it, such as npz:17")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    known = readers()
    if given.again:
        name, _, number = given.again.partition(":")
        again(known[name], given.seed, int(number))
        return 0
    groups = {"files": [*FILES], "loaders": [*LOADERS]}
    names = [name for word in given.only.split(",") if word for name in groups.get(word, [word])] or [*known]
    if strange := sorted(set(names) - set(known)):
        raise SystemExit(f"There is no reader {strange[0]!r}; there are {', '.join(known)}.")
    for number in (signal.SIGINT, signal.SIGTERM):  # also where it runs in the background
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    warm()
    found = run({name: known[name] for name in names}, given.count, given.seed, given.out)
    print(table(found))
    print(f"{time.monotonic() - began:.0f} s; failing inputs are in {given.out}")
    return int(any(counts[kind] for counts in found.values() for kind in KINDS[2:]))


if __name__ == "__main__":
    sys.exit(main())
