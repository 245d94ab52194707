"""The training part of a GRPO step against the GRPOTrainer of TRL: same Llama, same answers, same arithmetic.

Both sides compute the loss of one rollout and its gradient: groups of 8 answers of 32 tokens to prompts of 256 tokens,
by a randomly initialised Llama of 5 M parameters. Ours is `draw` on a later step of the rollout, which packs it, `loss`
and the backward pass; the peer's is `GRPOTrainer._compute_loss` and the backward pass, on tensors that are ready.
Neither samples, calls a reward or steps an optimiser. The peer runs in `.venv-peers` and takes turns with ours; its
gradient checkpointing, on by default, is off, which is faster. Both run on one thread and are counted in processor
time, each in its own process.

Both are given the same weights, tokens, advantages and earlier log-probabilities, with which their losses and the norms
of their gradients must agree.

    python benchmarks/grpo.py
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, median_ratio, peer_command, report, versions
from safetensors.torch import save_file

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.preference.grpo import advantages
from manyways.models.language.architectures import new_network
from manyways.models.language.tokenizers import make_tokenizer
from manyways.models.language_model import LanguageModel

PROMPTS, GROUP, PROMPT, ANSWER, VOCABULARY, SIZE = 4, 8, 256, 32, 4096, 1.35
ROUNDS, WARM = 9, 2
TARGET = 2.5
SHAPE = [
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings", "tie_word_embeddings", "pad_token_id", "eos_token_id", "bos_token_id", "rms_norm_eps",
]  # fmt: skip

PEER = """
import json, sys, time, torch, trl, transformers
from datasets import Dataset
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer
settings = json.load(open(sys.argv[1]))
torch.set_num_threads(settings["threads"])
network = LlamaForCausalLM(LlamaConfig(**settings["config"]))
network.load_state_dict(load_file(settings["weights"]), strict=False)
given = load_file(settings["rollout"])
arguments = GRPOConfig(
    output_dir=sys.argv[2], per_device_train_batch_size=len(given["completion_ids"]), num_generations=settings["group"],
    max_completion_length=given["completion_ids"].shape[1], bf16=settings["bfloat16"], use_cpu=True, report_to=[],
    gradient_checkpointing=False, loss_type="grpo", beta=0.0, epsilon=0.2, num_iterations=2, save_strategy="no",
)
tokenizer = PreTrainedTokenizerFast(tokenizer_file=settings["tokenizer"], pad_token="<|pad|>", eos_token="<|end|>")
trainer = GRPOTrainer(
    network, lambda completions, **more: [0.0] * len(completions), arguments,
    train_dataset=Dataset.from_list([{"prompt": "x"}] * 8), processing_class=tokenizer,
)
network = trainer.accelerator.prepare(trainer.model)
network.train()
trainer.current_gradient_accumulation_steps = 1
def step():
    network.zero_grad(set_to_none=True)
    with trainer.compute_loss_context_manager():
        loss = trainer._compute_loss(network, given)
    loss.backward()
    return float(loss.detach())
loss = step()
norm = float(torch.cat([p.grad.flatten() for p in network.parameters()]).norm())
print(json.dumps({"loss": loss, "norm": norm, "trl": trl.__version__, "transformers": transformers.__version__,
                  "parameters": sum(p.numel() for p in network.parameters())}), flush=True)
for line in sys.stdin:
    began = time.process_time()
    step()
    print(json.dumps({"seconds": time.process_time() - began}), flush=True)
"""


def start_model() -> LanguageModel:
    """A new model with random weights."""
    tokenizer = make_tokenizer("bytes", ["x"])
    tokenizer.add_tokens([f"<{at}>" for at in range(VOCABULARY - len(tokenizer))])
    torch.manual_seed(0)
    network = new_network("causal", tokenizer, PROMPT + ANSWER, SIZE)
    return LanguageModel(network=network, tokenizer=tokenizer, gives=frozenset({"generate"}))


def ours(start: LanguageModel, precision: Any) -> tuple[Callable[[], float], Any]:
    """A function that takes the training part of a step, and the learner with its rollout."""
    columns = [Column("prompt", "text", np.array(["x"] * PROMPTS, object))]
    data = Data.from_columns(columns, {"prompt": ["prompt"]})
    method = mw.GRPO(
        batch_size=PROMPTS, group_size=GROUP, longest=ANSWER, updates=2, precision=precision,
        reward=lambda completions: [0.0] * len(completions),
    )  # fmt: skip
    learner = method.begin(data, start, 0)
    learner.train()
    rng = torch.Generator().manual_seed(1)
    first = 4  # of the tokens that are not special
    learner.prompts = torch.randint(first, VOCABULARY, (PROMPTS, PROMPT), generator=rng).tolist()
    learner.prompt_rows.copy_(torch.arange(PROMPTS))
    learner.tokens.copy_(torch.randint(first, VOCABULARY, learner.tokens.shape, generator=rng))
    learner.rewards.copy_(torch.rand(learner.rewards.shape, generator=rng))
    with torch.no_grad():
        said = learner.log_probabilities(learner.network, learner.packed(learner.unequal))
        learner.old.copy_((said + 0.2 * torch.randn(said.shape, generator=rng)).view_as(learner.old))

    def step() -> float:
        learner.zero_grad(set_to_none=True)
        batch = method.draw(learner, 1, rng)
        with method.loss_context(learner):
            loss, _ = method.loss(learner, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    return step, learner


@contextmanager
def peer(learner: Any, bfloat16: bool) -> Iterator[tuple[Callable[[], float], dict[str, Any]]]:
    """A function that lets TRL take the same step in its own process and gives its seconds; what its first one gave."""
    with tempfile.TemporaryDirectory() as place:
        folder, network = Path(place), learner.network
        learner.tokenizer.save_pretrained(folder)
        weights = {name: tensor.contiguous().clone() for name, tensor in network.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")
        completions = learner.tokens.flatten(0, 1)
        prompts = torch.tensor(learner.prompts).repeat_interleave(GROUP, 0)
        rollout = {
            "prompt_ids": prompts, "prompt_mask": torch.ones_like(prompts),
            "completion_ids": completions.clone(), "completion_mask": torch.ones_like(completions),
            "advantages": advantages(learner.rewards, scaled=True).flatten(),
            "old_per_token_logps": learner.old.flatten(0, 1).clone(),
            "num_items_in_batch": torch.tensor(completions.numel()),
        }  # fmt: skip
        save_file(rollout, folder / "rollout.safetensors")
        settings = {
            "config": {name: getattr(network.config, name) for name in SHAPE}, "threads": torch.get_num_threads(),
            "weights": str(folder / "weights.safetensors"), "rollout": str(folder / "rollout.safetensors"),
            "tokenizer": str(folder / "tokenizer.json"), "group": GROUP, "bfloat16": bfloat16,
        }  # fmt: skip
        (folder / "settings.json").write_text(json.dumps(settings))
        quiet = {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": place}
        with (
            (folder / "errors").open("w") as errors,
            subprocess.Popen(
                peer_command(PEER, str(folder / "settings.json"), place), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **quiet},
            ) as process,
        ):  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None

            def answer() -> dict[str, Any]:
                line = process.stdout.readline()  # type: ignore[union-attr]
                if not line:
                    raise SystemExit(f"The peer failed:\n{(folder / 'errors').read_text()[-3000:]}")
                return dict(json.loads(line))

            def step() -> float:
                process.stdin.write("\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
                return float(answer()["seconds"])

            yield step, answer()
            process.stdin.close()


def in_turns(mine: Callable[[], object], theirs: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of processor time of both sides over ROUNDS."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(ROUNDS + WARM):
        began = time.process_time()
        mine()
        mine_took, theirs_took = time.process_time() - began, theirs()
        if turn >= WARM:
            seconds["ours"].append(mine_took)
            seconds["peer"].append(theirs_took)
    return seconds


def measure(start: LanguageModel, precision: str) -> Row:
    """Seconds of both sides in turns, after their losses and gradients were found to be the same."""
    mine, learner = ours(start, precision)
    count = sum(p.numel() for p in learner.network.parameters())
    with peer(learner, precision == "bfloat16") as (theirs, facts):
        loss = mine()
        norm = float(torch.cat([p.grad.flatten() for p in learner.network.parameters()]).norm())
        close = {"float32": 1e-5, "bfloat16": 2e-2}[precision]
        assert abs(loss - facts["loss"]) < close, (loss, facts["loss"])
        assert abs(norm / facts["norm"] - 1) < 5 * close, (norm, facts["norm"])
        assert count == facts["parameters"], (count, facts["parameters"])
        seconds = in_turns(mine, theirs)
    answers = PROMPTS * GROUP
    return {
        "name": f"GRPO's training part, Llama of {count / 1e6:.1f} M parameters, {precision}, groups of {GROUP}",
        "ours": round(answers / statistics.median(seconds["ours"]), 1),
        "peer": round(answers / statistics.median(seconds["peer"]), 1),
        "unit": "answers/s",
        "ratio": round(median_ratio(seconds), 2),
        "target": f"≥ {TARGET}",
        "same": {"loss": [loss, facts["loss"]], "gradient": [norm, facts["norm"]]},
        "versions": versions("transformers") | {f"peer {name}": facts[name] for name in ("trl", "transformers")},
    }


def run() -> list[Row]:
    """In both arithmetics."""
    torch.set_num_threads(1)
    start = start_model()
    return [measure(start, precision) for precision in ("float32", "bfloat16")]


if __name__ == "__main__":
    report("grpo", run())
