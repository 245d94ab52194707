"""Receipts: what they say, that they can be checked, and that what is not so is found out."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError, StoreError
from manyways.lineage.forgetting import model_verification
from manyways.lineage.forgetting.receipt import read_receipt, receipt_hash
from manyways.lineage.forgetting.receipt_report import render_report, write_report
from manyways.lineage.forgetting.request import ForgettingResult
from manyways.lineage.forgetting.verification import Verdict, relative_difference, verify

DOCUMENTED = Path(__file__).parents[2] / "docs" / "receipt.md"


@pytest.fixture
def done(people: Data, store: mw.Store, tmp_path: Path) -> ForgettingResult:
    """A chain and a fine-tuned model of another start have forgotten somebody."""
    run = mw.Run(store=store)
    chain = mw.SimCLR(size=0.25, batch_size=8) >> mw.FineTune()
    chain.fit(people, budget=4, run=run)
    others = people.without(people.select(people.take("person") == "person-1").ids)
    apart = mw.Supervised(size=0.25).fit(others, budget=2, run=run)
    mw.FineTune().fit(people, apart, budget=2, run=run)
    return mw.forget(subject="person-1", receipt=tmp_path / "receipt.json")


def changed(receipt: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A receipt that somebody wrote anew, hash and all."""
    said = {**json.loads(json.dumps(receipt)), **values}
    return {**said, "hash": receipt_hash(said)}


def verdicts_of(receipt: str | Path | Mapping[str, Any], **more: Any) -> tuple[Verdict, ...]:
    """The verdicts on the models of a receipt that may read what it names."""
    return verify(receipt, allow=mw.receipt_sources(receipt, more.get("data"))[0], **more).models


def test_a_receipt_says_what_was_done(done: ForgettingResult, people: Data, tmp_path: Path) -> None:
    said = read_receipt(tmp_path / "receipt.json")
    assert said == json.loads(json.dumps(done.receipt))
    mine = people.select(people.take("person") == "person-1")
    assert sorted(said["rows"]) == sorted(id_text(each) for each in mine.ids)
    assert said["request"] == {"subject": "person-1", "rows": 20, "counted": 20, "how": "exact"}
    assert [model["how"] for model in said["models"]] == ["learned again"] * 2 + ["put together again", "learned again"]
    first, second, whole, apart = said["models"]
    assert second["made_from"] == {"start": {"model": 0}}
    assert whole["made_from"] == {"part:1-simclr": {"model": 0}, "part:2-fine-tune": {"model": 1}}
    assert set(apart["made_from"]["start"]) == {"id"}
    assert first["before"]["weights"] != first["after"]["weights"]
    assert whole["after"]["weights"] == second["after"]["weights"]
    assert said["models"][0]["after"]["lineage"]["plan"] == {"": [2, 2]}
    (data,) = said["data"].values()
    assert data["table"] == 220
    assert data["origin"]["options"]["subject"] == ["person"]
    kept = {each.tobytes().hex() for each in people.ids} - set(said["rows"])
    text = json.dumps(said)
    assert not any(each in text for each in kept), "the ids of others' rows are nobody's business"


def test_a_receipt_can_be_verified(done: ForgettingResult, tmp_path: Path) -> None:
    heard: list[str] = []
    path = tmp_path / "receipt.json"
    found = verify(path, allow=mw.receipt_sources(path)[0], follow=heard.append)
    assert [(each.verdict, each.note) for each in found.models] == [("same", "bitwise")] * 4
    assert found.holds
    assert found.conclusion == "The receipt holds."
    assert [(check.what, check.passed) for check in found.checks] == [("subject", True), ("rows", True)]
    assert len(heard) == 4


def test_what_is_not_as_the_receipt_says_is_found_out(done: ForgettingResult) -> None:
    receipt = dict(done.receipt)
    models = json.loads(json.dumps(receipt["models"]))
    models[1]["after"]["weights"] = models[0]["after"]["weights"]
    verdicts = verdicts_of(changed(receipt, models=models))
    assert [each.verdict for each in verdicts] == ["same", "differs", "same", "same"]
    # The whole was put together of a stage with the right weights.
    models = json.loads(json.dumps(receipt["models"]))
    models[0]["after"]["lineage"]["seed"] = 9
    verdicts = verdicts_of(changed(receipt, models=models))
    assert [each.verdict for each in verdicts] == ["differs", "differs", "differs", "same"]
    rows, request = receipt["rows"][:-1], {**receipt["request"], "rows": 19}
    assert [each.verdict for each in verdicts_of(changed(receipt, rows=rows, request=request))] == ["cannot"] * 4
    with pytest.raises(StoreError, match="says that 20 rows were forgotten, and lists 19 rows"):
        verify(changed(receipt, rows=rows))


def test_an_edited_receipt_is_refused(done: ForgettingResult, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"bitwise"', '"nearly"'), encoding="utf-8")
    with pytest.raises(StoreError, match="has been edited since it was written"):
        verify(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match="is no receipt of Manyways: its schema is null"):
        verify(path)
    path.write_text("no JSON", encoding="utf-8")
    with pytest.raises(StoreError, match="the receipt .* is no JSON"):
        verify(path)
    path.write_text(json.dumps(changed({}, schema="manyways.receipt/9")), encoding="utf-8")
    with pytest.raises(StoreError, match="has the schema manyways.receipt/9; this version reads"):
        verify(path)
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        verify(tmp_path / "nothing.json")


def test_what_cannot_be_checked_is_said(done: ForgettingResult, store: mw.Store, tmp_path: Path) -> None:
    models = json.loads(json.dumps(done.receipt["models"]))
    models[0]["after"]["lineage"]["versions"]["torch"] = "1.0"
    verdicts = verdicts_of(changed(dict(done.receipt), models=models))
    assert verdicts[0].note.startswith("it was learned under torch 1.0, and here is")
    assert [each.verdict for each in verdicts] == ["cannot", "cannot", "cannot", "same"]
    assert verdicts[1].note == "what it is made from could not be learned again"
    shutil.rmtree(store.folder)
    verdicts = verdicts_of(tmp_path / "receipt.json")
    assert [each.verdict for each in verdicts] == ["same"] * 3 + ["cannot"]
    assert "it is empty" in verdicts[3].note


def test_functions_are_not_run_on_the_word_of_a_file(people: Data, store: mw.Store) -> None:
    method = mw.ActiveLearning(base=mw.LinearProbe(penalty=1.0), rounds=1, questions=3, oracle=answer)
    model = method.fit(people, run=mw.Run(store=store))
    with pytest.raises(StoreError, match="is not imported on the word of a file"):
        mw.forget(model, subject="person-1")
    receipt = mw.forget(model, subject="person-1", functions={f"{__name__}.answer": answer}).receipt
    name = f"{__name__}.answer"
    with pytest.raises(ParameterError, match=f"names the function {name!r}, oracle of .* not imported on the word"):
        verdicts_of(receipt)
    with pytest.raises(ParameterError, match="names the function"):
        verdicts_of(receipt, functions={"another": answer})
    assert verdicts_of(receipt, functions={name: answer})[0].verdict == "same"


def answer(rows: Data) -> list[int]:
    """An oracle that is found by its name."""
    return [0] * len(rows)


def test_data_in_memory_must_be_given(store: mw.Store) -> None:
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=40), "who": [f"p{at % 5}" for at in range(40)], "label": [at % 2 for at in range(40)]}
    data = mw.read(table, subject="who")
    mw.LinearProbe(penalty=1.0).fit(data, run=mw.Run(store=store))
    receipt = mw.forget(subject="p1", data=data).receipt
    assert verdicts_of(receipt)[0].note == "data was in memory. Give it as it was: --data."
    assert verdicts_of(receipt, data=data)[0].verdict == "same"
    rest = data.without(data.select(data.take("who") == "p1").ids)
    found = verify(receipt, data=rest)
    assert found.models[0].verdict == "same"
    assert found.holds, "that the rows have left the source is as it should be"
    assert "in memory" in verdicts_of(receipt, data=data.without(data.ids[:1]))[0].note


def test_deleted_and_approximate_models(people: Data, store: mw.Store) -> None:
    mine = people.select(people.take("person") == "person-1")
    mw.KMeans(clusters=2).fit(mine, run=mw.Run(store=store))
    mw.LinearProbe(penalty=1.0).fit(people, run=mw.Run(store=store))
    receipt = mw.forget(subject="person-1").receipt
    expected = [("not checked", "deleted"), ("same", "learned again")]
    assert [(each.verdict, each.how) for each in verdicts_of(receipt)] == expected
    found = verify(receipt, allow=mw.receipt_sources(receipt)[0])
    assert not found.holds
    assert found.conclusion == "The receipt is shown for 1 of 2 models; 1 could not be checked."
    found = verify(receipt, allow=mw.receipt_sources(receipt)[0], in_store=True)
    assert [each.verdict for each in found.models] == ["gone", "same"]
    assert found.holds
    models = json.loads(json.dumps(receipt["models"]))
    models[1]["guarantee"] = "not proof"
    said = changed(dict(receipt), models=models)
    assert verdicts_of(said)[1].verdict == "not proof"
    assert not verify(said, allow=mw.receipt_sources(said)[0], in_store=True).holds
    models[0]["before"]["id"] = models[1]["after"]["id"]
    said = changed(dict(receipt), models=models)
    found = verify(said, allow=mw.receipt_sources(said)[0], in_store=True)
    assert found.models[0].verdict == "not checked"
    assert "there still is kmeans" in found.conclusion


def test_closed_forms_are_held_to_what_they_promise(people: Data, store: mw.Store) -> None:
    model = mw.LinearProbe(penalty=1.0).fit(people, run=mw.Run(store=store))
    done = mw.forget(model, subject="person-1")
    assert done.model is not None
    near = replace(done.model, network=shifted(done.model, 1e-10))
    far = replace(done.model, network=shifted(done.model, 1e-6))
    for made, verdict in ((near, "same"), (far, "differs")):
        facts = {"forgotten_rows": 20 + len(verdict)}
        key = store.keep(replace(made, lineage=replace(made.lineage, facts=facts)))
        models = json.loads(json.dumps(done.receipt["models"]))
        models[0]["after"]["lineage"]["facts"] = facts
        models[0]["guarantee"] = "1e-8"
        models[0]["after"] |= {"id": key, "weights": store.find(key).weights}
        found = verdicts_of(changed(dict(done.receipt), models=models))
        assert found[0].verdict == verdict, found
    assert relative_difference(done.model, mw.KMeans(clusters=2).fit(people)) == float("inf")
    assert model_verification.CLOSE == 1e-8


def shifted(model: mw.Model, by: float) -> torch.nn.Module:
    import copy

    network = copy.deepcopy(model.network).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1 + by)
    return network


def test_a_report_shows_the_receipt(done: ForgettingResult, tmp_path: Path) -> None:
    page = write_report(done.receipt, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "20 rows of person-1 were forgotten" in page
    assert page.count("<rect") == 1 + 4 + 1, "four models, and the one that was left as it was"
    assert "left as it was" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    audited = {**done.receipt, "audit": [{"model": 1, "before": {"auc": 0.71}, "after": {"auc": 0.51}}]}
    assert "auc: <code>0.51</code>" in render_report(audited)
    share = {"value": 0.5123, "low": 0.4, "high": 0.6}
    measured = {"attacks": [{"name": "lira", "auc": share, "hits": share, "roc": [[0.0, 0.0]]}]}
    audited["audit"] = [{"model": 1, "before": measured, "after": measured}]
    assert "lira: AUC 0.512 (0.400 to 0.600), found 0.512" in render_report(audited)


@dataclass(frozen=True)
class Measured:
    """What an audit gives."""

    rows: tuple[int, int, int]
    titles: str

    def to_json(self) -> dict[str, Any]:
        return {"rows": list(self.rows), "of": self.titles}


def test_an_audit_is_made_before_and_after(people: Data, store: mw.Store) -> None:
    def measure(
        models: Mapping[str, mw.Model], forgotten: Data, unseen: Data, reference: Data, start: mw.Model | None
    ) -> dict[str, Measured]:
        if "classify" not in models["after"].gives:
            raise NeedsError("It audits classifiers.")
        assert (start is not None) == (models["after"].lineage.title == "fine-tune")
        assert set(forgotten.take("person")) == {"person-1"}
        assert "person-1" not in {*unseen.take("person"), *reference.take("person")}
        rows = (len(forgotten), len(unseen), len(reference))
        return {
            when: Measured(rows, f"{model.lineage.title} {model.lineage.facts.get('forgotten_rows', 0)}")
            for when, model in models.items()
        }

    chain = mw.SimCLR(size=0.25, batch_size=8) >> mw.FineTune()
    chain.fit(people, budget=4, run=mw.Run(store=store))
    receipt = mw.forget(subject="person-1", audit=measure).receipt
    first, second, whole = receipt["audit"]
    assert first == {"model": 0, "error": "It audits classifiers."}
    mine = people.training.take("person") == "person-1"
    tested = people.test.take("person") == "person-1"
    rows = [int(mine.sum()), int((~tested).sum()), int((~mine).sum())]
    gone = int(((people.take("person") == "person-1") & (people.part[people.rows] < 2)).sum())
    assert second == {
        "model": 1,
        "before": {"rows": rows, "of": "fine-tune 0"},
        "after": {"rows": rows, "of": f"fine-tune {gone}"},
    }
    assert whole["after"]["of"] == f"{chain} {gone}"
    assert "It audits classifiers." in render_report(receipt)


def test_every_key_of_a_receipt_is_documented(done: ForgettingResult) -> None:
    text = DOCUMENTED.read_text(encoding="utf-8")
    model, data = done.receipt["models"][0], next(iter(done.receipt["data"].values()))
    for key in [*done.receipt, *model, *model["after"], *data, *done.receipt["request"]]:
        assert f"`{key}`" in text, f"{key} is not in {DOCUMENTED.name}"
