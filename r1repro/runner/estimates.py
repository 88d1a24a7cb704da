"""Seconds that stages take, from the sizes of their settings.

Measured on two CPU cores; larger models are slower. The students' stages, with smaller models on
one core, take about as long as the teacher's on both.
"""

from collections.abc import Callable

from r1repro.config import Config, lab

GENERAL_ITEMS = 1_110  # of the test split, the same at every scale
NO_LIMIT = 10**9


def times(factor: float, of: Callable[[Config], float], config: Config) -> float:
    """A stage that takes `factor` times as long as another."""
    return factor * of(config)


def base(name: str, rate: int, config: Config) -> float:
    """A base of the stage `name`, at `rate` tokens a second."""
    return 8 + getattr(config.stage, name).tokens / rate


def rl(name: str, config: Config, rate: int = 110) -> float:
    """RL, at `rate` completions a second; higher for its sampling alone."""
    settings = getattr(config.stage, name)
    return 6 + settings.steps * settings.questions * settings.generations / rate


def arm(name: str, config: Config) -> float:
    """An arm of the lab; a critic, or a model that reads every step, adds two fifths."""
    one = lab.arms()[name]
    settings = lab.settings(config.stage.r1_zero, one)
    rows = settings.batches * settings.questions * settings.generations
    if one.offline is not None:
        return 6 + one.share * rows / 600
    second = settings.objective.advantage == "gae" or one.learned_steps
    # A pass over a sample takes half of the time that sampling and one pass take.
    passes = (1 + settings.objective.passes) / 2
    return 6 + (1.4 if second else 1.0) * passes * rows / 110


def sft(name: str, data: str, config: Config) -> float:
    made, settings = getattr(config.stage, data), getattr(config.stage, name)
    return 6 + made.questions * made.kept * settings.epochs / 290


def samples(name: str, config: Config) -> float:
    settings = getattr(config.stage, name)
    return 6 + settings.questions * settings.samples / 500


def reward_model(config: Config) -> float:
    settings = config.stage.reward_model
    return 6 + settings.questions * (settings.epochs / 550 + settings.samples / 750)


def evaluation(config: Config) -> float:
    return 5 + _completions(config, config.evaluation.samples_between) / 300


def in_depth(config: Config) -> float:
    return 5 + _completions(config, config.evaluation.samples) / 330


def validation(config: Config) -> float:
    return 5 + _problems(config, "validation") * config.evaluation.samples / 330


def _completions(config: Config, samples: int) -> int:
    asked = config.evaluation
    items = min(GENERAL_ITEMS, asked.general_items or NO_LIMIT)
    return _problems(config, asked.split) * samples + items * asked.general_samples


def _problems(config: Config, split: str) -> int:
    there = config.task.test_problems if split == "test" else config.task.validation_problems
    return min(there, config.evaluation.problems or NO_LIMIT)


def search(config: Config) -> float:
    ways, answers = 8, 1 + 3 * config.evaluation.search_samples
    return 5 + _problems(config, "validation") * ways * answers / 200


def curve(config: Config) -> float:
    settings, samples = config.stage.r1_zero, config.evaluation.curve_samples or 0
    policies = 1 + settings.steps // (settings.snapshot_every or settings.steps)
    return 5 + policies * _problems(config, "validation") * samples / 300


def why(config: Config) -> float:
    settings = config.stage.r1_zero
    return 8 + 12 * settings.questions * settings.generations / 200


def offline_data(config: Config) -> float:
    settings = lab.settings(config.stage.r1_zero, lab.arms()[lab.REFERENCE])
    return 6 + settings.batches * settings.questions * settings.generations / 500


def process_model(config: Config) -> float:
    pairs = config.stage.reward_model
    return 10 + pairs.questions * (pairs.samples / 500 + pairs.epochs / 120)


def iterative(config: Config) -> float:
    """Two reward models, three rounds and their evaluations."""
    settings = config.stage.r1_zero
    rows = lab.of_round(settings).batches * settings.questions * settings.generations
    return 10 + 2 * process_model(config) + 3 * (rows / 95 + validation(config))
