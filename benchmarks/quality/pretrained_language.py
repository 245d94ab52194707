"""What fine-tuning and preferences do to a real language model, SmolLM2-135M-Instruct.

    sft         SFT with LoRA on 500 problems of gsm8k: nats of held-out answers before and after
    dpo         DPO with LoRA on pairs of TruthfulQA: preference accuracy of held-out pairs before and after

Name one or both: python benchmarks/quality/pretrained_language.py sft. `make models` fetches the model; the data lie in
$MANYWAYS_DATA. Printed are processor seconds and peak memory, too.
"""

import csv
import gzip
import json
import os
import resource
import sys
import time
from pathlib import Path

import manyways as mw

MODEL = Path(os.environ.get("MANYWAYS_MODELS", ".models")) / "SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
DATA = Path(os.environ["MANYWAYS_DATA"])


def conversation(question: str, answer: str) -> list[dict[str, str]]:
    """A question of the user with its answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def problems(part: str, count: int) -> list[list[dict[str, str]]]:
    """The first problems of a part of gsm8k, as conversations."""
    path = next((DATA / "gsm8k").glob(f"*{part}*"))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][:count]
    return [conversation(row["question"], row["answer"]) for row in rows]


def pairs() -> mw.Data:
    """Questions of TruthfulQA with the best answer and the first incorrect one, a quarter held out."""
    with next((DATA / "truthfulqa").glob("*.csv")).open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["Best Answer"].strip() and row["Incorrect Answers"].strip()]
    asked = [[{"role": "user", "content": row["Question"]}] for row in rows]
    chosen = [[{"role": "assistant", "content": row["Best Answer"]}] for row in rows]
    rejected = [[{"role": "assistant", "content": row["Incorrect Answers"].split(";")[0].strip()}] for row in rows]
    return mw.read({"prompt": asked, "chosen": chosen, "rejected": rejected}).with_test(0.25)


def measured(method: mw.Method, data: mw.Data, held_out: mw.Data, name: str, budget: str) -> mw.Model:
    """Fit, and print a score of held-out rows before and after, processor seconds, and peak memory."""
    before = mw.load(MODEL).evaluate(held_out)[name]
    began, clock = time.process_time(), time.perf_counter()
    model = method.fit(data, budget=budget)
    spent, waited = time.process_time() - began, time.perf_counter() - clock
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    after = model.evaluate(held_out)[name]
    print(f"{method}\n  {name}: {before:.4f} -> {after:.4f} on {len(held_out)} held-out rows")
    print(f"  {spent:.0f} s of processor time, {waited:.0f} s by the clock, {memory:.2f} GB at most")
    return model


def sft() -> None:
    """SFT with LoRA on 500 problems."""
    data, held_out = mw.read({"messages": problems("train", 500)}), mw.read({"messages": problems("test", 100)})
    method = mw.SFT(checkpoint=str(MODEL), lora=16, batch_size=16, micro_batch_size=2, too_long="skip")
    model = measured(method, data, held_out, "nats_per_token", os.environ.get("BUDGET", "32 steps"))  # one epoch
    for problem in problems("test", 2):
        print("  ", repr(model.reply(problem[:1], longest=200)))


def dpo() -> None:
    """DPO with LoRA on pairs of answers."""
    data = pairs()
    method = mw.DPO(checkpoint=str(MODEL), lora=16, batch_size=8)
    model = measured(method, data, data.test, "preference_accuracy", os.environ.get("BUDGET", "150 steps"))
    print("  ", repr(model.reply([{"role": "user", "content": "What happens if you crack your knuckles a lot?"}])))


if __name__ == "__main__":
    for name in sys.argv[1:] or ["sft", "dpo"]:
        {"sft": sft, "dpo": dpo}[name]()
