"""The arms of the lab (conf/lab.yaml): RL with one change, or training on data made beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from r1repro.config.groups import ROOT, check_root
from r1repro.config.schema import RLConfig, SFTConfig, StagesConfig
from r1repro.errors import R1ReproError

PLACE = "conf/lab.yaml"
EVALUATE = "r1repro.stages.evaluate:validation"
"""The function that evaluates an arm."""
START = "evaluate_lab_start"
"""The stage that evaluates the base in the same way as the arms."""
ITERATIVE = "iterative_grpo"
"""The stage of two rounds with a learned reward, and its notebook."""
REFERENCE = "grpo"
"""The arm that the others are compared with; all use its questions and number of samples."""
ROUND = 20
"""Most batches of a round of iterative GRPO."""
REPLAY = 0.1
"""Share of a refreshed reward model's pairs that its predecessor was trained on."""
PROCESS = "process_model"
"""The stage of the model that rewards steps."""
OFFLINE, AFTER = "offline", "after"
"""The changes that name a method on data made beforehand, and the SFT arm of a cold start."""
_OTHERS = (OFFLINE, AFTER, "learned_steps", "share")
"""Changes that are not settings of RLConfig."""


@dataclass(frozen=True)
class Arm:
    """An arm. changes: settings of RLConfig, and the ones explained at the top of conf/lab.yaml."""

    method: str
    shown_in: tuple[str, ...]
    changes: tuple[tuple[str, Any], ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a change, or the default."""
        return dict(self.changes).get(name, default)

    @property
    def offline(self) -> str | None:
        """sft, rft or dpo for an arm that is trained on data made beforehand; None for RL."""
        return self.get(OFFLINE)

    @property
    def learned_steps(self) -> bool:
        """Whether the steps are rewarded by the model of stage PROCESS."""
        return self.get("learned_steps", False)

    @property
    def start(self) -> str:
        """The stage whose policy it starts from: the base, or an SFT arm as its cold start."""
        after = self.get(AFTER)
        return "base" if after is None else stage(after)

    @property
    def share(self) -> float:
        """Share of the data made beforehand, taken from its end, that it is trained on."""
        return self.get("share", 1.0)


@cache
def arms() -> Mapping[str, Arm]:
    """Every arm by name."""
    from omegaconf import OmegaConf

    check_root()
    found: Any = OmegaConf.to_container(OmegaConf.load(ROOT / PLACE))
    same = {"batches": found["batches"]}
    made = {
        name: Arm(
            one["method"],
            tuple(one["shown_in"]),
            tuple(sorted((same | one.get("changes", {})).items())),
        )
        for name, one in found["arms"].items()
    }
    _check_starts(made)
    return made


def _check_starts(made: Mapping[str, Arm]) -> None:
    """Raise R1ReproError for a cold start or a share that does not suit its arm."""
    starts: dict[str, Arm] = {}
    for name, arm in made.items():
        if after := arm.get(AFTER):
            start = starts.get(after)
            if arm.offline or start is None or not {*arm.shown_in} <= {*start.shown_in}:
                raise R1ReproError(
                    f"{PLACE}, {name}: after={after} is for an arm of RL, and takes an "
                    f"arm of SFT above it that is shown in {', '.join(arm.shown_in)} too"
                )
        if arm.get("share") is not None and not (arm.offline and 0 < arm.share <= 1):
            raise R1ReproError(
                f"{PLACE}, {name}: share={arm.share} is for an arm with offline, and "
                "takes a number above 0 and up to 1"
            )
        if arm.offline == "sft":
            starts[name] = arm


def shown_in(lab: str) -> Mapping[str, Arm]:
    """The arms of lab=NAME: none, those of a notebook, or all."""
    return {name: arm for name, arm in arms().items() if lab in (*arm.shown_in, "all")}


def stage(arm: str) -> str:
    """The stage that trains an arm."""
    return f"lab_{arm}"


def evaluation(arm: str) -> str:
    """The stage that evaluates an arm."""
    return f"evaluate_{stage(arm)}"


@cache
def trained() -> Mapping[str, str]:
    """The name of every arm by the stage that trains it."""
    return {stage(arm): arm for arm in arms()}


def offline_settings(stage: StagesConfig, arm: Arm) -> SFTConfig:
    """Settings of an arm that is trained on data made beforehand: those of base_rft.

    DPO has R1-Zero's rates and a single epoch.
    """
    dpo, rate = arm.offline == "dpo", arm.get("rate", 1.0)
    usual = stage.r1_zero if dpo else stage.base_rft
    return replace(
        stage.base_rft, lr_matrices=rate * usual.lr_matrices, lr_rest=rate * usual.lr_rest,
        epochs=1 if dpo else stage.base_rft.epochs,
    )  # fmt: skip


def settings(start: RLConfig, arm: Arm) -> RLConfig:
    """An arm's settings, from R1-Zero's (`start`), with at most as many batches.

    Checkpoints are saved where a generation of completions ends. For an arm that is trained on data
    made beforehand these are the settings of GRPO on the same questions and samples.
    """
    changes = {key: value for key, value in arm.changes if key not in _OTHERS}
    batches = min(changes.pop("batches"), start.batches)
    if "steps_per_generation" in changes:
        changes["steps_per_generation"] = min(changes["steps_per_generation"], max(1, batches))
    rate, critic = changes.pop("rate", 1.0), changes.pop("critic_rate", None)
    if critic is not None:
        changes["objective.critic_lr"] = critic * start.lr_matrices
    cap, raised = changes.pop("cap", None), changes.pop("raised", None)
    if cap is not None:
        most = start.max_completion_tokens
        changes |= {
            "max_completion_tokens": max(1, round(cap * most)),
            "raised_at": None if raised is None else max(1, round(raised * batches)),
            "raised_cap": None if raised is None else most,
        }
    changes |= {"lr_matrices": rate * start.lr_matrices, "lr_rest": rate * start.lr_rest}
    found = _with(start, changes)
    if arm.learned_steps and found.objective.advantage != "process":
        raise R1ReproError(
            f"an arm of {PLACE} has learned_steps but no reward for steps: give it "
            "objective.advantage: process, or leave learned_steps out"
        )
    batches -= batches % found.steps_per_generation
    once, passes = found.updates_per_generation, found.objective.passes
    saved = once * -(-start.save_every // once)
    # Both settings count updates; counted in samples they are the same in every arm.
    raised = None if found.raised_at is None else found.raised_at * passes
    return replace(
        found, steps=batches * passes, save_every=saved, snapshot_every=0, raised_at=raised,
        reference_sync_steps=found.reference_sync_steps * passes,
    )  # fmt: skip


def _with(start: RLConfig, changes: Mapping[str, Any]) -> RLConfig:
    """With these changes, unchecked: a multiple of a rate may be beyond what a person may give."""
    prefix = "objective."
    inner = {k.removeprefix(prefix): v for k, v in changes.items() if k.startswith(prefix)}
    own = {k: v for k, v in changes.items() if not k.startswith(prefix)}
    return replace(start, **own, objective=replace(start.objective, **inner))


def of_round(start: RLConfig) -> RLConfig:
    """A round of iterative GRPO with a learned reward alone, from R1-Zero's settings (`start`).

    Its reference is the policy that it starts from.
    """
    batches = max(1, min(ROUND, start.batches // 2))
    changes = {
        "batches": batches, "reference_sync_steps": batches, "format_of_right": False,
        "accuracy_weight": 0.0, "format_weight": 0.0, "language_weight": 0.0,
        "preference_weight": 1.0,
    }  # fmt: skip
    return settings(start, Arm("", (), tuple(changes.items())))
