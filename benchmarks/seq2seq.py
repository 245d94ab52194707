"""Tokens per second of translation training against the Seq2SeqTrainer of transformers with a Marian of the same size.

Both sides learn multi30k, German to English: the same 4,000 tokens in the same rows, batches of 64 rows grouped by
length, an encoder and a decoder of three layers of width 192 (feed-forward 512, three heads), tied embeddings, dropout
and label smoothing of 0.1, AdamW with clipping, in float32, or bfloat16 where the machine has units for it; ours keeps
the average of its weights besides. They run on one thread and are counted in processor time, in blocks that alternate;
the first steps of each are not counted. Tokens are those of both languages, padding left out. The peer runs in
`.venv-peers`.

    python benchmarks/seq2seq.py
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import Row, data_folder, facts_of_peer, report, versions

import manyways as mw
from manyways.models.precision import fast_bfloat16
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

BATCH, STEPS, WARM, ROUNDS, ROWS = 64, 20, 3, 3, 6000
TARGET = 1.2

PEER = """
import json, sys, time, torch, transformers
from transformers import MarianConfig, MarianMTModel, Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback
read, written, vocabulary, batch, steps, warm, seed, fast = json.loads(open(sys.argv[1]).read())
torch.set_num_threads(1)
network = MarianMTModel(MarianConfig(
    vocab_size=vocabulary, d_model=192, encoder_layers=3, decoder_layers=3, encoder_attention_heads=3,
    decoder_attention_heads=3, encoder_ffn_dim=512, decoder_ffn_dim=512, dropout=0.1, attention_dropout=0.0,
    activation_dropout=0.0, pad_token_id=0, eos_token_id=4, decoder_start_token_id=3, activation_function="relu",
    max_position_embeddings=512, scale_embedding=True, forced_eos_token_id=4,
))
data = [{"input_ids": one, "labels": other, "length": len(one) + len(other)} for one, other in zip(read, written)]
times, tokens = [], []
def padded(rows, filler):
    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])
def collated(rows):
    ids, labels = padded([row["input_ids"] for row in rows], 0), padded([row["labels"] for row in rows], -100)
    tokens.append(int((ids != 0).sum() + (labels >= 0).sum()))
    before = labels.clamp_min(0)[:, :-1]
    start = torch.full((len(rows), 1), 3)
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": labels,
            "decoder_input_ids": torch.cat([start, before], 1)}
class Clock(TrainerCallback):
    def on_step_end(self, *given, **more):
        times.append((time.process_time(), len(tokens)))
arguments = Seq2SeqTrainingArguments(
    output_dir=sys.argv[2], per_device_train_batch_size=batch, max_steps=steps + warm, bf16=fast, use_cpu=True,
    report_to=[], save_strategy="no", logging_steps=1000, disable_tqdm=True, max_grad_norm=1.0, seed=seed,
    label_smoothing_factor=0.1, train_sampling_strategy="group_by_length", learning_rate=2e-3,
    remove_unused_columns=False,
)
Seq2SeqTrainer(network, arguments, train_dataset=data, data_collator=collated, callbacks=[Clock()]).train()
(began, first), (ended, last) = times[warm - 1], times[-1]
print(json.dumps({
    "speed": sum(tokens[warm : warm + steps]) / (ended - began), "parameters": network.num_parameters(),
    "transformers": transformers.__version__, "torch": torch.__version__,
}))
"""


def run() -> list[Row]:
    """Measure both sides in turns, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [measure()]
    finally:
        torch.set_num_threads(threads)


def measure() -> Row:
    """The tokens that a second of processor time is enough for, on both sides."""
    data = mw.read(data_folder("multi30k") / "train.de.gz", label="en").select(np.arange(ROWS))
    method = mw.Supervised(batch_size=BATCH, beta2=0.98)
    torch.manual_seed(0)
    learner = method.begin(data, None, 0)
    optimizer = make_optimizer(method, learner)
    learner.train()
    read = [row[row != 0].tolist() for row in learner.take(np.arange(len(data)))["de"]]
    written = [row[row >= 0].tolist() for row in learner.labels]
    vocabulary = learner.network.parts[0].config["vocabulary"]
    ours, theirs, facts = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        for turn in range(ROUNDS):
            seconds, tokens = 0.0, 0
            for step in range(turn * (STEPS + WARM), (turn + 1) * (STEPS + WARM)):
                began = time.process_time()
                take_step(method, learner, optimizer, step, 1000, 0)
                if step % (STEPS + WARM) >= WARM:
                    seconds += time.process_time() - began
                    rows = learner.pick(learner.labelled, BATCH, step).tolist()
                    tokens += sum(len(read[row]) + len(written[row]) for row in rows)
            ours.append(tokens / seconds)
            fast = fast_bfloat16(torch.device("cpu"))
            settings.write_text(json.dumps([read, written, vocabulary, BATCH, STEPS, WARM, turn, fast]))
            facts = facts_of_peer(PEER, str(settings), folder, TRANSFORMERS_VERBOSITY="error", OMP_NUM_THREADS="1")
            theirs.append(facts["speed"])
    ratio = statistics.median(mine / peer for mine, peer in zip(ours, theirs, strict=True))
    parameters = sum(parameter.numel() for parameter in learner.network.parameters())
    return {
        "name": f"translation, multi30k, {parameters / 1e6:.2f} M parameters (peer {facts['parameters'] / 1e6:.2f} M)",
        "ours": round(statistics.median(ours)),
        "peer": round(statistics.median(theirs)),
        "unit": "tokens/s of processor time",
        "ratio": round(ratio, 2),
        "target": f"≥ {TARGET}",
        "versions": versions("transformers") | {"peer transformers": facts["transformers"]},
    }


if __name__ == "__main__":
    report("seq2seq", run())
