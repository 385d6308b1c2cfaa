"""Contestants of bench/ppo_training.py, each run in an interpreter of its own; answers JSON Lines.
`python bench/ppo_contestants.py ours | gymnasium | native`: a line whenever a policy was valued.
What the valuing costs is not counted; neither are imports. Compiling is."""

import json
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "containers/ppo"))
LIMIT_S = 60.0
"""CPU seconds that a peer may learn."""
STEPS = {"ours": 1_000_000, "gymnasium": 200_000, "native": 1_000_000}


class Course:
    """CPU seconds spent on learning, and what the policy was worth by then."""

    def __init__(self) -> None:
        self.exact = import_module("simulator.exact")
        policies = import_module("simulator.policies")
        observing = import_module("simulator.observing")
        self.features = observing.default_features()
        world = self.exact.world()
        self.best = self.exact.solve().value
        self.worst = self.exact.value_of(policies.draw_evenly())
        observer = observing.observer(self.features)
        self.observations = [observer.observe(world.situations, named) for named in (0, 1)]
        self.allowed = policies.allowed(world.situations)
        self.allowed |= ~self.allowed.any(axis=1, keepdims=True)
        self.uncounted_s = cpu_s()

    def spent_s(self) -> float:
        return cpu_s() - self.uncounted_s

    def tell(self, steps: int, chances_of: Callable[[Any], Any]) -> None:
        """chances_of: observations (S, d) -> probabilities (S, A)."""
        spent_s = self.spent_s()
        chances = [chances_of(observed) for observed in self.observations]
        sure = [(each == each.max(axis=1, keepdims=True)).astype(float) for each in chances]
        line = {
            "steps": steps,
            "cpu_s": spent_s,
            "percent": self._percent(chances),
            "greedy_percent": self._percent(sure),
        }
        print(json.dumps(line), flush=True)
        self.uncounted_s = cpu_s() - spent_s

    def _percent(self, policies: list[Any]) -> float:
        """0 is choosing at random, 100 the optimum; half of the episodes name symptoms."""
        values = [self.exact.value_of(policy) for policy in policies]
        return (sum(values) / len(values) - self.worst) / (self.best - self.worst) * 100


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def run_ours() -> None:
    ppo, networks = import_module("training.policy.ppo"), import_module("training.policy.networks")
    simulator = import_module("simulator.vectorised").IncidentSimulator
    course = Course()

    def on_chunk(snapshot: Any, progress: Any) -> bool:
        tensors = {
            name.removeprefix("tensors/"): array
            for name, array in snapshot.arrays.items()
            if name.startswith("tensors/")
        }
        course.tell(
            progress.steps,
            lambda observed: networks.probabilities_of(tensors, observed, course.allowed),
        )
        return False

    settings = ppo.PpoSettings(steps=STEPS["ours"])
    ppo.train(simulator(course.features), settings, on_chunk=on_chunk)


def run_peer(name: str) -> None:
    """stable-baselines3's own defaults, but for an undiscounted task and an annealed rate."""
    torch, sb3 = import_module("torch"), import_module("stable_baselines3")
    callbacks = import_module("stable_baselines3.common.callbacks")
    torch.set_num_threads(1)
    course = Course()

    def chances_of(observed: Any) -> Any:
        with torch.no_grad():
            seen = torch.as_tensor(observed)
            return learner.policy.get_distribution(seen).distribution.probs.double().numpy()

    class Watch(callbacks.BaseCallback):
        rollouts = 0

        def _on_step(self) -> bool:
            return course.spent_s() < LIMIT_S

        def _on_rollout_start(self) -> None:
            if self.rollouts and self.rollouts % every == 0:
                course.tell(self.num_timesteps, chances_of)
            self.rollouts += 1

    if name == "gymnasium":
        environments, every = usual_environments(), 10
        sizes = {"n_steps": 256, "batch_size": 256, "n_epochs": 10}
        rate, entropy = 1e-3, 0.01
    else:
        environments, every = native_environments(course.features), 10
        sizes = {"n_steps": 16, "batch_size": 1024, "n_epochs": 4}
        rate, entropy = 4e-3, 0.03
    learner = sb3.PPO(
        "MlpPolicy",
        environments,
        learning_rate=lambda left: rate * left,
        gamma=1.0,
        ent_coef=entropy,
        seed=1,
        device="cpu",
        **sizes,
    )
    course.uncounted_s = cpu_s()
    learner.learn(STEPS[name], callback=Watch())
    course.tell(learner.num_timesteps, chances_of)


def usual_environments() -> Any:
    """Eight of ours as they are registered, less the state document, which no learner reads."""
    vectors = import_module("stable_baselines3.common.vec_env")
    environment = import_module("simulator.environment").IncidentEnvironment

    class Lean(environment):
        def _info(self) -> dict[str, Any]:
            return {}

    return vectors.DummyVecEnv([Lean] * 8)


class NativeIncidents:
    """The same incidents, many at once in NumPy: what a user who measures would write."""

    def __init__(self, features: tuple[str, ...], count: int) -> None:
        self.np, self.rules = import_module("numpy"), import_module("simulator.incidents")
        self.observer = import_module("simulator.observing").observer(features)
        self.random = self.np.random.default_rng(1)
        self.count = count
        rules = self.rules
        contexts = (rules.TITLE_SHARE[:, None] * rules.SEVERITY_SHARE)[:, :, None]
        self.starts = contexts * rules.CAUSE_SHARE[:, None, :]
        self.findings = rules.FINDING_SHARE.cumsum(axis=1)[:, :-1]
        self.situation, self.cause, self.symptoms = self.draw()

    def draw(self) -> tuple[Any, Any, Any]:
        chances = self.starts.ravel() / self.starts.sum()
        start = self.random.choice(len(chances), size=self.count, p=chances)
        title, severity, cause = self.np.unravel_index(start, self.starts.shape)
        zeros = self.np.zeros(self.count, int)
        situation = self.rules.Situation(title, severity, zeros, zeros, zeros)
        return situation, cause, self.random.integers(2, size=self.count)

    def observe(self) -> Any:
        return self.observer.observe(self.situation, self.symptoms)

    def step(self, taken: Any) -> tuple[Any, Any]:
        """Return rewards and what is done; that begins anew."""
        rules, situation, cause = self.rules.RULES, self.situation, self.cause
        lots = self.random.random((2, self.count))
        resolved = (lots[0] < rules.success(situation, cause, taken)).astype(int)
        reward = rules.means(situation, taken, resolved).sum(axis=-1)
        gives_up = rules.gives_up(situation, taken) > 0
        done = (resolved == 1) | (taken == self.rules.ESCALATE) | gives_up
        finding = (lots[1][:, None] >= self.findings[cause]).sum(axis=1)
        ahead = rules.follow(situation, taken, finding)
        fresh, causes, symptoms = self.draw()
        where = self.np.where
        self.situation = self.rules.Situation(
            *(where(done, new, old) for new, old in zip(fresh, ahead, strict=True))
        )
        self.cause, self.symptoms = (
            where(done, causes, cause),
            where(done, symptoms, self.symptoms),
        )
        return reward.astype(self.np.float32), done


def native_environments(features: tuple[str, ...]) -> Any:
    gymnasium, count = import_module("gymnasium"), 256
    vectors = import_module("stable_baselines3.common.vec_env.base_vec_env")
    incidents = NativeIncidents(features, count)

    class Native(vectors.VecEnv):
        def reset(self) -> Any:
            return incidents.observe()

        def step_async(self, actions: Any) -> None:
            self.actions = actions

        def step_wait(self) -> Any:
            reward, done = incidents.step(self.actions)
            # No `terminal_observation` is needed: nothing here is ever truncated.
            return incidents.observe(), reward, done, [{} for _ in range(count)]

        def close(self) -> None: ...

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [None] * count

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...

        def env_method(self, method_name: str, *args: Any, **more: Any) -> list[Any]:
            return [None] * count

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return [False] * count

    spaces = gymnasium.spaces
    seen = spaces.Box(0.0, 1.0, (len(features),), import_module("numpy").float32)
    return Native(count, seen, spaces.Discrete(len(incidents.rules.ACTIONS)))


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        run_ours()
    else:
        run_peer(sys.argv[1])
