"""The stages as they are, but R1-Zero is paid by the length of what it says.

A smoke-scale base earns no other reward, and where every reward is zero no weight moves.
"""

import dataclasses

from r1repro.rewards import rule_rewards
from r1repro.runner.graph import STAGES as PLAIN
from r1repro.stages import rl


def by_length(completions, **columns):
    return [float(len(text) % 3) for text in completions]


def run(config, inputs, folder, progress):
    rule_rewards.accuracy = rule_rewards.accuracy_in_tag = by_length
    rl.r1_zero(config, inputs, folder, progress)


STAGES = tuple(
    dataclasses.replace(stage, run="tests.length_rewarded:run")
    if stage.name == "r1_zero"
    else stage
    for stage in PLAIN
)
