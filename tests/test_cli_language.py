"""The command line with language models, as people type it."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.cli import main
from manyways.models.language_model import LanguageModel

TINY = ["--tokenizer", "characters", "--context", "32", "--size", "0.2", "--batch-size", "4"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    data = mw.read("arithmetic").select(np.arange(200))
    made = mw.Pretrain(tokenizer="characters", context=32, size=0.2).fit(data, budget=20)
    assert isinstance(made, LanguageModel)
    return made


@pytest.fixture(scope="module")
def model(writer: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder."""
    return writer.save(tmp_path_factory.mktemp("models") / "writer")


@pytest.fixture(scope="module")
def checkpoint(writer: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a plain folder of transformers."""
    folder = tmp_path_factory.mktemp("checkpoints") / "plain"
    writer.network.save_pretrained(folder)
    writer.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "a novel.txt"
    path.write_text("".join(f"Chapter {at}. It rained, and nobody came.\n" for at in range(300)))
    return path


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """60 sums as question and answer."""
    path = tmp_path / "sums.jsonl"
    rows = [{"question": f"{at}+1=", "answer": str(at + 1), "wrong": str(at)} for at in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `manyways words…`."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


# --- fit -----------------------------------------------------------------------------------------


def test_pretraining_on_a_text_file_is_scored_on_its_end(
    capsys: pytest.CaptureFixture[str], novel: Path, tmp_path: Path
) -> None:
    out_folder = str(tmp_path / "writer")
    words = ["pretrain", str(novel), *TINY, "--budget", "2 steps", "--test-share", "0.25", "--out", out_folder]
    code, out, err = run(capsys, "fit", *words)
    assert code == 0, err
    data = mw.read(novel).with_last_as_test(0.25)
    scores = mw.load(out_folder).evaluate(data.test)
    assert f"nats per token {scores['nats_per_token']:.4f}" in out
    assert f"nats per character {scores['nats_per_character']:.4f} ({len(data.test)} rows)" in out
    assert f"{len(data.training)} training rows\n" in out
    assert f"manyways generate {out_folder} --prompt 'Chapter 0. It'" in out


def test_answers_are_learned_from_a_checkpoint_by_named_columns(
    capsys: pytest.CaptureFixture[str], sums: Path, checkpoint: Path, tmp_path: Path
) -> None:
    roles = ["--role", "prompt=question", "completion=answer"]
    words = ["fit", "sft", str(sums), *roles, "--budget", "2 steps", "--test-share", "0.2"]
    code, out, err = run(capsys, *words, "--checkpoint", str(checkpoint), "--out", str(tmp_path / "a"))
    assert code == 0, err
    assert re.search(r"nats per token \d+\.\d{4}, perplexity .* \(12 rows\)", out)
    assert "--prompt 0+1=" in out
    # The same folder as a start gives the same model.
    code, _, err = run(capsys, *words, "--start", str(checkpoint), "--out", str(tmp_path / "b"))
    assert code == 0, err
    first, second = (mw.load(tmp_path / name).network.state_dict() for name in ("a", "b"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_adapters_are_an_option(
    capsys: pytest.CaptureFixture[str], sums: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    words = ["fit", "dpo", str(sums), "--role", "prompt=question", "chosen=answer", "rejected=wrong"]
    adapters = ["--lora", "2", "--lora-modules", "q_proj", "v_proj"]
    out_folder = tmp_path / "adapters"
    code, out, err = run(
        capsys, *words, *adapters, "--start", str(checkpoint), "--budget", "2 steps", "--out", str(out_folder)
    )
    assert code == 0, err
    assert "dpo(lora=2, lora_modules=('q_proj', 'v_proj'))" in out
    assert (out_folder / "adapter_config.json").is_file()
    code, out, err = run(capsys, "generate", str(out_folder), "--prompt", "1+1=", "--longest", "4")
    assert code == 0, err


def test_a_plain_folder_of_features_is_a_start_too(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path
) -> None:
    table = tmp_path / "texts.csv"
    rows = [f"{at}+{at}= is {at % 7} and more,{'even' if at % 2 else 'odd'}" for at in range(60)]
    table.write_text("\n".join(["text,label", *rows]) + "\n")
    words = ["fit", "fine-tune", str(table), "--start", str(checkpoint), "--budget", "2 steps"]
    code, out, err = run(capsys, *words, "--test-share", "0.2", "--out", str(tmp_path / "m"))
    assert code == 0, err
    assert "accuracy" in out
    assert "manyways predict" in out


# --- generate ------------------------------------------------------------------------------------


def test_what_is_said_to_a_prompt_is_printed(
    capsys: pytest.CaptureFixture[str], model: Path, checkpoint: Path, writer: LanguageModel
) -> None:
    expected = writer.generate("12+34=", longest=6)[0]
    for folder in (model, checkpoint):
        code, out, err = run(capsys, "generate", str(folder), "--prompt", "12+34=", "--longest", "6")
        assert (code, out) == (0, expected + "\n"), err
    code, out, _ = run(capsys, "generate", str(model), "--prompt", "1+1=", "12+34=", "--longest", "6")
    assert out.splitlines() == writer.generate(["1+1=", "12+34="], longest=6)


def test_how_it_is_drawn_is_an_option(capsys: pytest.CaptureFixture[str], model: Path, writer: LanguageModel) -> None:
    words = ["generate", str(model), "--prompt", "1", "--longest", "20", "--temperature", "1.5"]
    _, first, _ = run(capsys, *words, "--seed", "1")
    assert first == writer.generate("1", longest=20, temperature=1.5, seed=1)[0] + "\n"
    assert run(capsys, *words, "--seed", "2")[1] != first
    _, narrow, _ = run(capsys, *words, "--top-k", "1", "--seed", "1")
    assert narrow == writer.generate("1", longest=20)[0] + "\n"
    _, narrow, _ = run(capsys, *words, "--top-p", "0.001", "--seed", "1")
    assert narrow == writer.generate("1", longest=20)[0] + "\n"


def test_a_prompt_may_come_through_a_pipe(
    capsys: pytest.CaptureFixture[str], model: Path, writer: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("7+8="))
    _, out, _ = run(capsys, "generate", str(model), "--prompt", "-", "--longest", "5")
    assert out == writer.generate("7+8=", longest=5)[0] + "\n"


def test_a_turn_of_a_conversation_is_written_by_the_template(
    capsys: pytest.CaptureFixture[str], model: Path, writer: LanguageModel
) -> None:
    _, out, _ = run(capsys, "generate", str(model), "--prompt", "1+1=", "--chat", "--longest", "5")
    assert out == writer.reply([{"role": "user", "content": "1+1="}], longest=5) + "\n"


@pytest.fixture(scope="module")
def chatty(writer: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of transformers with a chat template of its own."""
    folder = tmp_path_factory.mktemp("checkpoints") / "chatty"
    writer.network.save_pretrained(folder)
    writer.tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text("{% for turn in messages %}{{ turn['content'] }}+{% endfor %}1=")
    return folder


def test_a_checkpoint_that_has_learned_to_chat_is_answered_to(
    capsys: pytest.CaptureFixture[str], chatty: Path, writer: LanguageModel, tmp_path: Path
) -> None:
    """Its own template decides; what was trained here since is told of it."""
    words = ["--prompt", "12", "--longest", "6"]
    turn, bare = (writer.generate(text, longest=6)[0] + "\n" for text in ("12+1=", "12"))
    assert turn != bare
    _, out, err = run(capsys, "generate", str(chatty), *words)
    assert out == turn
    assert f"{chatty} has a chat template of its own. A prompt is taken for the user's turn; --raw reads it" in err
    _, out, err = run(capsys, "generate", str(chatty), *words, "--raw")
    assert (out, err) == (bare, "")
    _, out, err = run(capsys, "generate", str(chatty), *words, "--chat")
    assert (out, err) == (turn, "")
    here = str(mw.load(chatty).save(tmp_path / "here"))
    _, out, err = run(capsys, "generate", here, *words)
    assert out == bare
    assert "A prompt is read as it is. If the model has learned conversations, --chat makes it the user's turn." in err
    assert run(capsys, "generate", here, *words, "--chat")[1] == turn


def test_prompts_of_a_table_or_of_lines_give_csv(
    capsys: pytest.CaptureFixture[str], model: Path, writer: LanguageModel, sums: Path, tmp_path: Path
) -> None:
    out_file = tmp_path / "said.csv"
    words = ["generate", str(model), str(sums), "--role", "prompt=question", "--longest", "4"]
    code, out, err = run(capsys, *words, "--out", str(out_file))
    assert (code, out) == (0, ""), err
    assert f"60 completions: {out_file}" in err
    rows = list(csv.reader(io.StringIO(out_file.read_text())))
    prompts = [f"{at}+1=" for at in range(60)]
    said = writer.generate(prompts, longest=4)
    assert rows == [["row", "prompt", "completion"], *([str(at), prompts[at], said[at]] for at in range(60))]
    lines = tmp_path / "prompts.txt"
    lines.write_text("1+1=\n\n2+2=\n")
    _, out, _ = run(capsys, "generate", str(model), str(lines), "--longest", "4")
    assert [row[1] for row in csv.reader(io.StringIO(out))] == ["prompt", "1+1=", "2+2="]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "Prompts come from --prompt or from DATA, one of the two; neither is given"),
        ("a.csv --prompt x", "one of the two; both are given"),
        ("--prompt x --out a.csv", "--out is for the CSV of DATA"),
        ("--prompt x --role prompt=a", "--role names the column of DATA, and none is given"),
        ("--prompt x --chat --raw", "--chat writes prompts as turns of a conversation, --raw leaves them; both"),
        ("--prompt x --longest 0", "--longest must be at least 1; got 0"),
        ("--prompt x --temperature -1", "--temperature must be at least 0; got -1.0"),
        ("--prompt x --top-p 0", r"--top-p must be in \(0, 1\]; got 0.0"),
        ("--prompt x --top-k 0", "--top-k must be at least 1; got 0"),
        ("--prompt x --tempreature 1", "has no option --tempreature. Did you mean '--temperature'"),
        ("--prompt x", "nowhere is no model folder"),
    ],
)
def test_what_cannot_be_generated_is_refused(
    words: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "generate", "nowhere", *shlex.split(words))
    assert (code, out) == (2, "")
    assert re.search(message, err), err


def test_a_model_that_does_not_write_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mw.KMeans().fit("wine").save(tmp_path / "m")
    code, _, err = run(capsys, "generate", str(tmp_path / "m"), "--prompt", "x")
    assert code == 2
    assert re.search("kmeans gives .*: it cannot generate. A method whose models can is pretrain", err)


def test_a_table_without_prompts_is_refused(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    code, _, err = run(capsys, "generate", str(model), "wine")
    assert code == 2
    assert "wine has no column of prompts. Name it: --role prompt=… with one of" in err


# --- predict -------------------------------------------------------------------------------------


def test_predictions_of_a_language_model_are_what_it_says(
    capsys: pytest.CaptureFixture[str], model: Path, writer: LanguageModel, sums: Path
) -> None:
    code, out, err = run(capsys, "predict", str(model), str(sums), "--role", "prompt=question")
    assert code == 0, err
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["row", "prediction"]
    assert [row[1] for row in rows[1:]] == writer.generate([f"{at}+1=" for at in range(60)])


def test_predictions_of_a_reward_model_are_scores(
    capsys: pytest.CaptureFixture[str], model: Path, sums: Path, tmp_path: Path
) -> None:
    judge, roles = str(tmp_path / "judge"), ["--role", "prompt=question", "chosen=answer", "rejected=wrong"]
    words = ["fit", "reward-model", str(sums), *roles, "--start", str(model), "--budget", "2 steps", "--out", judge]
    code, out, err = run(capsys, *words)
    assert code == 0, err
    assert f"manyways predict {judge}" in out
    _, out, _ = run(capsys, "predict", judge, str(sums), *roles)
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["row", "score_of_chosen", "score_of_rejected"]
    expected = mw.load(judge).score(["0+1=", "0+1="], ["1", "0"])
    assert [float(value) for value in rows[1][1:]] == pytest.approx(expected.tolist(), rel=1e-4)
    _, out, _ = run(capsys, "predict", judge, str(sums), "--role", "prompt=question", "completion=answer")
    assert out.splitlines()[0] == "row,score"
    code, _, err = run(capsys, "predict", judge, "wine")
    assert code == 2
    assert "has no answers to score. Name their columns: --role prompt=…" in err


def test_roles_are_for_language_models(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mw.LinearProbe().fit("wine").save(tmp_path / "m")
    code, _, err = run(capsys, "predict", str(tmp_path / "m"), "wine", "--role", "prompt=alcohol")
    assert code == 2
    assert "--role is for language models" in err


# --- methods, advise and compare -----------------------------------------------------------------


def test_a_language_method_is_shown_with_what_it_starts_from(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "methods", "dpo")
    assert "needs: a chosen and a rejected answer, a model to start from" in out
    assert "starts from: a model that gives generate, or a checkpoint of transformers" in out
    assert "Type: manyways fit 'pretrain >> dpo' DATA --out DIR" in out
    assert "manyways fit dpo DATA --checkpoint FOLDER --out DIR" in out
    _, out, _ = run(capsys, "methods", "pretrain")
    assert "starts from: nothing, or a model that gives generate, or a checkpoint of transformers" in out
    assert re.search(r"lora +None +whole number in \[1, inf\) or None", out)


def test_advice_on_language_data_is_in_chains(capsys: pytest.CaptureFixture[str], sums: Path) -> None:
    _, out, _ = run(capsys, "advise", "arithmetic")
    for chain in ("pretrain >> sft >> dpo", "pretrain >> sft >> kto", "pretrain >> sft", "pretrain", "masked-lm"):
        assert re.search(rf"^{re.escape(chain)} +\w", out, re.MULTILINE), chain
    assert re.search(r"^completion +completion$", out, re.MULTILINE)
    assert not re.search(r"^(inputs|label) ", out, re.MULTILINE)
    assert "manyways compare arithmetic --report report.html" in out
    roles = ["--role", "prompt=question", "chosen=answer", "rejected=wrong"]
    _, out, _ = run(capsys, "advise", str(sums), *roles)
    assert "dpo(checkpoint='FOLDER')" in out
    assert shlex.join(["manyways", "compare", str(sums), *roles, "--start", "FOLDER", "--report", "report.html"]) in out
    words = " ".join(out.split())
    assert re.search(r" sft it needs answers: [^.]*\. Name the columns: --role messages=…, or", words)


def test_preferences_are_compared_from_a_start(
    capsys: pytest.CaptureFixture[str], sums: Path, model: Path, tmp_path: Path
) -> None:
    report, numbers = tmp_path / "r.html", tmp_path / "r.json"
    roles = ["--role", "prompt=question", "chosen=answer", "rejected=wrong"]
    words = [str(sums), *roles, "--start", str(model), "--methods", "dpo,dpo(loss_type='ipo')", "--budget", "2 steps"]
    files = ["--report", str(report), "--json", str(numbers)]
    code, out, err = run(capsys, "compare", *words, "--seeds", "1", "--workers", "0", *files)
    assert code == 0, err
    assert "preference accuracy" in out
    saved = json.loads(numbers.read_text())
    assert [entry["name"] for entry in saved["entries"]] == ["start", "dpo", "dpo(loss_type='ipo')"]
    assert saved["data"]["task"] == "pairs"
    assert re.search(r"^\[1/3\] start, seed 0: preference_accuracy 0\.\d+", err, re.MULTILINE)
    assert report.stat().st_size > 1e4
