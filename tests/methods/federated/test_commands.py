"""Federations on the command line."""

import re
from pathlib import Path

import dp_accounting
import pytest
from dp_accounting import rdp

import manyways as mw
from manyways.cli import main


def test_clients_are_simulated_and_privacy_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model"
    data = ["digits", "--clients", "8", "--clients-alpha", "1", "--test-share", "0.2"]
    fields = ["--local-steps", "2", "--clip-update", "0.5", "--noise-multiplier", "1.5", "--participation", "0.5"]
    small = ["--backbone", "vit", "--size", "0.25"]
    assert main(["fit", "fed-avg", *data, *fields, *small, "--budget", "8 steps", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    accountant = rdp.RdpAccountant()
    accountant.compose(dp_accounting.PoissonSampledDpEvent(0.5, dp_accounting.GaussianDpEvent(1.5)), 4)
    privacy = mw.load(out).lineage.facts["privacy"]
    assert privacy["epsilon"] == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-9)
    assert re.search(r"^rounds +4$", said, re.MULTILINE)
    assert f"epsilon {privacy['epsilon']:.6g}, delta 1e-05, unit client" in said


@pytest.mark.quick
def test_without_clients_it_says_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "fed-avg", "digits", "--out", str(tmp_path / "model")]) == 2
    said = capsys.readouterr().err
    assert "--role client=…" in said
    assert "to simulate clients: --clients 10" in said
