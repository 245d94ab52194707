"""Self-supervised methods with ten labels a class, probed and fine-tuned, beside plain supervision at equal budget.

    python benchmarks/quality/self_supervised.py [--data fashion-mnist|openmoji|fsdd] [--budget 30s] [--seeds 4]

The budget is that of a whole chain: `X >> linear-probe` spends all of it on X, `X >> fine-tune` a share (--tune 0.2) on
labels. It may be seconds, for which the machine must be quiet, steps, or tflops. Each seed has a draw of labels of its
own, and all ways have the same. Interrupted, the same command goes on where it was. Behind each score stands its
distance to supervision, the mean over seeds of the differences on the same draw, with its 95% interval. docs/results.md
keeps what was printed.

fashion-mnist: 60,000 images of 28 pixels in grey, 100 labels; the mae's network is a vit, which stands there without
it, too. openmoji: 4,138 pictures in colour, read at 40 pixels, of eleven groups, a fifth of them for testing, 110
labels; tones of skin of one emoji are on one side. fsdd: 2,700 spoken digits, 100 labels, tested on the official 300.
"""

import argparse
import csv
import gzip
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t as student

import manyways as mw
from manyways.comparison.results import Comparison, Entry
from manyways.data.data import Data
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

SMALL_VIT = "backbone='vit', size=0.5"
IMAGES = (
    "simclr(batch_size=64)",
    "moco",
    "vicreg",
    "mae(size=0.5, learning_rate=4e-3)",
    "inpainting",
    "rotation",
    "jigsaw",
)
WAYS: dict[str, tuple[str, ...]] = {
    "fashion-mnist": (*IMAGES, f"supervised({SMALL_VIT})"),
    "openmoji": ("colorization", "simclr(batch_size=64)", "vicreg", "inpainting", "rotation"),
    "fsdd": ("simclr(batch_size=64)", "cpc", "wav2vec"),
}
LABELS = {"fashion-mnist": 100, "openmoji": 110, "fsdd": 100}
SUPERVISED = "supervised"


def fashion_mnist(place: Path) -> Data:
    """The images by their own split."""
    return mw.read(data_folder("fashion-mnist"))


def openmoji(place: Path) -> Data:
    """The pictures with their groups, but those of fewer than 20; a fifth of the emoji for testing."""
    folder = data_folder("openmoji")
    with gzip.open(folder / "openmoji.json.gz") as file:
        known = json.load(file)
    with zipfile.ZipFile(folder / "openmoji-72x72-color.zip") as packed:
        packed.extractall(place)
    rows = [
        (f"openmoji-72x72-color/{each['hexcode']}.png", each["group"], each["skintone_base_hexcode"] or each["hexcode"])
        for each in known
        if each["group"] != "component"
    ]
    with (place / "emoji.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "group", "emoji"), *rows])
    data = mw.read(place / "emoji.csv", label="group", subject="emoji", image_size=40)
    return data.with_test(0.2, seed=0)


def fsdd(place: Path) -> Data:
    """The recordings; the first five of each digit and speaker are the official test rows."""
    archive = data_folder("fsdd") / "recordings.zip"
    names = [name for name in zipfile.ZipFile(archive).namelist() if name.endswith(".wav")]
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(place)
    rows = []
    for name in sorted(names):
        digit, _, number = Path(name).stem.split("_")
        rows.append((name, digit, "test" if int(number) < 5 else "train"))
    with (place / "digits.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sound", "digit", "part"), *rows])
    return mw.read(place / "digits.csv", label="digit", part="part", kinds={"digit": "category"})


READ = {"fashion-mnist": fashion_mnist, "openmoji": openmoji, "fsdd": fsdd}


def methods_of(ways: Sequence[str], tune: float) -> list[Method]:
    """Plain supervision, and each way that embeds with a linear probe and with fine-tuning behind it."""
    methods: list[Method] = [parse_method(SUPERVISED)]
    for way in ways:
        first = parse_method(way)
        if first.gives == {"embed"}:
            methods.append(mw.Chain(stages=(first, mw.LinearProbe()), shares=(0.98, 0.02)))
            methods.append(mw.Chain(stages=(first, mw.FineTune()), shares=(1 - tune, tune)))
        else:
            methods.append(first)
    return methods


def against(entry: Entry, plain: Entry) -> str:
    """The mean over seeds of the distance to plain supervision, and half of its 95% interval."""
    pairs = zip(entry.scores, plain.scores, strict=True)
    apart = np.array([one - other for one, other in pairs if one is not None and other is not None])
    if len(apart) < 2:
        return ""
    half = student.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
    verdict = "above" if apart.mean() > half else "below" if apart.mean() < -half else "not told apart"
    return f"{apart.mean():+.4f} ± {half:.4f}, {verdict}"


def show(comparison: Comparison) -> None:
    """Print a line for each way, the best first."""
    plain = next(entry for entry in comparison.ways if entry.name == SUPERVISED)
    for entry in sorted(comparison.ways, key=lambda each: -(each.score or 0)):
        if entry.score is None:
            print(f"  {entry.title}: failed, {entry.error}", flush=True)
            continue
        each = ", ".join("–" if score is None else f"{score:.4f}" for score in entry.scores)
        beside = "" if entry is plain else f" | to supervised {against(entry, plain)}"
        caution = f" | {entry.caution}" if entry.caution else ""
        low, high = (f"{end:.4f}" if end is not None else "–" for end in (entry.low, entry.high))
        print(
            f"  {entry.title}: {entry.score:.4f} [{low}, {high}] ({each}){beside} | {entry.steps} steps, "
            f"{entry.seconds or 0:.0f} s{caution}",
            flush=True,
        )


def main() -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(READ), default="fashion-mnist")
    parser.add_argument("--budget", default="30s")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--tune", type=float, default=0.2, help="share of the budget for fine-tuning")
    parser.add_argument("--ways", nargs="*", help="methods in place of the usual ones")
    parser.add_argument("--folder", type=Path, default=Path("self-supervised"), help="for files that are unpacked")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    place = options.folder / options.data
    place.mkdir(parents=True, exist_ok=True)
    data = READ[options.data](place)
    labels = LABELS[options.data]
    ways = methods_of(options.ways or WAYS[options.data], options.tune)
    print(f"{options.data}: {labels} labels, {options.budget} each, {options.seeds} seeds", flush=True)
    found = mw.compare(
        data,
        methods=ways,
        labels=labels,
        draw="stratified",
        budget=options.budget,
        seeds=options.seeds,
        workers=0,  # the shares of a chain are not in its text, by which other processes make it again
    )
    show(found)


if __name__ == "__main__":
    main()
