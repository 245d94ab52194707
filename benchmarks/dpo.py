"""DPO pairs per second against the DPOTrainer of TRL: same Llama, same pairs, same batches, same precision.

Both sides train one randomly initialised Llama of 5 M parameters in bfloat16 autocast on the same 64 pairs: prompts of
50 to 250 tokens, answers of 10 to 60, evenly drawn; batches of 8 pairs, fused AdamW with clipping. They run on one
thread and are counted in processor time, so that other work on the machine does not count. The peer runs in
`.venv-peers`, in blocks of steps that alternate with ours; the first steps of each are not counted. It is given tokens,
so that no tokenizer is timed. Gradient checkpointing, which it turns on by itself, is off: that is faster. It runs as
it comes, with the reference in every step, and with `precompute_ref_log_probs=True`; the faster of the two is the peer.

What counts is a training of three epochs, TRL's own number: the pass over the reference, ours or the peer's, is added
to the steps. The rates of steps alone stand beside it. On a CPU TRL projects every token to the vocabulary, with Triton
only those of the answers, as we do everywhere; so expect less on a GPU.

    python benchmarks/dpo.py
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, facts_of_peer, report, versions

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.models.language.architectures import new_network
from manyways.models.language.tokenizers import make_tokenizer
from manyways.models.language_model import LanguageModel
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

PAIRS, BATCH, STEPS, WARM, ROUNDS, EPOCHS, VOCABULARY, SIZE = 64, 8, 8, 2, 3, 3, 4096, 1.35
PROMPT, ANSWER = (50, 250), (10, 60)
TARGET = 2.5
SHAPE = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings", "tie_word_embeddings", "pad_token_id", "eos_token_id", "bos_token_id", "rms_norm_eps",
)  # fmt: skip
"""What makes both networks alike."""

PEER = """
import json, sys, time, torch, trl, transformers
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer
settings = json.load(open(sys.argv[1]))
torch.set_num_threads(1)
torch.manual_seed(0)
network, reference = (LlamaForCausalLM(LlamaConfig(**settings["config"])) for _ in range(2))
reference.load_state_dict(network.state_dict())
class Tokens(DPOTrainer):
    def _prepare_dataset(self, dataset, *more):
        return dataset
    def _precompute_ref_logps(self, *given):
        began = time.process_time()
        made = super()._precompute_ref_logps(*given)
        self.reference_seconds = time.process_time() - began
        return made
times = []
class Clock(TrainerCallback):
    def on_step_end(self, *given, **more):
        times.append(time.process_time())
arguments = DPOConfig(
    output_dir=sys.argv[2], per_device_train_batch_size=settings["batch"],
    max_steps=settings["warm"] + settings["steps"], bf16=True, use_cpu=True, gradient_checkpointing=False,
    precompute_ref_log_probs=settings["precompute"], max_length=None, report_to=[], save_strategy="no",
    logging_steps=1000, disable_tqdm=True, max_grad_norm=1.0, learning_rate=1e-5,
)
tokenizer = PreTrainedTokenizerFast(tokenizer_file=settings["tokenizer"], pad_token="<|pad|>", eos_token="<|end|>")
trainer = Tokens(
    network, None if settings["precompute"] else reference, arguments,
    train_dataset=Dataset.from_list(settings["rows"]), processing_class=tokenizer, callbacks=[Clock()],
)
trainer.train()
warm = settings["warm"]
spans = [b - a for a, b in zip(times[warm - 1:], times[warm:])]
print(json.dumps({"seconds": spans, "reference": getattr(trainer, "reference_seconds", 0.0), "trl": trl.__version__,
                  "transformers": transformers.__version__, "torch": torch.__version__,
                  "parameters": sum(p.numel() for p in network.parameters())}))
"""


def peer_block(settings: dict[str, Any], precompute: bool) -> dict[str, Any]:
    """Seconds of the DPOTrainer's steps, and of its pass over the reference where it takes one before."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "settings.json"
        file.write_text(json.dumps(settings | {"precompute": precompute}))
        quiet = {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": place}
        return facts_of_peer(PEER, str(file), place, **quiet)


def pairs() -> tuple[Data, Any]:
    """Random tokens, written so that a tokenizer made for them reads them back, and that tokenizer."""
    rng = np.random.default_rng(0)
    tokenizer = make_tokenizer("bytes", ["x"])
    own = len(tokenizer)
    tokenizer.add_tokens([f"<{at}>" for at in range(VOCABULARY - own)])

    def texts(lengths: tuple[int, int], less: int) -> Column:
        counts = rng.integers(lengths[0], lengths[1] + 1, PAIRS) - less
        made = ["".join(f"<{at}>" for at in rng.integers(0, VOCABULARY - own, count)) for count in counts]
        return Column("", "text", np.array(made, object))

    held = {"prompt": texts(PROMPT, 0), "chosen": texts(ANSWER, 1), "rejected": texts(ANSWER, 1)}  # 1: the end token
    columns = [Column(name, "text", column.values) for name, column in held.items()]
    return Data.from_columns(columns, {name: [name] for name in held}), tokenizer


def rate(step: float, reference: float) -> float:
    """Pairs per second of a training of `EPOCHS`, from seconds a step and seconds of the reference over all pairs."""
    return EPOCHS * PAIRS / (reference + EPOCHS * PAIRS / BATCH * step)


def run() -> list[Row]:
    """Measure both sides in turns, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [measure()]
    finally:
        torch.set_num_threads(threads)


def measure() -> Row:
    """What three epochs cost on both sides."""
    data, tokenizer = pairs()
    network: Any = new_network("causal", tokenizer, 512, SIZE)
    start = LanguageModel(network=network, tokenizer=tokenizer, gives=frozenset({"generate"}))
    method = mw.DPO(batch_size=BATCH, precision="bfloat16", learning_rate=1e-5)
    learner = method.begin(data, start, 0)
    learner.train()
    optimizer = make_optimizer(method, learner)
    rows = [
        {"prompt_ids": list(group.prompt), **{f"{name}_ids": list(answer.ids) for name, answer in answers}}
        for group in learner.groups
        for answers in [list(zip(("chosen", "rejected"), group.answers, strict=True))]
    ]
    ours: list[dict[str, float]] = []
    theirs: dict[str, list[dict[str, float]]] = {"in every step": [], "before": []}
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save_pretrained(place)
        settings = {
            "config": {name: getattr(network.config, name) for name in SHAPE}, "rows": rows, "batch": BATCH,
            "steps": STEPS, "warm": WARM, "tokenizer": str(Path(place) / "tokenizer.json"),
        }  # fmt: skip
        for turn in range(ROUNDS):
            began = time.process_time()
            method.prepare(learner)
            reference, spans = time.process_time() - began, []
            for step in range(STEPS + WARM):
                began = time.process_time()
                take_step(method, learner, optimizer, turn * STEPS + step, 1000, 0)
                spans.append(time.process_time() - began)
            ours.append({"step": statistics.mean(spans[WARM:]), "reference": reference})
            for way, blocks in theirs.items():
                facts = peer_block(settings, way == "before")
                blocks.append({"step": statistics.mean(facts["seconds"]), "reference": facts["reference"]})
    count = sum(p.numel() for p in network.parameters())
    assert count == facts["parameters"], (count, facts["parameters"])
    rates = {way: [rate(**block) for block in blocks] for way, blocks in theirs.items()}
    fastest = max(rates, key=lambda way: statistics.median(rates[way]))
    mine = [rate(**block) for block in ours]
    return {
        "name": f"DPO, Llama of {count / 1e6:.1f} M parameters, bfloat16, {EPOCHS} epochs with the reference",
        "ours": round(statistics.median(mine), 1),
        "peer": round(statistics.median(rates[fastest]), 1),
        "unit": "pairs/s",
        "ratio": round(statistics.median(a / b for a, b in zip(mine, rates[fastest], strict=True)), 2),
        "target": f"≥ {TARGET}",
        "peer_reference": fastest,
        "steps_alone": {
            "ours": round(BATCH / statistics.median(block["step"] for block in ours), 1),
            **{
                f"peer, reference {way}": round(BATCH / statistics.median(block["step"] for block in blocks), 1)
                for way, blocks in theirs.items()
            },
        },
        "reference_alone": {
            "ours": round(PAIRS / statistics.median(block["reference"] for block in ours), 1),
            "peer": round(PAIRS / statistics.median(block["reference"] for block in theirs["before"]), 1),
        },
        "versions": versions("transformers") | {f"peer {name}": facts[name] for name in ("trl", "transformers")},
    }


if __name__ == "__main__":
    report("dpo", run())
