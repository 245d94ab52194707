"""What an external memory reaches: names of new characters that come one step late, copying, and recall.

    python benchmarks/quality/memory.py [characters] [copying] [recall] [names] … [--steps 1500]

Every line is one seed, with the processor time of training. docs/results.md keeps what was printed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bits_loss
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.methods.expressions import parse_method
from manyways.models.external_memory import MemoryController, TuringMemory
from manyways.models.few_shot.memory_head import MemoryHead
from manyways.randomness import generator
from manyways.training.events import Event
from manyways.training.run import Run

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

Task = Callable[[int, int, torch.Generator], tuple[torch.Tensor, torch.Tensor, int]]
START_STEPS = 300
BITS, HIDDEN, POINT = 4, 64, 16
WAYS = ("mann(slots=64", "mann(slots=0", "ntm(slots=64")
LOOKS, EPISODES_OF_A_LOOK, EPISODES = 10, 100, 1000


def characters(steps: int, only: str) -> None:
    """Omniglot in sequences of 50: 5 characters of alphabets that were not learned from, and names that are shuffled.

    All start from the same features, those of a short run of ProtoNet.
    """
    folder = data_folder("omniglot")
    test = folder / "images_evaluation.npz"
    data = mw.read(folder / "images_background.npz", test=test, image_size=20, kinds={"label": "category"})
    began = time.process_time()
    start = parse_method("proto-net(backbone='conv4-strided', size=0.5, turned_classes=True)").fit(
        data, budget=START_STEPS
    )
    scores = start.evaluate(data.test, ways=5, episodes=EPISODES)
    say(f"  proto-net, {START_STEPS} steps", scores, time.process_time() - began)
    for name in (name for name in WAYS if only in name):
        way = f"{name}, turned_classes=True)"
        began = time.process_time()
        watch = Run(evaluations=LOOKS, listeners=[Looks(data, began)])
        model = parse_method(way).fit(data, start, budget=steps, run=watch)
        spent = time.process_time() - began
        say(f"  {way}, {steps} steps", model.evaluate(data.test, ways=5, episodes=EPISODES), spent)


def copying(steps: int, only: str) -> None:
    """A sequence of up to 6 numbers of 4 bits is repeated from memory; bits that are wrong, a sequence."""
    made(copy_of, steps, only, longest=6)


def recall(steps: int, only: str) -> None:
    """Of up to 4 items of 4 bits that were shown in order, the one after another of them; bits that are wrong."""
    made(recall_of, steps, only, longest=4)


def copy_of(count: int, length: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Inputs [count, steps, bits + 2], the bits wanted at the end, and how many steps that is."""
    bits = torch.randint(2, (count, length, BITS), generator=rng).float()
    inputs = torch.zeros(count, 2 * length + 1, BITS + 2)
    inputs[:, :length, :BITS] = bits
    inputs[:, length, BITS] = 1  # the end of what is to be repeated
    return inputs, bits, length


def recall_of(count: int, length: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, int]:
    """As `copy_of`: items, then one of them but the last, and wanted is the one that came after it."""
    length = max(2, length)
    items = torch.randint(2, (count, length, BITS), generator=rng).float()
    which = torch.randint(length - 1, (count,), generator=rng)
    inputs = torch.zeros(count, length + 2, BITS + 2)
    inputs[:, :length, :BITS] = items
    inputs[:, length, :BITS] = items[torch.arange(count), which]
    inputs[:, length, BITS + 1] = 1  # a query
    return inputs, items[torch.arange(count), which + 1][:, None], 1


def made(task: Task, steps: int, only: str, longest: int) -> None:
    """Train a Turing machine and its controller alone on a task of made sequences."""
    for name in (name for name in ("ntm", "lstm") if only in name):
        torch.manual_seed(0)
        memory = TuringMemory(HIDDEN, slots=16, width=8, reads=1) if name == "ntm" else None
        controller = MemoryController(BITS + 2, HIDDEN, memory)
        network = nn.ModuleList([controller, head := nn.Linear(controller.width, BITS)])
        optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-3, momentum=0.9)
        began = time.process_time()
        for step in range(1, steps + 1):
            rng = generator(0, step)
            length = int(torch.randint(1, longest + 1, (1,), generator=rng))
            inputs, wanted, asked = task(32, length, rng)
            loss = bits_loss(head(controller(inputs)[0][:, -asked:]), wanted)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            if step % max(1, steps // LOOKS) == 0:
                wrong = {}
                for size in (longest, 2 * longest):
                    inputs, wanted, asked = task(500, size, generator(1, size))
                    with torch.no_grad():
                        guess = head(controller(inputs)[0][:, -asked:]) > 0
                    wrong[f"wrong bits of {size} items"] = float((guess != wanted.bool()).float().sum((1, 2)).mean())
                say(f"  {name}, step {step}", wrong, time.process_time() - began)


def names(steps: int, only: str) -> None:
    """Points around 3 centres that are new in each sequence, 3 of each, and names that come one step late."""
    for name in (name for name in ("mann", "lstm") if only in name):
        torch.manual_seed(0)
        head = MemoryHead(POINT, 3, 3, HIDDEN, 64 if name == "mann" else 0, 16, 2, "least-used")
        optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
        began = time.process_time()
        for step in range(1, steps + 1):
            points, labels = points_of(16, torch.Generator().manual_seed(step - 1))
            loss = cross_entropy(head.follow(points, labels)[0].flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            if step % max(1, steps // LOOKS) == 0:
                points, labels = points_of(400, torch.Generator().manual_seed(2**16 - 1))
                with torch.no_grad():
                    right = head.follow(points, labels)[0].argmax(2) == labels
                count = (labels[:, :, None] == labels[:, None]).tril().sum(2)
                scores = {f"instance_{at}_accuracy": float(right[count == at].float().mean()) for at in (1, 2, 3)}
                say(f"  {name}, step {step}", scores, time.process_time() - began)


def points_of(count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [count, 9, numbers] and the centres that they lie around [count, 9]."""
    centres = torch.randn(count, 3, POINT, generator=rng)
    labels = torch.rand(count, 9, generator=rng).argsort(1) % 3
    noise = 0.3 * torch.randn(count, 9, POINT, generator=rng)
    return centres.gather(1, labels[..., None].expand(-1, -1, POINT)) + noise, labels


class Looks:
    """A listener that prints the scores on the way."""

    def __init__(self, data: Data, began: float) -> None:
        self.data, self.began = data, began

    def __call__(self, event: Event) -> None:
        """Print the scores of the model that is offered."""
        if event.kind == "evaluate" and event.model is not None:
            scores = event.model().evaluate(self.data.test, ways=5, episodes=EPISODES_OF_A_LOOK)
            say(f"    step {event.step}", scores, time.process_time() - self.began)


def say(name: str, scores: dict[str, float], seconds: float) -> None:
    """Print a line."""
    print(f"{name}: {', '.join(f'{key} {value:.3f}' for key, value in scores.items())}; {seconds:.0f} s", flush=True)


ALL = {"characters": characters, "copying": copying, "recall": recall, "names": names}


def main() -> None:
    """Do those that are named, or all."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("named", nargs="*", choices=[*ALL, []])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--only", default="", help="the beginning of the way that is tried; by default all are")
    given = parser.parse_args()
    for name, function in ALL.items():
        if not given.named or name in given.named:
            print(f"{name}: {(function.__doc__ or '').splitlines()[0]}", flush=True)
            function(given.steps, given.only)


if __name__ == "__main__":
    main()
