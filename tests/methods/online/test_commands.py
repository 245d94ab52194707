"""Streams on the command line."""

from pathlib import Path

import numpy as np
import pytest

from manyways.cli import main


def test_what_is_said_of_a_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How well its rows were predicted before they were learned, and how often it was found to change."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(3000, 2))
    labels = (inputs[:, 0] > 0) ^ (np.arange(3000) >= 1500)
    rows = [f"{at},{x[0]:.4f},{x[1]:.4f},{'yes' if y else 'no'}" for at, (x, y) in enumerate(zip(inputs, labels))]  # noqa: B905
    path = tmp_path / "stream.csv"
    path.write_text("\n".join(["when,a,b,label", *rows]))
    out = ["--out", str(tmp_path / "model")]
    assert main(["fit", "online-sgd", str(path), "--role", "time=when", "--drift", "adwin", *out]) == 0
    said = capsys.readouterr().out
    assert "3,000 steps" in said
    assert "prequential  accuracy 0.9" in said
    assert "drifts       1\n" in said
