"""Receipts whose writer did not forget: the weights are right, and what they were learned from is not."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.cli import main
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.errors import StoreError
from manyways.lineage.forgetting.model_verification import model_id
from manyways.lineage.forgetting.receipt import _data, receipt_hash, receipt_json
from manyways.lineage.forgetting.verification import Verification
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.weight_store import weights_hash

METHODS: tuple[Callable[[], mw.Method], ...] = (mw.Ridge, mw.NaiveBayes)
ROWS = 60


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of the rows of five people."""
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.4f},p{at % 5},c{at % 7},{'ab'[at % 2]}" for at in range(ROWS)]
    path = tmp_path / "people.csv"
    path.write_text("x,who,town,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def people(table: Path) -> Data:
    return mw.read(table, subject="who")


@pytest.fixture
def kept(people: Data, store: mw.Store) -> list[mw.Model]:
    """Two models in the store, trained on everybody."""
    return [method().fit(people, run=mw.Run(store=store)) for method in METHODS]


@pytest.fixture
def receipt(kept: list[mw.Model], tmp_path: Path) -> dict[str, Any]:
    """A true receipt of one who was forgotten."""
    said = mw.forget(subject="p3", receipt=tmp_path / "receipt.json").receipt
    return json.loads(json.dumps(said))  # type: ignore[no-any-return]


def sealed(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "hash": receipt_hash(said)}


def verified(said: Any, **more: Any) -> Verification:
    return mw.verify(said, allow=mw.receipt_sources(said, more.get("data"))[0], **more)


def forged(receipt: dict[str, Any], data: Data, rows: list[str], **request: Any) -> dict[str, Any]:
    """A receipt with honest hashes, ids and lineages of models that were trained on all of `data`."""
    said: dict[str, Any] = json.loads(json.dumps(receipt))
    said["rows"], said["request"] = rows, {**said["request"], "rows": len(rows), **request}
    (key,) = said["data"]
    said["data"][key] = json.loads(json.dumps(_data(Manifest.of(data, np.arange(len(data.part))), None)))
    for model, method in zip(said["models"], METHODS, strict=True):
        made = method().fit(data)
        facts = {**made.lineage.facts, "forgotten_rows": len(rows)}
        lineage = {**made.lineage.to_json(), "facts": facts}
        del lineage["parents"]
        with tempfile.TemporaryDirectory() as scratch:
            weights = weights_hash(made, Path(scratch))
        named = model_id(replace(made.lineage, facts=facts), weights)
        model["after"] |= {"lineage": json.loads(json.dumps(lineage)), "weights": weights, "id": named}
        model["rows"] = {"forgotten": len(rows), "given": len(data) + len(rows)}
    return sealed(said)


HEX = "f" * 64
MADE_UP = [f"{at + 1:032x}" for at in range(ROWS // 5)]


def test_a_true_receipt_holds(receipt: dict[str, Any]) -> None:
    found = verified(receipt)
    assert found.holds
    assert found.checks[1].note == "the 12 rows that were forgotten are in the source, and left out"
    assert found.checks[0].note == "no row of 'p3' (who) is in what is learned from"


def test_rows_that_were_made_up(receipt: dict[str, Any], people: Data) -> None:
    found = verified(forged(receipt, people, MADE_UP))
    assert {each.verdict for each in found.models} == {"same"}, "the weights are those of what is learned from"
    assert not found.holds
    assert found.conclusion == "The receipt does not hold: 12 rows of 'p3' (who) are in what is learned from."
    assert not found.checks[1].passed
    assert found.checks[1].note.startswith(
        "the source holds none of the 12 rows that were forgotten, so that nothing shows that they ever were in it"
    )
    # Named by rows rather than by a person, nothing shows it; what is to be forgotten does.
    said = forged(receipt, people, MADE_UP, subject=None)
    assert not verified(said).holds
    mine = people.select(people.take("who") == "p3").ids
    found = verified(said, rows=mine)
    assert not found.holds
    assert "12 rows that were to be forgotten are not in the receipt" in [check.note for check in found.checks]


def test_the_rows_of_somebody_else(receipt: dict[str, Any], people: Data) -> None:
    other = people.select(people.take("who") == "p1")
    rest = people.without(other.ids)
    said = forged(receipt, rest, [id_text(each) for each in other.ids])
    (key,) = said["data"]
    found = verified(said)
    assert {each.verdict for each in found.models} == {"same"}
    assert not found.holds
    assert found.checks[0].note == "12 rows of 'p3' (who) are in what is learned from"
    # A column in which nobody is called so.
    renamed = mw.read(said["data"][key]["origin"]["source"], subject="town")
    hidden = forged(receipt, renamed.without(other.ids), [id_text(each) for each in other.ids])
    found = verified(hidden)
    assert not found.holds
    assert found.checks[0].note == "12 rows of those that were forgotten are not those of 'p3' (town)"
    # No column at all.
    plain = mw.read(said["data"][key]["origin"]["source"], input=["x", "who", "town"])
    ids = [id_text(each) for each in plain.select(plain.take("who") == "p1").ids]
    hidden = forged(receipt, plain.without(plain.select(plain.take("who") == "p1").ids), ids)
    found = verified(hidden)
    assert not found.holds
    assert "no data says in which column names like 'p3' are" in found.checks[0].note


def test_counts_that_do_not_agree(receipt: dict[str, Any], people: Data) -> None:
    for rows in ([], MADE_UP[:-1], [*MADE_UP[:-1], MADE_UP[0]]):
        with pytest.raises(StoreError, match="says that 12 rows were forgotten, and lists"):
            mw.verify(sealed({**receipt, "rows": rows}))
    with pytest.raises(StoreError, match="names no rows"):
        mw.verify(sealed({**receipt, "rows": [], "request": {**receipt["request"], "rows": 0}}))
    said = forged(receipt, people, MADE_UP)
    said["models"][0]["rows"] = {"forgotten": 12, "given": 60}
    found = verified(sealed(said))
    assert found.models[0].verdict == "differs"
    assert found.models[0].note == "it is learned from 60 rows, and the receipt says 48: 60 without 12"


def test_nothing_that_could_be_checked_does_not_hold(receipt: dict[str, Any], tmp_path: Path, store: mw.Store) -> None:
    gone = [
        {**model, "how": "deleted", "guarantee": "it is gone", "after": None, "before": {"id": HEX, "weights": HEX}}
        for model in receipt["models"]
    ]  # fmt: skip
    for model in gone:
        del model["made_from"], model["folders"]
    deleted = sealed({**receipt, "models": gone, "data": {}})
    empty = sealed({**receipt, "models": [], "data": {}})
    unproven = sealed({**receipt, "models": [{**each, "guarantee": "not proof"} for each in receipt["models"]]})
    for said, words in (
        (deleted, "no model was learned again"),
        (empty, "the receipt tells of no model"),
        (unproven, "no model was learned again"),
    ):
        found = verified(said)
        assert not found.holds
        assert words in found.conclusion
        path = tmp_path / "made-up.json"
        path.write_text(receipt_json(said), encoding="utf-8")
        assert main(["verify", str(path), "--yes"]) == 1
    # The store itself can show that models were deleted; here others are still learned from the rows.
    assert verified(deleted, in_store=True).holds
    again = mw.read(receipt["data"][next(iter(receipt["data"]))]["origin"]["source"], subject="who")
    mw.Ridge().fit(again, run=mw.Run(store=store))
    found = verified(deleted, in_store=True)
    assert not found.holds
    assert "ridge" in found.conclusion
    assert "was given rows that were forgotten" in found.conclusion
    made_up = {**deleted, "rows": MADE_UP}
    assert "there are 12 rows of 'p3'" in verified(sealed(made_up), in_store=True).conclusion
    nobody = sealed({**made_up, "request": {**deleted["request"], "subject": None}})
    assert not verified(nobody, in_store=True).holds, "made-up rows of nobody are in no store"


def test_a_model_that_is_made_from_one_that_knows_the_rows(people: Data, store: mw.Store) -> None:
    run = mw.Run(store=store)
    mine = people.select(people.take("who") == "p3")
    start = mw.Supervised(size=0.25).fit(people.without(mine.ids), budget=2, run=run)
    mw.FineTune().fit(people, start, budget=2, run=run)
    said = json.loads(json.dumps(mw.forget(subject="p3").receipt))
    assert verified(said).holds
    knowing = store.keep(mw.Supervised(size=0.25).fit(people, budget=2), people)
    said["models"][0]["made_from"]["start"] = {"id": knowing}
    found = verified(sealed(said))
    assert found.models[0].verdict == "differs"
    assert "made from a model that 12 of the forgotten rows shaped" in found.models[0].note


def test_what_is_deployed(
    receipt: dict[str, Any], kept: list[mw.Model], people: Data, store: mw.Store, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    old, new, other = (tmp_path / name for name in ("old", "new", "other"))
    kept[0].save(old)
    store.load(receipt["models"][0]["after"]["id"]).save(new)
    mw.KMeans(clusters=2).fit(people).save(other)
    path = str(tmp_path / "receipt.json")
    for folder, code, words in (
        (new, 0, f"model     {new} is ridge as the receipt says"),
        (old, 1, f"{old} is ridge as it was before the rows were forgotten"),
        (other, 1, f"{other} holds kmeans(clusters=2), which is no model of the receipt"),
    ):
        assert main(["verify", path, "--yes", "--model", str(folder)]) == code
        assert words in capsys.readouterr().out
    assert main(["verify", path, "--yes", "--store"]) == 0
    assert "has the models as the receipt says, and nothing of the rows" in capsys.readouterr().out
    changed = store.weights.place(receipt["models"][1]["after"]["weights"]) / "description.json"
    changed.chmod(0o600)
    changed.write_text("{}", encoding="utf-8")
    assert main(["verify", path, "--yes", "--store"]) == 1
    assert "naive-bayes" in capsys.readouterr().out
    assert not verified(receipt, store=mw.Store(tmp_path / "elsewhere"), in_store=True).holds


def test_the_rows_that_were_to_be_forgotten(
    receipt: dict[str, Any], people: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rows = str(tmp_path / "receipt.json"), tmp_path / "rows.txt"
    mine = people.select(people.take("who") == "p3").ids
    for ids, code in ((mine, 0), (mine[:3], 0), (people.ids[:5], 1)):
        rows.write_text("\n".join(map(id_text, ids)), encoding="utf-8")
        assert main(["verify", path, "--yes", "--rows", str(rows)]) == code
    for content, match in (("", "is empty"), ("x y", "must hold a row id")):
        rows.write_text(content, encoding="utf-8")
        assert main(["verify", path, "--yes", "--rows", str(rows)]) == 2
        assert match in capsys.readouterr().err


def test_rows_that_have_left_the_source(receipt: dict[str, Any], table: Path) -> None:
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(line for line in lines if ",p3," not in line) + "\n", encoding="utf-8")
    found = verified(receipt)
    assert found.holds
    assert found.checks[1].note == "the source holds none of the 12 rows that were forgotten; they have left it"
    by_rows = sealed({**receipt, "request": {**receipt["request"], "subject": None}})
    assert not verified(by_rows).holds
