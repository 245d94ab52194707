"""Forecasts of ETTh1, beside what linear models are published with, and of weekly prices.

ETTh1 has the published split: 12 months to learn from, 4 to choose by, 4 to test on, values standardised by the first
12. Errors are means over all origins of the test months, as they are published:

    python benchmarks/quality/forecasts.py                               # the oil temperature, 24 and 96 hours ahead
    python benchmarks/quality/forecasts.py --series all --horizons 96    # all seven series
    python benchmarks/quality/forecasts.py --methods linear,supervised --budget "1500 steps"
    python benchmarks/quality/forecasts.py --stocks                      # six prices, four weeks ahead, three folds

$MANYWAYS_DATA holds ETTh1; the prices come with plotly.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

import manyways as mw
from manyways.data.data import Data
from manyways.data.parts import VALIDATION
from manyways.data.splitting import Split
from manyways.methods.expressions import parse_method

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import data_folder

MONTH = 30 * 24
SERIES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
FOLDS = 3
COLUMNS = ("mase", "standardised_mean_squared_error", "standardised_mean_absolute_error", "quantile_loss")


def etth1(series: tuple[str, ...], horizon: int, history: int) -> Data:
    """The published split; of the training and test months only those origins whose future is in them as a whole."""
    part = ["train"] * (12 * MONTH) + ["validation"] * (4 * MONTH) + ["test"] * (4 * MONTH)
    frame = pl.read_csv(data_folder("ett") / "ETTh1.csv.gz")[: len(part)].with_columns(pl.Series("part", part))
    data = mw.read(frame, time="date", label=series, input=(), part="part", horizon=horizon, history=history)
    return data.select(data.part[data.rows] != VALIDATION)


def report(names: list[str], learned: Data, budget: str, title: str) -> None:
    """Fit each method, and print its scores on the test rows."""
    print(f"\n{title}: {len(learned.training):,} origins to learn from, {len(learned.test):,} to test on")
    print(f"{'':<20} {'mase':>8} {'mse':>8} {'mae':>8} {'pinball':>8} {'in band':>8} {'seconds':>8}")
    for name in names:
        began = time.perf_counter()
        model = parse_method(name).fit(learned, budget=budget)
        seconds = time.perf_counter() - began
        scores = model.evaluate(learned.test)
        codes = [each.code for each in model.predictions(learned.test)]
        inside = "—"
        if codes[0].ndim == 2:
            bands, truth = np.stack(codes), learned.test.take(learned.label.name)
            inside = f"{((truth >= bands[..., 0]) & (truth <= bands[..., -1])).mean():.1%}"
        print(f"{name:<20} {' '.join(f'{scores[key]:8.4f}' for key in COLUMNS)} {inside:>8} {seconds:8.1f}", flush=True)


def prices(names: list[str], budget: str) -> None:
    """Scores of each method on stretches of time after what it learned from."""
    import plotly

    frame = plotly.data.stocks()
    labels = tuple(name for name in frame.columns if name != "date")
    data = mw.read(frame, time="date", label=labels, horizon=4, history=16, season=1)
    for fold in range(FOLDS):
        report(names, Split("time", folds=FOLDS, number=fold).of(data), budget, f"Prices, fold {fold + 1}")


def main() -> None:
    """Print the scores that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", choices=("OT", "all"), default="OT")
    parser.add_argument("--horizons", default="24,96")
    parser.add_argument("--history", type=int, default=336)
    parser.add_argument("--budget", default="1000 steps")
    parser.add_argument("--methods", default="naive-forecast,seasonal-naive,linear,random-forest,supervised")
    parser.add_argument("--stocks", action="store_true")
    given = parser.parse_args()
    names = given.methods.split(",")
    if given.stocks:
        prices(names, given.budget)
        return
    series = SERIES if given.series == "all" else (given.series,)
    for horizon in map(int, given.horizons.split(",")):
        learned = etth1(series, horizon, given.history)
        report(names, learned, given.budget, f"ETTh1, {given.series}, {horizon} hours ahead of {given.history}")


if __name__ == "__main__":
    main()
