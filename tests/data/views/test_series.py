"""Views of series add noise in units of each stretch; the strong one hides a run of steps."""

import pytest
import torch

from manyways.data.encoders.series import SeriesSpec
from manyways.data.views import view_of
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

SPEC = SeriesSpec(2, 400)


def batch() -> torch.Tensor:
    return torch.randn(8, 2, 400, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([[[1.0], [50.0]]])


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_noise_is_in_units_of_the_stretch() -> None:
    noise = view_of("weak", SPEC, noise=0.1)(batch(), rng()) - batch()
    assert noise.dtype == torch.float64
    assert torch.allclose(noise.std(dim=2) / batch().std(dim=2), torch.tensor(0.1, dtype=torch.float64), rtol=0.2)
    assert torch.equal(view_of("weak", SPEC, noise=0.0)(batch(), rng()), batch())


def test_the_strong_view_hides_a_run_in_all_series_at_once() -> None:
    seen = view_of("strong", SPEC, noise=0.0, mask=0.5)(batch(), rng())
    hidden = seen != batch()
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert (hidden[:, 0].sum(1) <= 200).all()
    assert len(set(hidden[:, 0].sum(1).tolist())) > 1
    for row in hidden[:, 0]:
        places = row.nonzero()[:, 0]
        assert not len(places) or int(places[-1] - places[0]) == len(places) - 1
    assert torch.allclose(seen[hidden], batch().mean(2, keepdim=True).expand_as(seen)[hidden])


def test_ranges_and_shapes_are_checked() -> None:
    with pytest.raises(ParameterError, match="noise"):
        view_of("weak", SPEC, noise=-1)
    with pytest.raises(DataError, match="shape"):
        view_of("strong", SPEC)(batch()[:, :1], rng())
