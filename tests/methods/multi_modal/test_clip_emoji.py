"""CLIP on pictures of emoji and their names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.methods.multi_modal.clip import CLIP


def emoji(folder: Path, place: Path) -> tuple[Data, "np.ndarray"]:  # type: ignore[type-arg]
    """4,147 pictures with their names and tags, tested on a fifth of the emoji, with all their tones of skin."""
    import csv
    import gzip
    import hashlib
    import json
    import zipfile

    with zipfile.ZipFile(folder / "openmoji-72x72-color.zip") as held:
        held.extractall(place)
    with gzip.open(folder / "openmoji.json.gz") as file:
        known = json.load(file)
    rows = []
    for each in known:
        base = each["skintone_base_hexcode"] or each["hexcode"]
        share = int(hashlib.blake2b(base.encode(), digest_size=4).hexdigest(), 16) / 2**32
        words = ", ".join(each[name] for name in ("annotation", "tags", "openmoji_tags") if each[name])
        rows.append((f"openmoji-72x72-color/{each['hexcode']}.png", words, "test" if share < 0.2 else "train"))
    with (place / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "says", "part"), *rows])
    data = mw.read(place / "pairs.csv", part="part", image_size=40)
    return data, np.array([each["subgroups"] for each in known], object)


UNSEEN = {
    "country-flag": "flag", "hand-fingers-open": "hand", "face-concerned": "face", "heart": "heart",
    "person-sport": "person", "arrow": "arrow",
}  # fmt: skip
"""Groups of emoji that are left out of training whole, each with a word that other groups use, too."""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_emoji_are_found_by_their_names(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    data, _ = emoji(real_data("openmoji"), tmp_path)
    assert len(data) == 4147
    for contrast in ("softmax", "sigmoid"):
        scores = CLIP(contrast=contrast).fit(data, budget=150).evaluate(data.test)  # type: ignore[arg-type]
        assert scores["recall_at_10_by_chance"] < 0.02
        for way in ("says by image", "image by says"):
            assert scores[f"recall_at_10 of {way}"] > 0.35


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_groups_that_were_never_seen_are_told_by_their_names(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    data, groups = emoji(real_data("openmoji"), tmp_path)
    unseen = np.isin(groups, list(UNSEEN))
    data = replace(data, part=np.where(unseen, 2, 0).astype(np.uint8))
    model = CLIP().fit(data, budget=200)
    classes = tuple(UNSEEN.values())
    told = model.classifier(classes, template="{}").predict(data.test)
    truth = np.array([UNSEEN[group] for group in groups[unseen]], object)
    balanced = np.mean([(told[truth == name] == name).mean() for name in classes])
    assert balanced > 2.5 / len(classes)
