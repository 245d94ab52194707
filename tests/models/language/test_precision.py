"""Numbers go back into the type that they came from, and never into one that does not hold them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import manyways as mw
from manyways.models.language.precision import narrowest


def types(folder: Path) -> set[torch.dtype]:
    """The types of a folder's numbers, and that of its configuration."""
    kinds = {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()}
    said = json.loads((folder / "config.json").read_text())["dtype"]
    assert {getattr(torch, said)} == kinds
    return kinds


def checkpoints(place: Path, network: Any, tokenizer: Any, kind: torch.dtype) -> list[str]:
    """Two folders of transformers, of networks a little apart, in `kind`."""
    folders = []
    for at in range(2):
        other = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(at)))
        folders.append(str(place / f"{at}"))
        other.to(kind).save_pretrained(folders[-1])
        tokenizer.save_pretrained(folders[-1])
    return folders


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_a_merged_model_is_saved_as_the_first_was(
    kind: torch.dtype, causal: Any, tokenizer: Any, tmp_path: Path
) -> None:
    folders = checkpoints(tmp_path, causal, tokenizer, kind)
    out = mw.merge_folders(folders, tmp_path / "folder")
    made = mw.Merge(models=tuple(folders)).fit()
    saved = made.save(tmp_path / "model")
    assert types(out) == types(saved) == {kind}
    assert next(made.network.parameters()).dtype == torch.float32
    theirs = load_file(out / "model.safetensors")
    for name, tensor in load_file(saved / "model.safetensors").items():
        assert torch.equal(tensor, theirs[name]), name
    assert types(mw.load(saved).save(tmp_path / "again")) == {kind}


def test_what_has_learned_since_is_float32(causal: Any, tokenizer: Any, tmp_path: Path) -> None:
    (folder, _) = checkpoints(tmp_path, causal, tokenizer, torch.bfloat16)
    rows = mw.read({"text": ["abc abc", "bcd bcd", "cde cde", "abd"] * 4}, text="text")
    start = mw.load(folder)
    tuned = mw.Pretrain(context=8, batch_size=2, precision="float32").fit(rows, start, budget=2)
    assert types(start.save(tmp_path / "start")) == {torch.bfloat16}
    assert types(tuned.save(tmp_path / "tuned")) == {torch.float32}
    for name, tensor in mw.load(tmp_path / "tuned").network.state_dict().items():
        assert torch.equal(tensor, tuned.network.state_dict()[name]), name


def test_one_number_that_does_not_fit_keeps_all_as_they_are(causal: Any) -> None:
    network = copy.deepcopy(causal).to(torch.bfloat16).float()
    small = narrowest(network)
    assert {parameter.dtype for parameter in small.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    with torch.no_grad():
        next(network.parameters()).view(-1)[3] = 1 + 2**-20
    assert narrowest(network) is network
