"""Looks of entries: never the same twice, and colours that stay apart for everybody on both grounds."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.comparison.report.colours import DASHES, PALETTE_DARK, PALETTE_LIGHT, SYMBOLS, colours
from manyways.comparison.results import Comparison, Entry

pytestmark = pytest.mark.quick

Floats = NDArray[np.float64]
SEEING = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Linear RGB as it is seen: Machado, Oliveira & Fernandes (2009), severity 1."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
GROUNDS = [(PALETTE_LIGHT, "#ffffff"), (PALETTE_DARK, "#121317")]


def linear(colour: str) -> Floats:
    shares = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("seeing", SEEING)
@pytest.mark.parametrize(("palette", "ground"), GROUNDS)
def test_colours_stay_apart(palette: tuple[str, ...], ground: str, seeing: str) -> None:
    seen = [lab(SEEING[seeing] @ linear(colour)) for colour in palette]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) > 19


@pytest.mark.parametrize(("palette", "ground"), GROUNDS)
def test_colours_stand_out_of_the_ground(palette: tuple[str, ...], ground: str) -> None:
    assert min(contrast(colour, ground) for colour in palette) >= 3, "what WCAG 2 asks of graphics"


def test_no_two_entries_look_the_same(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    most = len(PALETTE_LIGHT) * len(SYMBOLS) * len(DASHES)
    entries = [make_entry(f"way-{at}", [0.5 + at / 10000]) for at in range(most)]
    looks = [look for name, look in colours(make_comparison(*entries)).items() if name.startswith("way-")]
    assert len({(look.colour, look.symbol, look.dash) for look in looks}) == most
    first: list[Any] = [(look.colour, look.symbol) for look in looks[:40]]
    assert len(set(first)) == 40, "colour and marker alone tell forty apart"


def test_references_are_grey(make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]) -> None:
    entries = (make_entry("best", [0.9]), make_entry("supervised", [0.8]), make_entry("most", [0.1], reference=True))
    looks = colours(make_comparison(*entries))
    assert [looks[name].colour for name in ("best", "supervised", "most")] == [1, 0, 0]
    assert [looks[name].key for name in ("best", "supervised", "most")] == ["e0", "e1", "e2"]
