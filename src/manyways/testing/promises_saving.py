"""Promises about models on disk: what was saved is what is loaded."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from manyways.models.backbones._checkpoints import quiet
from manyways.models.saving import load_model
from manyways.testing.trial import SEED, STEPS, Trial, answers, difference, require, skip

ENDINGS = frozenset({".json", ".safetensors", ".jinja", ".txt"})
"""Files that hold numbers and words; none can run when it is opened."""


def saved_and_loaded_same_answers(trial: Trial) -> None:
    """A model that is saved and loaded gives bitwise the same answers, and has the same lineage."""
    model = trial.reference
    with tempfile.TemporaryDirectory() as place:
        folder = model.save(Path(place) / "model")
        strange = sorted({file.suffix for file in folder.rglob("*") if file.is_file()} - ENDINGS)
        require(not strange, f"the folder holds files ending in {', '.join(strange)}.")
        loaded = load_model(folder)
    wrong = difference(model, loaded)
    require(wrong is None, f"the loaded weights are others: {wrong}.")
    for name, said in answers(model, trial.data.test).items():
        same = np.array_equal(said, answers(loaded, trial.data.test)[name])
        require(same, f"the loaded model gives other {name}.")
    require(loaded.target == model.target, f"the target was {model.target} and is {loaded.target}.")
    require(loaded.gives == model.gives, f"it gave {sorted(model.gives)} and gives {sorted(loaded.gives)}.")
    require(loaded.lineage.to_json() == model.lineage.to_json(), "the loaded lineage is another.")
    for ours, theirs in zip(model.lineage.stages(), loaded.lineage.stages(), strict=True):
        require(np.array_equal(ours.rows, theirs.rows), f"the row ids of {ours.title} are others.")


def a_saved_model_is_a_start(trial: Trial) -> None:
    """Learning from a model that was saved and loaded is learning from the model itself."""
    if trial.start is None:
        skip("it starts from no model")
    with tempfile.TemporaryDirectory() as place:
        loaded = load_model(trial.start.save(Path(place) / "start"))
    made = trial.method.fit(trial.data, loaded, budget=STEPS, seed=SEED)
    wrong = difference(trial.reference, made)
    require(wrong is None, f"from a loaded start the weights are others: {wrong}.")


def opens_in_transformers(trial: Trial) -> None:
    """A model that says it is one of transformers is: with bitwise the same weights, and a tokenizer."""
    model = trial.reference
    with tempfile.TemporaryDirectory() as place:
        folder = model.save(Path(place) / "model")
        if not (folder / "config.json").exists():
            return
        import transformers

        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]
        with quiet():
            network = getattr(transformers, stated).from_pretrained(folder, use_safetensors=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    there, here = network.state_dict(), model.network.state_dict()
    lost = here.keys() ^ there.keys()
    require(not lost, f"weights have other names there: {sorted(lost)[:4]}.")
    wrong = [name for name in here if not torch.equal(here[name].cpu(), there[name])]
    require(not wrong, f"{len(wrong)} of {len(here)} weights are others there, the first is {wrong[:1]}.")
    known = network.get_input_embeddings().num_embeddings
    require(len(tokenizer) <= known, f"the tokenizer has {len(tokenizer)} tokens, the network {known}.")
