"""Self-training of a language model on sums, few of which are answered, beside learning from those alone.

    python benchmarks/quality/answers.py [--answered 150] [--steps 600] [--seeds 3]

A small model is pre-trained on the sums that are answered, and then learns answers. Every way has the same steps. The
answers that it gives to the other prompts are filtered by its own confidence, or by a rule that checks the sum; a line
is the share of test sums that are right, the mean over seeds with its 95% interval.
"""

import argparse
import time
from typing import Any

import numpy as np
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data

PRETRAIN = "pretrain(tokenizer='characters', context=32, size=0.5, batch_size=32)"
LARGEST, PROMPTS, TESTED = 30, 700, 200


def rule(prompts: list[str], completions: list[str]) -> list[float]:
    """1 where the sum is right."""
    return [float(text.strip() == answer(prompt)) for prompt, text in zip(prompts, completions, strict=True)]


def answer(prompt: str) -> str:
    """The right answer to a prompt."""
    return str(sum(map(int, prompt.removesuffix("=").split("+"))))


def sums(answered: int, seed: int) -> Data:
    """Sums of two numbers, of which some have a completion; the last ones are for testing."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(LARGEST**2)[: PROMPTS + TESTED]
    prompts = np.array([f"{pair // LARGEST}+{pair % LARGEST}=" for pair in pairs], object)
    completions = np.array([answer(prompt) for prompt in prompts], object)
    texts = np.array([prompt + text for prompt, text in zip(prompts, completions, strict=True)], object)
    completions[answered:PROMPTS] = ""
    texts[answered:PROMPTS] = prompts[answered:PROMPTS]
    part = np.repeat([0, 2], [PROMPTS, TESTED]).astype(np.uint8)
    columns = [Column(name, "text", values) for name, values in
               (("prompt", prompts), ("completion", completions), ("text", texts))]  # fmt: skip
    return Data.from_columns(
        columns, {name: [name] for name in ("prompt", "completion", "text")}, part=part, name="sums"
    )


def score(model: Any, data: Data) -> float:
    """The share of the test sums that are answered rightly."""
    prompts = [str(prompt) for prompt in data.test.take("prompt")]
    return float(np.mean(rule(prompts, model.generate(prompts, longest=6))))


def main() -> None:
    """Train each way, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answered", type=int, default=150)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sft = mw.SFT(batch_size=32, learning_rate=1e-3)
    asking: dict[str, Any] = {"base": sft, "longest": 6, "rounds": 3}
    ways = {
        "sft on the answered": sft,
        "self-training by confidence": mw.SelfTraining(**asking, threshold=0.9),
        "self-training by a rule": mw.SelfTraining(**asking, reward=rule, samples=8, temperature=1.0),
    }
    scores: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(options.seeds):
        data = sums(options.answered, seed)
        few = data.select(np.flatnonzero(data.take("completion") != ""))
        start = mw.parse_method(PRETRAIN).fit(few, budget=300, seed=seed)
        for name, method in ways.items():
            began = time.process_time()
            rows = few if name.startswith("sft") else data
            model: Any = method.fit(rows, start, budget=options.steps, seed=seed)
            scores[name].append(score(model, data))
            guesses = model.lineage.facts.get("guesses", [])
            prompts = [str(data.columns["prompt"].values[row]) for row in guesses]
            spent = time.process_time() - began
            print(f"    {name}, seed {seed}: {scores[name][-1]:.4f}, {len(prompts)} guesses; {spent:.0f} s", flush=True)
    for name, each in scores.items():
        half = 1.96 * np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
        print(f"  {name}: {np.mean(each):.4f} ± {half:.4f}", flush=True)


if __name__ == "__main__":
    main()
