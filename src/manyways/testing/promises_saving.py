"""Promises about models on disk: what was saved is what is loaded."""

import tempfile
from pathlib import Path

import numpy as np

from manyways.models.saving import load_model
from manyways.testing.trial import SEED, STEPS, Trial, answers, difference, require


def saved_and_loaded_same_answers(trial: Trial) -> None:
    """A model that is saved and loaded gives bitwise the same answers, and has the same lineage."""
    model = trial.reference
    with tempfile.TemporaryDirectory() as place:
        folder = model.save(Path(place) / "model")
        endings = {file.suffix for file in folder.iterdir()}
        require(endings == {".json", ".safetensors"}, f"the folder holds files ending in {', '.join(endings)}.")
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
        return
    with tempfile.TemporaryDirectory() as place:
        loaded = load_model(trial.start.save(Path(place) / "start"))
    made = trial.method.fit(trial.data, loaded, budget=STEPS, seed=SEED)
    wrong = difference(trial.reference, made)
    require(wrong is None, f"from a loaded start the weights are others: {wrong}.")
