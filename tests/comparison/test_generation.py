"""Comparisons of models that draw rows."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.report import render_report
from manyways.comparison.tasks.generation import AGAIN, DRAWN, PICTURES, REBUILT
from manyways.data.data import Data

METHODS = ("vae(batch_size=32)", "gan(batch_size=32)")


@pytest.fixture(scope="module")
def images() -> Data:
    """Digits without their labels."""
    return mw.read({"image": mw.read("digits").take("image")[:500]}).with_test(0.4)


def test_images_without_a_label_are_compared_by_what_is_drawn(images: Data) -> None:
    found = mw.compare(images, methods=METHODS, budget="16 steps", seeds=1, workers=0)
    assert [entry.error for entry in found.entries] == [None, None]
    assert (found.data.task, found.metric, found.higher_is_better) == ("generation", "frechet_distance", False)
    assert found.data.learned_from == "300 images"
    vae, gan = found.entries
    assert {"frechet_distance", "sample_precision", "sample_recall", "bits_per_dimension"} <= set(vae.metrics)
    assert set(gan.metrics) == {"frechet_distance", "sample_precision", "sample_recall"}
    assert vae.curve[-1].score == pytest.approx(vae.score), "curves have the same rows"
    titles = {entry.name: [exhibit.title for exhibit in entry.exhibits] for entry in found.entries}
    assert titles == {METHODS[0]: [DRAWN, AGAIN], METHODS[1]: [DRAWN]}
    drawn, again = vae.exhibits
    assert len(drawn.items) == PICTURES
    assert len(again.items) == 2 * REBUILT
    page = render_report(found)
    assert page.count('<img src="data:image/png') == 2 * PICTURES + 2 * REBUILT
    assert "Bits per dimension" in page


def test_nothing_named_both_are_tried(images: Data) -> None:
    from manyways.comparison.shortlist import everything
    from manyways.comparison.tasks import task_of

    assert list(map(str, everything(images, task_of(images)))) == ["gan", "vae"]


def test_labelled_data_is_asked_for_classes_unless_another_metric_is_named() -> None:
    digits = mw.read("digits").select(np.arange(500)).with_test(0.4)
    found = mw.compare(
        digits, methods=["gan(batch_size=32, conditional=True)"], metric="frechet_distance", budget="16 steps", seeds=1,
        workers=0,
    )  # fmt: skip
    (entry,) = found.entries
    assert entry.error is None
    assert found.data.task == "generation"
    assert {item.caption for item in entry.exhibits[0].items} <= set("0123456789")
    assert not found.labelled


def test_a_gan_has_no_density_to_be_compared_by(images: Data) -> None:
    found = mw.compare(images, methods=METHODS, metric="bits_per_dimension", budget="8 steps", seeds=1, workers=0)
    vae, gan = found.entries
    assert vae.score is not None
    assert gan.error is not None
    assert "The model gives sample and is scored by frechet_distance, sample_precision, sample_recall" in gan.error
    assert "not by bits_per_dimension" in gan.error


def test_a_table_is_compared_by_rows_that_are_drawn_where_that_is_asked(home: Path) -> None:
    wine = mw.read({name: mw.read("wine").take(name) for name in ("alcohol", "ash", "hue", "proline")})
    found = mw.compare(wine, metric="frechet_distance", budget="8 steps", seeds=1, workers=0)
    assert [entry.name for entry in found.entries] == ["gan", "vae"]
    assert [entry.error for entry in found.entries] == [None, None]
    assert found.entries[0].exhibits[0].items[0].kind == "table"
    assert len(found.entries[1].exhibits) == 1


def test_a_start_that_draws_is_scored_as_it_is(images: Data, tmp_path: Path) -> None:
    start = mw.VAE().fit(images, budget=8).save(tmp_path / "start")
    found = mw.compare(images, methods=["vae"], start=start, budget="8 steps", seeds=1, workers=0)
    assert [entry.name for entry in found.entries] == ["start", "vae"]
    assert [entry.error for entry in found.entries] == [None, None]
