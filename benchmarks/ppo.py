"""PPO on CartPole-v1: seconds until 20 episodes in a row last all 500 steps, against Stable-Baselines3.

Both sides run on one thread, with seeds 0, 1 and 2 in turns, and with hyper-parameters tuned for CartPole: the peer's
are those of its own zoo (8 environments × 32 steps, batches of 256, 20 epochs, learning rate and clip falling from
0.001 and 0.2, γ 0.98, λ 0.8); ours are `TUNED`. Both have two perceptrons of 64-64 tanh units. After every 1,024
steps in the environments the policy plays 20 episodes, the same on both sides, without chance in its actions; the
first time that all last 500 steps is the end. Playing those is not counted, nor are imports and a first short
training that warms both up.

Seconds are of processor time, as others work on the machine; seconds by the clock stand beside them. The peer runs in
`.venv-peers`.

    python benchmarks/ppo.py
"""

import json
import statistics
import time
from typing import Any

import torch
from common import Row, facts_of_peer, report, versions

import manyways as mw
from manyways.models.policy import SEED
from manyways.training.events import Event
from manyways.training.run import Run

SEEDS, EPISODES, EVERY, TARGET = (0, 1, 2), 20, 1024, 5
STEPS = 320
TUNED = {"learning_rate": 5e-3, "epochs": 5, "value_weight": 1.0}

PEER = """
import json, sys, time
import gymnasium, numpy as np, torch, stable_baselines3
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
settings = json.loads(sys.argv[1])
torch.set_num_threads(1)
def falling(start):
    return lambda left: start * left
def score(model):
    environments = gymnasium.make_vec("CartPole-v1", settings["episodes"])
    seen, _ = environments.reset(seed=settings["evaluation_seed"])
    total, running = np.zeros(settings["episodes"]), np.ones(settings["episodes"], bool)
    while running.any():
        actions, _ = model.predict(seen, deterministic=True)
        seen, reward, terminated, truncated, _ = environments.step(actions)
        total += reward * running
        running &= ~(terminated | truncated)
    return float(total.mean())
class Watch(BaseCallback):
    def __init__(self, clocks):
        super().__init__()
        self.clocks, self.reached, self.best = clocks, None, 0.0
        self.uncounted = [0.0, 0.0]
    def _on_step(self):
        return self.reached is None
    def _on_rollout_start(self):
        if not self.num_timesteps or self.num_timesteps % settings["every"]:
            return
        before = [clock() for clock in (time.process_time, time.perf_counter)]
        self.best = max(self.best, score(self.model))
        after = [clock() for clock in (time.process_time, time.perf_counter)]
        if self.best == 500:
            self.reached = [b - c - u for b, c, u in zip(before, self.clocks, self.uncounted)] + [self.num_timesteps]
        self.uncounted = [u + a - b for u, a, b in zip(self.uncounted, after, before)]
def train(steps, seed):
    watch = Watch([time.process_time(), time.perf_counter()])
    environments = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    model = PPO("MlpPolicy", environments, n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20,
                ent_coef=0.0, learning_rate=falling(0.001), clip_range=falling(0.2), seed=seed, device="cpu")
    model.learn(steps, callback=watch)
    return watch
train(512, 99)
watch = train(100_000, settings["seed"])
print(json.dumps({"reached": watch.reached, "best": watch.best, "stable-baselines3": stable_baselines3.__version__,
                  "gymnasium": gymnasium.__version__, "torch": torch.__version__}))
"""


class Reached(Exception):
    """All episodes lasted."""


class Watch:
    """A listener that plays the policy, and notes when it was as good as can be: seconds and steps in environments."""

    def __init__(self, method: Any) -> None:
        self.share = method.environments * method.horizon / method.period()
        self.began = [time.process_time(), time.perf_counter()]
        self.uncounted = [0.0, 0.0]
        self.reached: list[float] | None = None

    def __call__(self, event: Event) -> None:
        """Play when the run offers its model."""
        if event.kind != "evaluate" or event.model is None:
            return
        before = [time.process_time(), time.perf_counter()]
        score = event.model().evaluate("CartPole-v1")["mean_reward"]
        after = [time.process_time(), time.perf_counter()]
        if score == 500:
            spent = [b - c - u for b, c, u in zip(before, self.began, self.uncounted, strict=True)]
            self.reached = [*spent, event.step * self.share]
            raise Reached
        self.uncounted = [u + a - b for u, a, b in zip(self.uncounted, after, before, strict=True)]


def ours(seed: int) -> list[float]:
    """Processor seconds, seconds and steps in environments that we take."""
    method = mw.PPO(**TUNED)
    watch = Watch(method)
    evaluations = round(STEPS * watch.share / EVERY)
    try:
        method.fit("CartPole-v1", budget=STEPS, seed=seed, run=Run(listeners=[watch], evaluations=evaluations))
    except Reached:
        assert watch.reached is not None
        return watch.reached
    raise SystemExit(f"Seed {seed} did not get to 500 in {STEPS} steps.")


def peer(seed: int) -> dict[str, Any]:
    """The same of Stable-Baselines3, with its versions."""
    settings = {"seed": seed, "episodes": EPISODES, "every": EVERY, "evaluation_seed": SEED}
    found = facts_of_peer(PEER, json.dumps(settings), PYTHONWARNINGS="ignore", OMP_NUM_THREADS="1")
    if found["reached"] is None:
        raise SystemExit(f"The peer's seed {seed} did not get to 500; its best was {found['best']}.")
    return found


def run() -> list[Row]:
    """Measure both sides in turns."""
    torch.set_num_threads(1)
    mw.PPO(**TUNED).fit("CartPole-v1", budget=10)
    mine: list[list[float]] = []
    theirs: list[list[float]] = []
    facts: dict[str, Any] = {}
    for seed in SEEDS:
        mine.append(ours(seed))
        facts = peer(seed)
        theirs.append(facts["reached"])
        print(f"seed {seed}: ours {mine[-1]}, peer {theirs[-1]} (processor seconds, seconds, steps)", flush=True)

    def middle(side: list[list[float]], which: int) -> float:
        return round(statistics.median(each[which] for each in side), 2)

    def ratio(which: int) -> float:
        return round(statistics.median(b[which] / a[which] for a, b in zip(mine, theirs, strict=True)), 2)

    return [
        {
            "name": "PPO, CartPole-v1 to 500 in 20 of 20 episodes, median of 3 seeds",
            "ours": middle(mine, 0),
            "peer": middle(theirs, 0),
            "unit": "s of processor time",
            "ratio": ratio(0),
            "target": f"≥ {TARGET}",
            "by_the_clock": {"ours": middle(mine, 1), "peer": middle(theirs, 1), "ratio": ratio(1)},
            "environment_steps": {"ours": [each[2] for each in mine], "peer": [each[2] for each in theirs]},
            "versions": versions("gymnasium")
            | {f"peer {name}": facts[name] for name in ("stable-baselines3", "gymnasium", "torch")},
        }
    ]


if __name__ == "__main__":
    report("ppo", run())
