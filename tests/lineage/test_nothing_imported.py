"""What a file names is never imported: not from receipts, models' folders, the store or the current folder."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import manyways as mw
from manyways.cli import main
from manyways.comparison.job import Job
from manyways.comparison.workers import Workers
from manyways.data.columns import id_text
from manyways.data.transport import save_table
from manyways.errors import ManywaysError, ModelError, ParameterError
from manyways.lineage.forgetting.receipt import receipt_hash, receipt_json
from manyways.models.saving import _text_hash

HERE, IMPORTABLE = "trap_here", "trap_importable"


@pytest.fixture
def sprung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Modules that leave a mark when they are imported, in the current folder and among the libraries; the marks."""
    marks, here, libraries = (tmp_path / name for name in ("marks", "here", "libraries"))
    for folder in (marks, here, libraries):
        folder.mkdir()
    for folder, names in ((here, (HERE, "polars", "tyro", "evil_plugin")), (libraries, (IMPORTABLE,))):
        for name in names:
            text = f"import pathlib\npathlib.Path({str(marks)!r}, {name!r}).touch()\ndef reward(*a, **b): return []\n"
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
    plugin = here / "evil-1.0.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Name: evil\nVersion: 1.0\n", encoding="utf-8")
    (plugin / "entry_points.txt").write_text("[manyways.methods]\nevil = evil_plugin\n", encoding="utf-8")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(libraries))
    return lambda: sorted(path.name for path in marks.iterdir())


def names() -> list[Any]:
    """What a field that holds a function may say in a file."""
    return [
        f"{HERE}:reward",
        f"{IMPORTABLE}:reward",
        "subprocess:Popen",
        {"function": f"{HERE}.reward"},
        {"function": f"{IMPORTABLE}.reward"},
        {"function": "manyways.comparison.workers.subprocess.Popen"},
        {"function": "manyways.methods.bases._rewards.likeness"},
    ]


def methods(name: Any) -> list[dict[str, Any]]:
    """Saved methods that name a function, at their top and deep within."""
    grpo = {**mw.GRPO().to_json(), "reward": name}
    asking = {**mw.ActiveLearning().to_json(), "oracle": name}
    deep = {**mw.SelfTraining(base=mw.LinearProbe()).to_json(), "base": asking}
    return [grpo, asking, deep, {"name": "chain", "stages": [mw.SFT().to_json(), grpo], "shares": None}]


@pytest.fixture
def receipt(table: Path, store: mw.Store) -> dict[str, Any]:
    """A receipt of a model that has forgotten somebody."""
    mw.LinearProbe(penalty=1.0).fit(mw.read(table, subject="who"), run=mw.Run(store=store))
    return json.loads(json.dumps(mw.forget(subject="p1").receipt))  # type: ignore[no-any-return]


def with_method(receipt: dict[str, Any], method: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(json.dumps(receipt))
    said["models"][0]["after"]["lineage"]["method"] = method
    return {**said, "hash": receipt_hash(said)}


def test_verify_imports_nothing_that_a_receipt_names(
    receipt: dict[str, Any], sprung: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names():
        for method in methods(name):
            said = with_method(receipt, method)
            with pytest.raises(ParameterError, match="not imported on the word of a file"):
                mw.verify(said, allow=["everything"])
    shown = names()[0]
    Path("receipt.json").write_text(receipt_json(with_method(receipt, methods(shown)[0])), encoding="utf-8")
    assert main(["verify", "receipt.json", "--yes"]) == 2
    err = capsys.readouterr().err
    assert f"names the function '{shown}', reward of linear-probe" in err
    assert f"--function {shown}=MODULE:FUNCTION" in err
    assert sprung() == []
    # What is typed is imported, and found in the current folder, too.
    assert main(["verify", "receipt.json", "--yes", "--function", f"{shown}={HERE}:reward"]) == 1
    assert sprung() == [HERE]


def test_an_origin_that_names_an_environment_is_no_source(
    receipt: dict[str, Any], sprung: Callable[[], list[str]]
) -> None:
    (key,) = receipt["data"]
    for source in (f"{HERE}:Env-v0", f"{IMPORTABLE}:Env-v0", "CartPole-v1"):
        for place in ("source", "test"):
            said = json.loads(json.dumps(receipt))
            origin = said["data"][key]["origin"]
            (origin if place == "source" else origin["options"])[place] = source
            said["hash"] = receipt_hash(said)
            found = mw.verify(said, allow=mw.receipt_sources(said)[0])
            assert [each.verdict for each in found.models] == ["cannot"]
    assert sprung() == []


def test_a_strangers_model_is_loaded_and_planned_without_his_code(
    table: Path, store: mw.Store, sprung: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    data = mw.read(table, subject="who")
    folder = mw.LinearProbe(penalty=1.0).fit(data).save("model")
    for at, method in enumerate(each for name in names() for each in methods(name)):
        said = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        said["lineage"] |= {"method": method, "seed": at}
        del said["hash"]
        (folder / "model.json").write_text(json.dumps({**said, "hash": _text_hash(said)}), encoding="utf-8")
        model = mw.load(folder)
        assert model.predict(data).shape == (40,)
        store.keep(model, data)
    assert main(["predict", "model", str(table), "--out", "said.csv"]) == 0
    capsys.readouterr()
    assert main(["forget", "--subject", "p1", "--plan"]) == 0
    said_plan = capsys.readouterr().out
    assert said_plan.count("cannot") == len(names()) * 4
    assert "not imported on" in " ".join(said_plan.split())
    with pytest.raises(ManywaysError, match="cannot forget"):
        mw.forget(subject="p1")
    Path("rows.txt").write_text(id_text(data.ids[0]), encoding="utf-8")
    assert main(["forget", "--rows", "rows.txt", "--plan"]) == 0
    assert sprung() == []


def test_functions_that_are_typed_are_those_that_a_model_is_learned_again_with(
    table: Path, store: mw.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "def answer(rows):\n    return ['a'] * len(rows)\n\nNUMBER = 1\n"
    Path("my_oracle.py").write_text(text, encoding="utf-8")
    data = mw.read(table, subject="who").with_labels(10, draw="stratified")

    def answer(rows: Any) -> list[str]:
        return ["a"] * len(rows)

    answer.__module__, answer.__qualname__ = "somewhere", "answer"
    method = mw.ActiveLearning(base=mw.LinearProbe(penalty=1.0), rounds=1, questions=3, oracle=answer)
    method.fit(data, run=mw.Run(store=store))
    words = ["forget", "--subject", "p1", "--data", str(table), "--role", "subject=who", "--receipt", "receipt.json"]
    assert main([*words, "--plan"]) == 0
    assert "--function somewhere.answer=MODULE:FUNCTION" in " ".join(capsys.readouterr().out.split())
    for typed, match in (
        ("somewhere.answer", "must be NAME=MODULE:FUNCTION"),
        ("somewhere.answer=my_oracle", 'must be "package.module:function"'),
        ("somewhere.answer=my_oracle:nothing", "cannot be imported"),
        ("somewhere.answer=no_such_module:answer", "cannot be imported"),
        ("somewhere.answer=my_oracle:NUMBER", "must be a function; my_oracle:NUMBER is int"),
    ):
        assert main([*words, "--yes", "--function", typed]) == 2
        assert match in capsys.readouterr().err
    given = ["--function", "somewhere.answer=my_oracle:answer"]
    assert main([*words, "--yes", *given]) == 0
    assert main(["verify", "receipt.json", "--yes", *given]) == 0


def test_a_plan_that_goes_on_makes_no_method_that_brings_code(sprung: Callable[[], list[str]]) -> None:
    from manyways.lineage.forgetting.planner import approximation

    for how in (f"grpo(reward='{HERE}:reward')", f"npo(base=grpo(reward='{IMPORTABLE}:reward'))"):
        with pytest.raises(ParameterError, match="how must be 'exact', 'retrain' or an approximate method"):
            approximation(how)
    assert sprung() == []


def test_commands_and_workers_import_nothing_from_the_current_folder(
    table: Path, tmp_path: Path, sprung: Callable[[], list[str]]
) -> None:
    data = mw.read(table, subject="who").with_test(0.2)
    command = [sys.executable, "-m", "manyways"]
    asked = subprocess.run([*command, "methods", "evil"], check=False, capture_output=True)
    assert b"There is no method 'evil'" in asked.stderr
    place = save_table(data, tmp_path / "table")
    job = Job("linear-probe", None, 0, "5 steps", "accuracy")
    with Workers(1, 1, place, lambda each: tmp_path / each.key) as workers:
        (outcome,) = [report.outcome for report in workers.run([job]) if report.outcome]
    assert outcome.error is None
    assert sprung() == []


def test_language_models_bring_no_code(
    tmp_path: Path, sprung: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the number {at} is said here" for at in range(40)), encoding="utf-8")
    start = mw.Pretrain(tokenizer="characters", context=32, batch_size=2, size=0.05).fit(text, budget=1)
    folder = start.save("writer")
    said = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    said["lineage"]["method"] = methods(names()[0])[0]
    del said["hash"]
    (folder / "model.json").write_text(json.dumps({**said, "hash": _text_hash(said)}), encoding="utf-8")
    assert main(["generate", "writer", "--prompt", "the", "--longest", "2"]) == 0
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in folder.iterdir():
        if path.name not in ("model.json", "rows.safetensors"):
            (plain / path.name).write_bytes(path.read_bytes())
    config = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    for key in ("attn_implementation", "_attn_implementation"):
        (plain / "config.json").write_text(json.dumps({**config, key: "kernels-community/evil"}), encoding="utf-8")
        with pytest.raises(ModelError, match="as its attention, code that would be fetched and run"):
            mw.load(plain)
    (plain / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": f"{HERE}.Config"}}))
    mw.load(plain)
    adapted = mw.SFT(lora=2, checkpoint=str(folder), batch_size=2)
    rows = [{"prompt": "the", "completion": "number"}] * 8
    asking = tmp_path / "asking.jsonl"
    asking.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    beside = adapted.fit(asking, budget=1).save("adapted")
    held = json.loads((beside / "adapter_config.json").read_text(encoding="utf-8"))
    (beside / "model.json").unlink()
    evil = {**held, "megatron_config": {"a": 1}, "megatron_core": f"{IMPORTABLE}"}
    (beside / "adapter_config.json").write_text(json.dumps(evil), encoding="utf-8")
    with pytest.raises(ModelError, match="names a module to import, megatron_core"):
        mw.load(beside)
    assert sprung() == []
