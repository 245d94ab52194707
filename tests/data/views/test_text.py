import pytest
import torch

from manyways.data.specs import TextSpec
from manyways.data.views import TextStrong, TextWeak
from manyways.data.views.text import drop_tokens, mask_span, replace_tokens, swap_tokens
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

SPEC = TextSpec(vocabulary=10_000, length=40)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texts(count: int, shortest: int = 1) -> torch.Tensor:
    """Rows of distinct rising ids of random length behind the start token."""
    ids = torch.zeros(count, SPEC.length, dtype=torch.int32)
    lengths = torch.randint(shortest, SPEC.length, (count,), generator=generator(7))
    for row, length in enumerate(lengths.tolist()):
        ids[row, 1 : length + 1] = torch.arange(4, 4 + length) + 40 * row % 9000
    ids[:, 0] = 3
    return ids


@pytest.mark.parametrize("kind", [TextWeak, TextStrong])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_shape_seed_start_and_padding_at_the_end(kind: type[TextWeak], count: int) -> None:
    batch = texts(count)
    before = batch.clone()
    out = kind(SPEC)(batch, generator())
    assert out.shape == batch.shape
    assert out.dtype == torch.int64
    assert torch.equal(batch, before)
    assert torch.equal(out, kind(SPEC)(batch, generator()))
    assert (out[:, 0] == 3).all()
    real = out != SPEC.padding
    assert (real[:, 1:] <= real[:, :-1]).all()
    assert (real.sum(1) >= 2).all()
    assert ((out[:, 1:] > 3).any(1)).all()
    assert (real.sum(1) <= (batch != 0).sum(1)).all()


def test_extreme_options_leave_a_word_and_empty_rows_stay_empty() -> None:
    view = TextStrong(SPEC, drop=0.9, swap=1, replace=1, mask=0.9)
    batch = texts(300)
    batch[0, 1:] = 0
    out = view(batch, generator())
    assert torch.equal(out[0], batch[0].long())
    assert (out[1:, 1:] > 3).any(1).all()


def test_dropping_keeps_order_at_its_rate() -> None:
    batch = texts(500, shortest=20).long()
    out = drop_tokens(batch, 0.2, 0, generator())
    words = out[:, 1:]
    rising = (words[:, 1:] > words[:, :-1]) | (words[:, 1:] == 0)
    assert rising.all()
    kept = (words > 0).sum() / (batch[:, 1:] > 0).sum()
    assert kept == pytest.approx(0.8, abs=0.02)
    assert len((out > 0).sum(1).sub((batch > 0).sum(1)).unique()) > 4
    assert torch.equal(drop_tokens(batch, 0.0, 0, generator()), batch)


def test_swaps_are_local_permutations() -> None:
    batch = texts(300).long()
    out = swap_tokens(batch, 0.2, 0, generator())
    assert torch.equal(out.sort(1).values, batch.sort(1).values)
    assert torch.equal(out == 0, batch == 0)
    assert torch.equal(out[:, 0], batch[:, 0])
    real = batch[:, 1:] > 0
    before = torch.arange(1, SPEC.length).expand(300, -1)
    after = out[:, 1:] - (batch[:, 1:2] - 1)
    distance = (after - before)[real].abs()
    assert 0.1 < (distance > 0).float().mean() < 0.6
    assert distance.max() <= 6
    assert torch.equal(swap_tokens(batch, 0.0, 0, generator()), batch)


def test_replacements_come_from_the_batch_at_their_rate() -> None:
    batch = texts(300, shortest=10).long()
    out = replace_tokens(batch, 0.3, 0, generator())
    real = batch > 3
    assert (out != batch)[real].float().mean() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(out[~real], batch[~real])
    assert torch.isin(out[real], batch[real]).all()


def test_one_span_is_masked_and_bounded() -> None:
    batch = texts(400).long()
    out = mask_span(batch, 0.25, 0, 2, generator())
    hidden = out == 2
    count = (batch > 3).sum(1)
    assert (hidden.sum(1) <= (count * 0.25).ceil()).all()
    assert (hidden.sum(1) < count).all()
    starts = (hidden[:, 1:] & ~hidden[:, :-1]).sum(1)
    assert starts.max() == 1
    assert len(hidden.sum(1).unique()) > 5
    assert torch.equal(out[~hidden], batch[~hidden])


def test_wrong_options_and_shapes_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"TextWeak.drop must be in \[0, 0.9\]; got 1"):
        TextWeak(SPEC, drop=1)
    with pytest.raises(DataError, match=r"\[rows, 40\]; got \[4, 8\]"):
        TextWeak(SPEC)(torch.zeros(4, 8, dtype=torch.int64), generator())
