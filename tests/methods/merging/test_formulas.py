"""The formulas of merging, by hand and against plain NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from manyways.methods.merging import _formulas
from manyways.methods.merging._formulas import (
    arc,
    dare,
    linear,
    random_mask,
    randomness,
    task_arithmetic,
    threshold,
    weighted_sum,
)

pytestmark = pytest.mark.quick


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """The point at `share` of the arc."""
    return weighted_sum([first, second], arc(first, second, share, torch.float32))


def ties(base: Tensor, tensors: list[Tensor], weights: tuple[float, ...], density: float, scale: float) -> Tensor:
    """TIES with as much trimmed as `density` says."""
    least = [threshold(base, tensor, density, torch.float32) for tensor in tensors]
    return _formulas.ties(base, tensors, weights, least, scale)


def trim(delta: Tensor, density: float) -> list[float]:
    """What TIES keeps of one model's differences."""
    return ties(torch.zeros_like(delta), [delta], (1,), density, 1.0).tolist()  # type: ignore[no-any-return]


def mask(count: int, density: float, seed: int, name: str, at: int) -> Tensor:
    """What DARE keeps."""
    return random_mask(randomness(seed, name, at), count, density)


ZERO, ONE, TWO = vector(0, 0, 0), vector(3, -1, 0.5), vector(-2, -4, 0.1)


def test_linear_is_the_weighted_mean() -> None:
    assert linear([ONE, TWO], (1, 1)).tolist() == pytest.approx([0.5, -2.5, 0.3])
    assert linear([ONE, TWO], (3, 1)).tolist() == pytest.approx([1.75, -1.75, 0.4])
    assert linear([ONE, TWO, ZERO], (2, 0, 2)).tolist() == pytest.approx([1.5, -0.5, 0.25])


def test_slerp_goes_along_the_arc() -> None:
    east, north = vector(1, 0), vector(0, 1)
    assert slerp(east, north, 0.5).tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    assert slerp(east, north, 1 / 3).tolist() == pytest.approx([math.cos(math.pi / 6), math.sin(math.pi / 6)])
    assert slerp(east, north, 0.0).tolist() == pytest.approx([1, 0])
    assert slerp(east, north, 1.0).tolist() == pytest.approx([0, 1])
    # Vectors of other lengths are weighted by the same two sines: the angle is that of their directions.
    assert slerp(2 * east, 3 * north, 0.5).tolist() == pytest.approx([math.sqrt(0.5) * 2, math.sqrt(0.5) * 3])


@pytest.mark.parametrize(("sign", "what"), [(1, "parallel"), (-1, "opposite")])
def test_slerp_is_a_straight_line_between_parallel_vectors(sign: int, what: str) -> None:
    first = vector(1, 2, 3)
    near, far = sign * (first + vector(0.05, 0, 0)), sign * (first + vector(0.5, 0, 0))
    assert slerp(first, near, 0.25).tolist() == pytest.approx((0.75 * first + 0.25 * near).tolist(), rel=1e-6), what
    assert abs(float(torch.cosine_similarity(first, far, 0))) < 0.9995
    assert slerp(first, far, 0.25).tolist() != pytest.approx((0.75 * first + 0.25 * far).tolist(), rel=1e-6)


def test_slerp_of_nothing_is_a_straight_line() -> None:
    assert slerp(ZERO, ONE, 0.5).tolist() == pytest.approx((ONE / 2).tolist())


def test_task_arithmetic_adds_and_takes_away() -> None:
    base = vector(1, 1, 1)
    assert task_arithmetic(base, [base + ONE, base + TWO], (1, 1), 0.5).tolist() == pytest.approx([1.5, -1.5, 1.3])
    assert task_arithmetic(base, [base + ONE], (-1,), 1.0).tolist() == pytest.approx([-2, 2, 0.5])


def test_trim_keeps_the_largest() -> None:
    assert trim(ONE, 2 / 3) == [3, -1, 0]
    assert trim(ONE, 1.0) == ONE.tolist()
    assert trim(ONE, 0.01) == [3, 0, 0], "one number stays"
    assert trim(vector(2, -2, 1, 0), 0.25) == [2, -2, 0, 0], "of equal ones all stay"
    assert trim(vector(4), 0.2) == [4]


def test_ties_by_hand() -> None:
    """Trimmed to (3, −1, 0) and (−2, −4, 0); signs of the sum (+, −, 0); means of those that agree (3, −2.5, 0)."""
    base = vector(1, 1, 1)
    models = [base + ONE, base + TWO]
    assert ties(base, models, (1, 1), 2 / 3, 1.0).tolist() == pytest.approx([4, -1.5, 1])
    assert ties(base, models, (1, 1), 2 / 3, 0.5).tolist() == pytest.approx([2.5, -0.25, 1])
    # Weighted 1 and 2 the first sum is 3 − 4, so that the sign turns; the second mean is (−1 − 8) / 3.
    assert ties(base, models, (1, 2), 2 / 3, 1.0).tolist() == pytest.approx([-1, -2, 1])
    # Untrimmed, the last number is a mean, too: (0.5 + 0.1) / 2.
    assert ties(base, models, (1, 1), 1.0, 1.0).tolist() == pytest.approx([4, -1.5, 1.3])
    # A model that changed nothing in a place is not counted there, and neither is one of no weight.
    assert ties(ZERO, [ONE, vector(0, 0, 0.5)], (1, 1), 1.0, 1.0).tolist() == pytest.approx([3, -1, 0.5])
    assert ties(ZERO, [ONE, TWO], (1, 0), 1.0, 1.0).tolist() == pytest.approx(ONE.tolist())
    assert ties(base, [base + ONE, base - ONE], (1, 1), 1.0, 1.0).tolist() == base.tolist(), "they cancel"


def test_dare_by_hand() -> None:
    base = vector(1, 1, 1)
    kept = [torch.tensor([True, False, True]), torch.tensor([False, True, True])]
    merged = dare(base, [base + ONE, base + TWO], (1, 0.5), kept, 0.5, 0.5)
    # 1 + 0.5·(3/0.5), 1 + 0.5·0.5·(−4/0.5), 1 + 0.5·(0.5/0.5) + 0.5·0.5·(0.1/0.5)
    assert merged.tolist() == pytest.approx([4, -1, 1.55])


def test_dropping_at_random_changes_nothing_on_average() -> None:
    base, model = torch.zeros(200_000), torch.linspace(0.5, 1.5, 200_000)
    kept = mask(len(base), 0.1, 0, "weight", 0)
    assert float(kept.float().mean()) == pytest.approx(0.1, abs=0.003)
    merged = dare(base, [model], (1,), [kept], 0.1, 1.0)
    assert float(merged.mean()) == pytest.approx(1.0, abs=0.03)
    assert set((merged != 0).tolist()) == {True, False}


def test_masks_are_a_function_of_seed_name_and_place() -> None:
    masks = [mask(2000, 0.5, *key) for key in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]]
    assert torch.equal(masks[0], mask(2000, 0.5, 0, "a", 0))
    for at, one in enumerate(masks):
        for other in masks[at + 1 :]:
            assert 0.4 < float((one == other).float().mean()) < 0.6, "masks are alike"
    assert mask(50, 1.0, 0, "a", 0).all()


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found over a whole tensor is the same, however large the pieces that are looked at."""
    rng = np.random.default_rng(0)
    one, two = (torch.from_numpy(rng.normal(size=101).astype(np.float32)) for _ in range(2))

    def found() -> tuple[object, ...]:
        numbers = randomness(0, "a", 0)
        masks = [random_mask(numbers, len(block[0]), 0.5) for block in _formulas.blocks([one], torch.float32)]
        return arc(one, two, 0.3, torch.float32), threshold(one, two, 0.3, torch.float64), torch.cat(masks).tolist()

    whole = found()
    monkeypatch.setattr(_formulas, "BLOCK", 8)
    pieces = found()
    assert pieces[0] == pytest.approx(whole[0], rel=1e-7)
    assert pieces[1:] == whole[1:]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_is_given_is_changed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, one, two = (torch.from_numpy(rng.normal(size=20).astype(np.float32)) for _ in range(3))
    before = [each.clone() for each in (base, one, two)]
    kept = [mask(20, 0.5, 0, "a", at) for at in range(2)]
    linear([one, two], (1, 2))
    slerp(one, two, 0.3)
    task_arithmetic(base, [one, two], (1, 2), 0.5)
    ties(base, [one, two], (1, 2), 0.5, 0.5)
    dare(base, [one, two], (1, 2), kept, 0.5, 0.5)
    assert all(torch.equal(was, now) for was, now in zip(before, (base, one, two), strict=True))
