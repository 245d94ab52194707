"""Texts written of other inputs: captions of pictures, transcripts of sounds, answers to questions.

    python benchmarks/quality/writing.py captions [--steps 1500]    # openmoji: picture to name; CLIP finds the picture
    python benchmarks/quality/writing.py digits [--steps 1500]      # fsdd: strings of spoken digits to words
    python benchmarks/quality/writing.py answers [--steps 500]      # gsm8k: question to answer; its last number

Strings of digits are 3 to 5 recordings of one speaker, one after the other: those of the test are made of the
official test's recordings (0 to 4), those of training of the others. Of openmoji every fifth emoji, with all its tones
of skin, is a test row; the caption is the name, and CLIP, trained on the same rows, says which of the test pictures is
nearest to what was written, and to the true name.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import manyways as mw

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STRINGS = {"train": 3000, "test": 300}


def captions(place: Path, steps: int) -> None:
    """Learn names of pictures, and look for the pictures by what was written."""
    folder = data_folder("openmoji")
    with zipfile.ZipFile(folder / "openmoji-72x72-color.zip") as packed:
        packed.extractall(place)
    with gzip.open(folder / "openmoji.json.gz") as file:
        known = json.load(file)
    rows = []
    for each in known:
        base = each["skintone_base_hexcode"] or each["hexcode"]
        share = int(hashlib.blake2b(base.encode(), digest_size=4).hexdigest(), 16) / 2**32
        picture = f"openmoji-72x72-color/{each['hexcode']}.png"
        rows.append((picture, each["annotation"], "test" if share < 0.2 else "train"))
    with (place / "names.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("image", "says", "part"), *rows])
    options: dict[str, Any] = {"part": "part", "image_size": 40, "kinds": {"says": "text"}}
    data = mw.read(place / "names.csv", label="says", **options)
    model = trained(data, steps)
    written = model.predict(data.test)
    pairs = mw.read(place / "names.csv", label=(), **options)
    clip: Any = mw.CLIP().fit(pairs, budget=f"{steps} steps", seed=0)
    pictures = clip.embed(pairs.test, "image")
    for name, texts in (("what was written", written), ("the true name", data.test.take("says"))):
        nearest = np.argsort(-(clip.embed([str(text) or "nothing" for text in texts], "says") @ pictures.T), axis=1)
        places = (nearest == np.arange(len(nearest))[:, None]).argmax(1)
        hits = ", ".join(f"at {count}: {(places < count).mean():.3f}" for count in (1, 5, 10))
        print(f"the right one of {len(places)} pictures by {name}: {hits}")


def digits(place: Path, steps: int) -> None:
    """Learn to transcribe strings of spoken digits."""
    from scipy.io import wavfile

    sounds: dict[tuple[str, str], dict[int, list[np.ndarray[Any, Any]]]] = {}
    with zipfile.ZipFile(data_folder("fsdd") / "recordings.zip") as packed:
        for name in sorted(packed.namelist()):
            if name.endswith(".wav"):
                digit, speaker, number = Path(name).stem.split("_")
                part = "test" if int(number) < 5 else "train"
                _, wave = wavfile.read(io.BytesIO(packed.read(name)))
                sounds.setdefault((part, speaker), {}).setdefault(int(digit), []).append(wave)
    rng = np.random.default_rng(0)
    speakers = sorted({speaker for _, speaker in sounds})
    rows = []
    for part, count in STRINGS.items():
        for number in range(count):
            own = sounds[part, str(rng.choice(speakers))]
            chosen = rng.integers(0, 10, rng.integers(3, 6)).tolist()
            waves = [own[digit][rng.integers(len(own[digit]))] for digit in chosen]
            wavfile.write(place / f"{part}{number}.wav", 8000, np.concatenate(waves))
            rows.append((f"{part}{number}.wav", " ".join(NAMES[digit] for digit in chosen), part))
    with (place / "strings.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("sound", "says", "part"), *rows])
    trained(mw.read(place / "strings.csv", label="says", part="part", kinds={"says": "text"}, seconds=3.5), steps)


def answers(place: Path, steps: int) -> None:
    """Learn to answer questions of arithmetic, scored by the last number."""
    folder = data_folder("gsm8k")
    data = mw.read(folder, label="answer", input="question")
    trained(data.select(np.concatenate([np.flatnonzero(data.part == 0), np.flatnonzero(data.part != 0)[:200]])), steps)


def trained(data: mw.Data, steps: int) -> Any:
    """The model of so many steps; what it writes is scored and shown."""
    began = time.perf_counter()
    model: Any = mw.Supervised().fit(data, budget=f"{steps} steps", seed=0)
    print(f"{data}: {steps} steps in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    scores = model.evaluate(data)
    print(", ".join(f"{name} {value:.3f}" for name, value in scores.items()), f"in {time.perf_counter() - began:.0f} s")
    for reference, text in list(zip(data.test.take(data.label.name), model.predict(data.test), strict=True))[:6]:
        print(f"  = {reference[-80:]!r}\n  > {text[-80:]!r}")
    return model


def main() -> None:
    """Run one of the three."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("captions", "digits", "answers"))
    options.add_argument("--steps", type=int, default=1500)
    given = options.parse_args()
    run = {"captions": captions, "digits": digits, "answers": answers}[given.what]
    with tempfile.TemporaryDirectory() as place:
        run(Path(place), given.steps)


if __name__ == "__main__":
    main()
