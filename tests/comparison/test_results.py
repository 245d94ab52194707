"""Records hold JSON only, travel whole and refuse what they cannot read."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manyways.comparison.conclusion import conclude
from manyways.comparison.results import Best, Comparison, Confusion, Entry, Mistake, read_results, write_results
from manyways.errors import DataError
from manyways.metrics import class_metrics, number_metrics

pytestmark = pytest.mark.quick


def test_round_trip_through_a_file_changes_nothing(full: Comparison, tmp_path: Path) -> None:
    path = write_results(full, tmp_path / "results.json")
    assert read_results(path) == full
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]


def test_the_promised_keys_are_there(full: Comparison) -> None:
    saved = json.loads(json.dumps(full.to_json()))
    assert saved["schema"] == 2
    by_name = {entry["name"]: entry for entry in saved["entries"]}
    wanted = {"name", "score", "low", "high", "seconds", "labels_equivalent", "parameters", "error"}
    assert all(wanted <= set(entry) for entry in by_name.values())
    assert by_name["fixmatch"]["score"] == pytest.approx(0.961)
    assert by_name["fixmatch"]["labels_equivalent"] == 310.0
    assert by_name["spread"]["score"] is None
    assert by_name["spread"]["error"].startswith("Out of memory")


def test_what_is_not_finite_becomes_none_and_numpy_numbers_become_plain(tmp_path: Path) -> None:
    entry = Entry(
        "a",
        "A",
        score=np.float64(0.5),
        low=float("nan"),
        high=float("inf"),
        scores=(0.5, float("nan")),
        parameters=np.int64(7),  # type: ignore[arg-type]
        metrics={"log_loss": float("-inf")},
        hyperparameters={"rates": [0.1, {"deep": float("nan")}]},
    )
    saved = entry.to_json()
    assert json.loads(json.dumps(saved, allow_nan=False)) == saved
    assert (saved["low"], saved["high"], saved["scores"]) == (None, None, [0.5, None])
    assert type(saved["parameters"]) is int
    assert saved["metrics"] == {"log_loss": None}
    assert saved["hyperparameters"] == {"rates": [0.1, {"deep": None}]}
    assert Entry.from_json(saved) == entry


@pytest.mark.parametrize("version", [0, 3, "1", None, True])
def test_another_schema_version_is_refused(full: Comparison, version: object) -> None:
    with pytest.raises(DataError, match="schema version 1 or 2; got"):
        Comparison.from_json(full.to_json() | {"schema": version})


def test_damage_is_named_by_its_place(full: Comparison) -> None:
    saved = full.to_json()
    saved["entries"][1]["curve"][0]["step"] = "many"
    with pytest.raises(DataError, match=r"entries\[1\]\.curve\[0\]\.step must be int; got 'many'"):
        Comparison.from_json(saved)
    saved = full.to_json()
    del saved["data"]["rows"]
    with pytest.raises(DataError, match=r"data lacks the key 'rows'"):
        Comparison.from_json(saved)
    saved = full.to_json()
    saved["best"]["mistakes"][0]["kind"] = "smell"
    with pytest.raises(DataError, match=r"kind must be Literal\['image', 'text', .*\]; got 'smell'"):
        Comparison.from_json(saved)


def test_unknown_keys_are_ignored_and_absent_defaults_filled() -> None:
    assert Entry.from_json({"name": "a", "title": "A", "of_tomorrow": 1}) == Entry("a", "A")


@pytest.mark.parametrize("text", ["{", "[]", '"results"', "\xff"])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(path)


def test_an_image_must_be_inside_the_record() -> None:
    with pytest.raises(DataError, match="starts with 'data:image/'"):
        Mistake("1", "a", "b", "image", "https://example.org/spy.png")
    with pytest.raises(DataError, match="must be a dict"):
        Mistake("1", "a", "b", "table", "age")


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="2 by 2"):
        Confusion(("a", "b"), ((1, 2),))
    with pytest.raises(DataError, match="at most 500 pairs; got 501"):
        Best("a", scatter=((0.0, 1.0),) * 501)
    with pytest.raises(DataError, match=r"hyperparameters\['path'\] must be a value that JSON can hold"):
        Entry("a", "A", hyperparameters={"path": Path("x")})


def test_damaged_text_can_still_be_written(full: Comparison, tmp_path: Path) -> None:
    odd = replace(full, command="compare \ud800")
    assert read_results(write_results(odd, tmp_path / "results.json")).command == "compare ?"


def test_ranked_is_best_first_and_a_tie_goes_to_the_quicker(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = [
        make_entry("slow", [0.9], 50.0),
        make_entry("quick", [0.9], 5.0),
        make_entry("worse", [0.8], 1.0),
    ]
    comparison = make_comparison(*entries)
    assert [entry.name for entry in comparison.ranked()] == ["quick", "slow", "worse"]
    lower = replace(comparison, metric="rmse", higher_is_better=False)
    assert [entry.name for entry in lower.ranked()] == ["worse", "quick", "slow"]


def test_a_folder_that_is_missing_or_a_folder_as_file_is_refused(full: Comparison, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot write"):
        write_results(full, tmp_path / "missing" / "results.json")
    with pytest.raises(DataError, match="it is a folder"):
        write_results(full, tmp_path)


def test_every_metric_is_in_the_description_of_the_schema() -> None:
    described = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    names = {*class_metrics(np.eye(2), np.arange(2)), *number_metrics(np.zeros(2), np.arange(2.0))}
    assert {name for name in names if f"`{name}`" not in described} == set()


def test_a_file_of_version_1_is_read_and_its_intervals_are_over_seeds_alone(full: Comparison) -> None:
    saved = json.loads(json.dumps(full.to_json())) | {"schema": 1}
    later = ("behind", "behind_error", "behind_half", "labels_low", "labels_high")
    saved["entries"] = [{key: value for key, value in entry.items() if key not in later} for entry in saved["entries"]]
    old = Comparison.from_json(
        {key: value for key, value in saved.items() if key not in ("interval_over", "confirmed")}
    )
    assert old.interval_over == ("seeds",)
    assert old.confirmed is None
    conclusion = conclude(old)
    assert conclusion.recommended == "fixmatch"
    assert not any("test rows, so its own score" in caution for caution in conclusion.cautions)
