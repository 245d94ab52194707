"""Environments on the command line."""

from pathlib import Path

import pytest

from manyways.cli import main
from manyways.comparison.advise import advise


def test_advise_names_what_acts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", "FrozenLake-v1", "--environment", "is_slippery=false"]) == 0
    said = capsys.readouterr().out
    assert "FrozenLake-v1(is_slippery=False), an environment" in said
    assert "16 choices" in said
    assert "manyways compare FrozenLake-v1 --environment is_slippery=false --report report.html" in said
    assert [each.name for each in advise("CartPole-v1") if each.possible] == ["ppo"]
    assert not {"ppo", "q-learning"} & {each.name for each in advise("digits") if each.possible}


def test_fit_scores_episodes_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model"
    lake = ["CliffWalking-v1", "--environment", "is_slippery=false"]
    assert main(["fit", "q-learning", *lake, "--budget", "500 steps", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "mean reward -13.0000, std reward 0.0000 (20 episodes)" in said
    assert f"--environment is_slippery=false --start {out} --out {out}-tuned" in said
    again = ["fit", "q-learning", *lake, "--budget", "10 steps", "--start", str(out), "--out", str(out) + "-tuned"]
    assert main(again) == 0
    assert "mean reward -13.0000" in capsys.readouterr().out
    assert main(["predict", str(out), "CliffWalking-v1"]) == 2
    assert "nothing about rows" in capsys.readouterr().err


@pytest.mark.quick
def test_unknown_environments_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "ppo", "CartPol-v1", "--out", str(tmp_path / "model")]) == 2
    assert "Did you mean 'CartPole-v1'?" in capsys.readouterr().err
