"""Pre-training tokens per second against the Trainer of transformers: same Llama, same batches, same precision.

Both sides train one randomly initialised Llama of 5 M parameters on windows of 256 tokens in bfloat16 autocast, batches
of 16, AdamW with clipping. They run on one thread and are counted in processor time, so that other work on the machine
does not count. The peer runs in `.venv-peers`, in blocks of steps that alternate with ours; the first steps of each are
not counted. The thread's matmul peak is measured beside it, in the same precision, with matrices of 2,048; the share of
it that training reaches is stated: 6 operations per parameter and token.

    python benchmarks/pretrain.py
"""

import json
import statistics
import tempfile
import time
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

CONTEXT, BATCH, STEPS, WARM, ROUNDS, VOCABULARY, SIZE = 256, 16, 8, 3, 4, 4096, 1.35
TARGET = 1.2
SHAPE = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings", "tie_word_embeddings", "pad_token_id", "eos_token_id", "bos_token_id", "rms_norm_eps",
)  # fmt: skip
"""What makes both networks alike."""

PEER = """
import json, sys, time, torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments
import transformers
config, batch, steps, warm = json.loads(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(0)
network = LlamaForCausalLM(LlamaConfig(**config))
length = config["max_position_embeddings"]
rows = torch.randint(4, config["vocab_size"], (batch * (steps + warm), length + 1))
data = [{"input_ids": row[:-1], "labels": row[:-1]} for row in rows]
times = []
class Clock(TrainerCallback):
    def on_step_end(self, *given, **more):
        times.append(time.process_time())
arguments = TrainingArguments(
    output_dir=sys.argv[2], per_device_train_batch_size=batch, max_steps=steps + warm, bf16=True, use_cpu=True,
    report_to=[], save_strategy="no", logging_steps=1000, disable_tqdm=True, max_grad_norm=1.0,
)
Trainer(network, arguments, train_dataset=data, callbacks=[Clock()]).train()
spans = [b - a for a, b in zip(times[warm - 1:], times[warm:])]
print(json.dumps({"seconds": spans, "transformers": transformers.__version__, "torch": torch.__version__,
                  "parameters": sum(p.numel() for p in network.parameters())}))
"""


def peer_block(config: dict[str, Any], place: str) -> dict[str, Any]:
    """Seconds of the Trainer's steps."""
    settings = json.dumps([config, BATCH, STEPS, WARM])
    return facts_of_peer(PEER, settings, place, TRANSFORMERS_VERBOSITY="error")


def matmul_peak() -> float:
    """Operations per second of large bfloat16 products, the best of several."""
    left, right = torch.randn(2, 2048, 2048, dtype=torch.bfloat16).unbind()
    seconds = []
    for _ in range(6):
        began = time.process_time()
        left @ right
        seconds.append(time.process_time() - began)
    return 2 * 2048**3 / min(seconds)


def run() -> list[Row]:
    """Measure both sides in turns, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [measure()]
    finally:
        torch.set_num_threads(threads)


def measure() -> Row:
    """What a step costs on both sides, and what the thread could do at most."""
    rng = np.random.default_rng(0)
    tokenizer = make_tokenizer("bytes", ["x"])
    tokenizer.add_tokens([f"<{at}>" for at in range(VOCABULARY - len(tokenizer))])
    network: Any = new_network("causal", tokenizer, CONTEXT, SIZE)
    config = {name: getattr(network.config, name) for name in SHAPE}
    text = np.array(["".join(map(chr, rng.integers(97, 123, 5000))) for _ in range(20)], object)
    data = Data.from_columns([Column("text", "text", text)], {"text": ["text"]})
    start = LanguageModel(network=network, tokenizer=tokenizer, gives=frozenset({"generate"}), columns=("text",))
    method = mw.Pretrain(context=CONTEXT, batch_size=BATCH, precision="bfloat16")
    learner = method.begin(data, start, 0)
    learner.stream = rng.integers(4, VOCABULARY, len(learner.stream)).astype(np.int32)
    optimizer = make_optimizer(method, learner)
    ours, theirs, peaks, facts = [], [], [], {}
    learner.train()
    with tempfile.TemporaryDirectory() as place:
        for turn in range(ROUNDS):
            spans = []
            for step in range(STEPS + WARM):
                began = time.process_time()
                take_step(method, learner, optimizer, turn * STEPS + step, 1000, 0)
                spans.append(time.process_time() - began)
            ours.append(statistics.median(spans[WARM:]))
            facts = peer_block(config, place)
            theirs.append(statistics.median(facts["seconds"]))
            peaks.append(matmul_peak())
    count = sum(p.numel() for p in network.parameters())
    assert count == facts["parameters"], (count, facts["parameters"])
    tokens = BATCH * CONTEXT
    rate = tokens / statistics.median(ours)
    ratio = statistics.median(peer / mine for mine, peer in zip(ours, theirs, strict=True))
    return {
        "name": f"pre-training, Llama of {count / 1e6:.1f} M parameters, bfloat16",
        "ours": round(rate),
        "peer": round(tokens / statistics.median(theirs)),
        "unit": "tokens/s",
        "ratio": round(ratio, 2),
        "target": f"≥ {TARGET}",
        "share_of_matmul_peak": round(6 * count * rate / max(peaks), 3),
        "versions": versions("transformers") | {"peer transformers": facts["transformers"]},
    }


if __name__ == "__main__":
    report("pretrain", run())
