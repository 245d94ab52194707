"""MaskedLM: it learns to fill in, and its features help what comes after."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.language.masked_lm import MaskedLM
from manyways.methods.transfer.linear_probe import LinearProbe


def repeated(rows: int) -> Data:
    """Each text says one of four words twice, so that a hidden one can be read off the other; the label is the word."""
    rng = np.random.default_rng(0)
    words = np.array(["alpha", "bravo", "delta", "gamma"])
    label = rng.integers(0, 4, rows)
    noise = rng.integers(100, 999, rows)
    texts = [f"{words[at]} {number} {words[at]} and so on" for at, number in zip(label, noise, strict=True)]
    columns = [Column("note", "text", np.array(texts, object)), Column("label", "category", words[label])]
    return Data.from_columns(columns, {"input": ["note"], "label": ["label"]}).with_test(0.2)


def test_it_learns_to_fill_in() -> None:
    data = repeated(300)
    few, many = (
        MaskedLM(vocabulary=320, context=24, size=0.25, batch_size=16).fit(data, budget=steps) for steps in (2, 150)
    )
    assert few.gives == {"fill", "embed"}
    assert many.evaluate(data.test)["nats_per_token"] < few.evaluate(data.test)["nats_per_token"] - 1.5
    assert many.evaluate(data.test) == many.evaluate(data.test)


def test_its_features_go_on_in_other_methods() -> None:
    """`masked_lm >> linear_probe` reads the column that was read before, and the features tell the words apart."""
    data = repeated(300).with_labels(40)
    chain = MaskedLM(vocabulary=320, context=24, size=0.25, batch_size=16) >> LinearProbe()
    model = chain.fit(data, budget=200)
    assert model.evaluate(data.test)["accuracy"] > 0.9


def test_its_folder_loads_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    data = repeated(60)
    model = MaskedLM(vocabulary=320, context=24, size=0.2).fit(data, budget=2)
    model.save(tmp_path / "model")
    network: Any = AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    assert mw.load(tmp_path / "model").evaluate(data.test) == model.evaluate(data.test)
