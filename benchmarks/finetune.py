"""Fine-tuning steps per second against the Trainer of transformers: same encoder, same rows, same batch size.

Both sides fine-tune all-MiniLM-L6-v2 with a linear head on the same 1,000 labelled sentences of SST-2, in shuffled
batches of 32 that are padded to their longest, AdamW with clipping, with the checkpoint's own dropout and in float32,
or bfloat16 where the machine has units for it. They run on one thread and are counted in processor time, in blocks
that alternate; the first steps of each are not counted. The peer runs in `.venv-peers`.

    python benchmarks/finetune.py
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import Row, data_folder, facts_of_peer, report, versions

import manyways as mw
from manyways.models.precision import fast_bfloat16
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

BATCH, STEPS, WARM, ROUNDS, LABELS = 32, 6, 1, 2, 1000
TARGET = 1.0

PEER = """
import json, sys, time, torch
import transformers
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer,
                          TrainerCallback, TrainingArguments)
place, rows, batch, steps, warm, seed, fast = json.loads(open(sys.argv[1]).read())
torch.set_num_threads(1)
tokenizer = AutoTokenizer.from_pretrained(place)
network = AutoModelForSequenceClassification.from_pretrained(place, num_labels=2)
data = [{**tokenizer(text, truncation=True, max_length=256), "label": label} for text, label in rows]
times = []
class Clock(TrainerCallback):
    def on_step_end(self, *given, **more):
        times.append(time.process_time())
arguments = TrainingArguments(
    output_dir=sys.argv[2], per_device_train_batch_size=batch, max_steps=steps + warm, bf16=fast, use_cpu=True,
    report_to=[], save_strategy="no", logging_steps=1000, disable_tqdm=True, max_grad_norm=1.0, seed=seed,
)
Trainer(network, arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Clock()]).train()
spans = [b - a for a, b in zip(times[warm - 1:], times[warm:])]
print(json.dumps({"seconds": spans, "transformers": transformers.__version__, "torch": torch.__version__}))
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
    """What a step costs on both sides."""
    models = os.environ.get("MANYWAYS_MODELS") or Path(__file__).parents[1] / ".models"
    place = str(Path(models).absolute() / "all-MiniLM-L6-v2")
    kinds: dict[str, Any] = {"column_1": "category"}
    data = mw.read(str(data_folder("sst2")), label="column_1", kinds=kinds)
    data = data.select(data.part[data.rows] == 0).with_labels(LABELS)
    few = data.select(data.labelled)
    rows = list(zip(few.take("column_0").tolist(), [int(label) for label in few.take("column_1")], strict=True))
    method = mw.FineTune(backbone=place, batch_size=BATCH)
    torch.manual_seed(0)
    learner = method.begin(few, None, 0)
    optimizer = make_optimizer(method, learner)
    learner.train()
    ours, theirs, facts = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        for turn in range(ROUNDS):
            spans = []
            for step in range(STEPS + WARM):
                began = time.process_time()
                take_step(method, learner, optimizer, turn * (STEPS + WARM) + step, 1000, 0)
                spans.append(time.process_time() - began)
            ours.append(statistics.mean(spans[WARM:]))
            fast = fast_bfloat16(torch.device("cpu"))
            settings.write_text(json.dumps([place, rows, BATCH, STEPS, WARM, turn, fast]), encoding="utf-8")
            facts = facts_of_peer(PEER, str(settings), folder, TRANSFORMERS_VERBOSITY="error")
            theirs.append(statistics.mean(facts["seconds"]))
    ratio = statistics.median(peer / mine for mine, peer in zip(ours, theirs, strict=True))
    return {
        "name": f"fine-tuning, all-MiniLM-L6-v2, SST-2, batches of {BATCH}",
        "ours": round(1 / statistics.median(ours), 3),
        "peer": round(1 / statistics.median(theirs), 3),
        "unit": "steps/s",
        "ratio": round(ratio, 2),
        "target": f"≥ {TARGET}",
        "versions": versions("transformers") | {"peer transformers": facts["transformers"]},
    }


if __name__ == "__main__":
    report("finetune", run())
