"""Tables of several inputs or labels, written from published files: `python tables.py FOLDER` makes them all.

    speech/pairs.csv   spoken digits (fsdd) with written ones (scikit-learn's) of the same class
    emoji/pairs.csv    pictures with their names and tags (openmoji), a fifth for testing
    emoji/groups.csv   the same; for testing those of six kinds, whose label the kind is, and no other is of them
    vqa/vqa.csv        images with questions (easy-VQA); labels are the answer, and the image's shape and colour

`manyways compare FOLDER/speech/pairs.csv --part part` reads them.
"""

import csv
import gzip
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

GROUPS = {
    "country-flag": "flag", "hand-fingers-open": "hand", "face-concerned": "face", "heart": "heart",
    "person-sport": "person", "arrow": "arrow",
}  # fmt: skip
"""Subgroups that are not learned from, and the word by which they must be found."""
SHAPES = frozenset({"circle", "rectangle", "triangle"})
COLOURS = frozenset({"red", "green", "blue", "yellow", "black", "gray", "teal", "brown"})
ABOUT = re.compile(r"what (?:is the color of|color is|is) the (\w+)")
QUESTIONS = 4
"""Of each image, at most."""


def speech(out: Path) -> Path:
    """Each of 3,000 recordings with a picture of its class; the first five of a speaker and digit are for testing."""
    from sklearn.datasets import load_digits

    written, rng, rows = load_digits(), np.random.default_rng(0), []
    pictures = {}
    for digit in range(10):
        found = rng.permutation(np.flatnonzero(written.target == digit))
        pictures[digit, "test"], pictures[digit, "train"] = np.split(found, [len(found) // 10 * 2])
    used = dict.fromkeys(pictures, 0)
    archive = zipfile.ZipFile(data_folder("fsdd") / "recordings.zip")
    for name in sorted(name for name in archive.namelist() if name.endswith(".wav")):
        digit, _, number = Path(name).stem.split("_")
        key = int(digit), "test" if int(number) < 5 else "train"
        picture = int(pictures[key][used[key] % len(pictures[key])])
        used[key] += 1
        image = Image.fromarray(np.round(written.images[picture] * 255 / 16).astype(np.uint8))
        save(out / "pictures" / f"{picture}.png", image)
        save(out / "sounds" / Path(name).name, archive.read(name))
        rows.append((f"sounds/{Path(name).name}", f"pictures/{picture}.png", digit, key[1]))
    return table(out / "pairs.csv", ("sound", "picture", "label", "part"), rows)


def emoji(out: Path) -> tuple[Path, Path]:
    """Pictures on white with what is said of them: pairs, and pairs of which those of six groups are for testing."""
    folder = data_folder("openmoji")
    archive, pairs, groups = zipfile.ZipFile(folder / "openmoji-72x72-color.zip"), [], []
    for each in json.loads(gzip.decompress((folder / "openmoji.json.gz").read_bytes())):
        name = f"openmoji-72x72-color/{each['hexcode']}.png"
        save(out / name, archive.read(name))
        words = ", ".join((each["annotation"], each["tags"], each["openmoji_tags"])).split(", ")
        says = ", ".join(dict.fromkeys(filter(None, words)))
        # Pictures that differ by the tone of a skin alone are all for training or all for testing.
        base = (each["skintone_base_hexcode"] or each["hexcode"]).encode()
        tested = int(hashlib.blake2b(base, digest_size=4).hexdigest(), 16) < 0.2 * 2**32
        pairs.append((name, says, "test" if tested else "train"))
        group = GROUPS.get(each["subgroups"], "")
        groups.append((name, says, "test" if group else "train", group))
    return (
        table(out / "pairs.csv", ("image", "says", "part"), pairs),
        table(out / "groups.csv", ("image", "says", "part", "label"), groups),
    )


def vqa(out: Path) -> Path:
    """Four questions of each image, with the shape and the colour that are said of it."""
    archive, rows = zipfile.ZipFile(data_folder("easy-vqa") / "data.zip"), []
    for part in ("train", "test"):
        asked: dict[int, list[tuple[str, str]]] = {}
        for question, answer, image in json.loads(archive.read(f"data/{part}/questions.json")):
            asked.setdefault(image, []).append((question, answer))
        for image, questions in asked.items():
            name = f"images/{part}-{image}.png"
            save(out / name, archive.read(f"data/{part}/images/{image}.png"))
            shape, colour = seen(questions)
            few = questions[:: max(1, len(questions) // QUESTIONS)][:QUESTIONS]
            rows += [(name, question, answer, shape, colour, part) for question, answer in few]
    return table(out / "vqa.csv", ("image", "question", "answer", "shape", "colour", "part"), rows)


def seen(questions: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The shape and the colour of an image by its questions and answers; empty where none says it."""
    said = {answer for _, answer in questions}
    said |= {match[1] for question, _ in questions if (match := ABOUT.match(question))}
    return next(iter(said & SHAPES), ""), next(iter(said & COLOURS), "")


def save(path: Path, what: Image.Image | bytes) -> None:
    """Write a picture or bytes to `path`, once."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        what.save(path)


def table(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for make in (speech, emoji, vqa):
        print(make(folder / make.__name__))
