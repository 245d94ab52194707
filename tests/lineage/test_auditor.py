"""Auditor: what forgetting did to what a model tells, from the command and in Python."""

from pathlib import Path

import pytest

import manyways as mw
from manyways.cli import main
from manyways.cli.forget import audit_lines
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.lineage.audit.membership_inference import AuditResult


def test_every_model_is_attacked_before_and_after(people: Data, store: mw.Store) -> None:
    chain = mw.SimCLR(size=0.25, batch_size=8) >> mw.FineTune()
    chain.fit(people, budget=6, run=mw.Run(store=store))
    receipt = mw.forget(subject="person-1", audit=mw.Auditor(references=2)).receipt
    features, tuned, whole = receipt["audit"]
    assert "says nothing of labels or texts" in features["error"]
    for each in (tuned, whole):
        before, after = (AuditResult.from_json(each[when]) for when in ("before", "after"))
        assert [attack.name for attack in after.attacks] == ["loss", "lira", "rmia"]
        assert (before.references, after.references) == (2, 2)
        assert before.listed == before.forgotten > 0
        assert after.listed == 0
        assert "retrained" not in each
    assert tuned["after"] != whole["after"], "references of a stage start where the stage did"
    assert any(line.startswith("audit     fine-tune, lira: AUC before 0.") for line in audit_lines(receipt))


def test_beside_an_approximation_stands_the_model_trained_without_the_rows(people: Data, store: mw.Store) -> None:
    model = mw.Supervised(augment=False, size=0.5).fit(people, budget=80, run=mw.Run(store=store))
    mine = people.select(people.take("person") == "person-1")
    done = mw.forget(model, mine, how="gradient-ascent", audit=mw.Auditor(references=0))
    (found,) = done.receipt["audit"]
    results = {when: AuditResult.from_json(found[when]) for when in ("before", "after", "retrained")}
    areas = {when: result.attack("loss").auc.value for when, result in results.items()}
    assert areas["after"] < areas["before"]
    rest = people.without(mine.ids)
    anew = mw.Supervised(augment=False, size=0.5).fit(rest, budget=80)
    unseen = rest.test
    assert results["retrained"].attack("loss").auc.value == pytest.approx(
        mw.Auditor(references=0)({"": anew}, mine.training, unseen, rest.training)[""].attack("loss").auc.value
    )
    assert "retrained 0." in audit_lines(done.receipt)[0]


def test_the_command_says_what_attacks_found(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(faces), "--role", "subject=person", "--test-share", "0.2", "--budget", "5 steps", "--out", "model"]
    assert main(["fit", "supervised(size=0.25)", *words]) == 0
    assert main(["forget", "--subject", "person-1", "--yes", "--audit", "2", "--report", "report.html"]) == 0
    said = capsys.readouterr().out
    assert "rmia: AUC before 0." in said
    assert "An audit is evidence, not proof." in said
    page = Path("report.html").read_text(encoding="utf-8")
    assert "rmia: AUC 0." in page


def test_fewer_than_no_references_are_refused() -> None:
    with pytest.raises(ParameterError, match="0 reference models or more; got -1"):
        mw.Auditor(references=-1)
