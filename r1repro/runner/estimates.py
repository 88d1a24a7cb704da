"""Seconds that stages take, from the sizes of their settings.

Measured on two CPU cores; larger models are slower. The students' stages, with smaller models on
one core, take about as long as the teacher's on both.
"""

from r1repro.config import Config

GENERAL_ITEMS = 1_110  # of the test split, the same at every scale


def base(name: str, rate: int, config: Config) -> float:
    """A base of the stage `name`, at `rate` tokens a second."""
    return 8 + getattr(config.stage, name).tokens / rate


def rl(name: str, config: Config) -> float:
    settings = getattr(config.stage, name)
    return 6 + settings.steps * settings.questions * settings.generations / 110


def plateau(name: str, config: Config) -> float:
    return 3 * rl(name, config)


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


def _completions(config: Config, samples: int) -> int:
    task, split = config.task, config.evaluation.split
    problems = task.test_problems if split == "test" else task.validation_problems
    return problems * samples + GENERAL_ITEMS * config.evaluation.general_samples


def search(config: Config) -> float:
    ways, answers = 8, 1 + 3 * config.evaluation.search_samples
    return 5 + config.task.validation_problems * ways * answers / 200


def rft_data(config: Config) -> float:
    settings = config.stage.r1_zero
    return 6 + settings.steps * settings.questions * settings.generations / 500


def rft(config: Config) -> float:
    return rft_data(config) / 2


def comparison(config: Config) -> float:
    return 16
