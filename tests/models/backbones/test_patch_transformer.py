"""The patch transformer sees each series on its own, scaled by its own stretch; forecasts are in its unit again."""

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.encoders.series import SeriesSpec
from manyways.data.targets.forecast import ForecastTarget
from manyways.models.backbones.patch_transformer import PatchTransformer, patches_of
from manyways.models.forecast_head import ForecastHead
from manyways.models.network import Network, make_network


def windows(rows: int = 5, channels: int = 3, steps: int = 40) -> torch.Tensor:
    return torch.randn(rows, channels, steps, generator=torch.Generator().manual_seed(0)).double().cumsum(2)


def network(channels: int = 3, steps: int = 40) -> Network:
    made = make_network({"history": SeriesSpec(channels, steps)})
    made.put_head(ForecastHead.made_for(made, ForecastTarget("y", 4)))
    return made.eval()


@pytest.mark.quick
def test_patches_cover_all_steps() -> None:
    assert [patches_of(steps, 16, 8) for steps in (16, 17, 24, 25, 336)] == [1, 2, 2, 3, 41]
    part = PatchTransformer.for_spec(SeriesSpec(2, 21))
    assert part.tokens(windows(2, 2, 21)).features.shape == (2, 2 * part.patches, part.width)


@pytest.mark.quick
def test_series_do_not_see_each_other() -> None:
    part = PatchTransformer.for_spec(SeriesSpec(3, 40)).eval()
    x = windows()
    other = x.clone()
    other[:, 1] = other[:, 1].flip(1) * 3
    before, after = part.tokens(x), part.tokens(other)
    assert torch.equal(before.of_first, after.of_first)
    assert not torch.equal(before.others, after.others)


@pytest.mark.quick
def test_a_forecast_moves_with_its_series() -> None:
    net = network()
    outputs = net({"history": windows()}).quantiles
    moved = net({"history": windows() * 7 + 300}).quantiles
    assert torch.allclose(outputs * 7 + 300, moved, atol=1e-3)
    # Far away from 0 nothing is lost, as windows are scaled in double precision.
    far = net({"history": windows() + 1e6}).quantiles
    assert torch.allclose(outputs + 1e6, far, atol=1e-3)


@pytest.mark.quick
def test_quantiles_do_not_cross_and_constants_are_forecast() -> None:
    values = network()({"history": 100 * windows(200)}).values
    assert (values.diff(dim=2) > 0).all()
    flat = network()({"history": torch.full((2, 3, 40), 5.0, dtype=torch.float64)})
    assert flat.spread.tolist() == [1.0, 1.0]
    assert torch.isfinite(flat.quantiles).all()


def test_a_network_learns_a_cycle_and_its_band_holds_most_values() -> None:
    rng = np.random.default_rng(0)
    place = np.arange(600)
    table = {"step": place, "y": np.sin(2 * np.pi * place / 12) + 0.2 * rng.normal(size=600)}
    data = mw.read(table, time="step", label="y", horizon=6, history=36, season=12)
    split = data.with_last_as_test(0.25)
    model = mw.Supervised().fit(split, budget="150 steps")
    naive = mw.SeasonalNaive().fit(split)
    ours, theirs = model.evaluate(split.test), naive.evaluate(split.test)
    assert ours["mase"] < theirs["mase"]
    assert ours["quantile_loss"] < 0.8 * theirs["quantile_loss"]
    bands = np.stack([each.code for each in model.predictions(split.test)])
    truth = split.test.take("y")
    inside = (truth >= bands[..., 0]) & (truth <= bands[..., 2])
    assert 0.6 < inside.mean() < 0.95
