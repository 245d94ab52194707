"""Real pictures with boxes and masks, read as they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.boxes import boxes_in
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def test_blood_cells_by_their_own_lists(real_data: Callable[[str], Path]) -> None:
    archive = real_data("bccd") / "BCCD.zip"
    with pytest.raises(DataError, match=r"2 of 364 rows .*BloodImage_00343\.xml: the box .* of RBC has no area"):
        mw.read(archive)
    data = mw.read(archive, bad_rows="skip")
    assert [len(part) for part in (data.training, data.validation, data.test)] == [204, 86, 72]
    assert data.columns["image"].values.shape == (362, 3, 192, 256)
    boxes = [boxes_in(cell) for cell in data.take("label")]
    assert {box.label for row in boxes for box in row} == {"RBC", "WBC", "Platelets"}
    assert sum(map(len, boxes)) == 4888 - 26


def test_nuclei_of_the_archive(real_data: Callable[[str], Path]) -> None:
    data = mw.read(next(real_data("dsb2018-nuclei").glob("*.tar.xz")))
    numbers = data.columns["label"].values
    assert (data.columns["label"].kind, numbers.shape) == ("instances", (334, 256, 256))
    assert int(sum(int(np.asarray(numbers[[row]]).max()) for row in range(334))) == 9543
