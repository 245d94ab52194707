"""A small model learns to add from rewards alone: whether its answers are right."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.training.events import Event
from manyways.training.run import Run

HELD_OUT, SHOWN = 1000, 1000


def additions(which: NDArray[np.int64], answered: bool = True) -> Data:
    """Those of 00+00=000 to 99+99=198 whose numbers, below 10,000, are in `which`; only prompts unless `answered`."""
    columns = {"prompt": [f"{at // 100:02d}+{at % 100:02d}=" for at in which]}
    if answered:
        columns["completion"] = [f"{at // 100 + at % 100:03d}" for at in which]
        columns["text"] = [f"{asked}{said}" for asked, said in zip(*columns.values(), strict=True)]
    made = [Column(name, "text", np.array(values, object)) for name, values in columns.items()]
    return Data.from_columns(made, {name: [name] for name in columns})


def right(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """1 where the answer is the sum, else 0; no answer is shown."""
    sums = [sum(map(int, prompt.rstrip("=").split("+"))) for prompt in prompts]
    return [float(said == f"{number:03d}") for said, number in zip(completions, sums, strict=True)]


def accuracy(model: Model, data: Data) -> float:
    return float((model.predict(data) == data.take("completion")).mean())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_its_sft_accuracy_a_model_rises_by_rewards_to_95_per_cent() -> None:
    """Of 10,000 additions 1,000 are held out and 1,000 shown with answers; of the others only prompts are known."""
    order = np.random.default_rng(0).permutation(10_000)
    held, shown, asked = np.split(order, [HELD_OUT, HELD_OUT + SHOWN])
    test, threads = additions(held), torch.get_num_threads()
    torch.set_num_threads(1)

    def listen(event: Event) -> None:
        if event.kind == "step" and event.step % 100 == 0:
            print(f"step {event.step}: {event.values['reward']:.3f} of the sampled answers right")

    try:
        reader = mw.Pretrain(tokenizer="characters", context=16, size=0.67, batch_size=64, learning_rate=1e-3)
        start = reader.fit(additions(shown), budget=100)
        start = mw.SFT(batch_size=64, learning_rate=1e-3, weight_decay=0.1).fit(additions(shown), start, budget=600)
        before = accuracy(start, test)
        method = mw.GRPO(reward=right, batch_size=256, group_size=8, longest=5, updates=4, learning_rate=2e-4)
        model = method.fit(additions(asked, answered=False), start, budget=800, run=Run(listeners=[listen]))
        after = accuracy(model, test)
    finally:
        torch.set_num_threads(threads)
    print(f"held-out additions right: {before:.3f} after SFT, {after:.3f} after GRPO")
    assert isinstance(model, LanguageModel)
    assert before < 0.9
    assert after >= 0.95
