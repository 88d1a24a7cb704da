"""The KL to the reference: its estimators, their gradients, and what a reference holds back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from r1repro.artifacts import StageResult
from r1repro.config import Config, RLConfig
from r1repro.evaluation import checkpoints
from r1repro.generation.ask import ask
from r1repro.generation.rollouts import Sampling
from r1repro.lab.tree import Tree, expectation, mean_length, words
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.tasks.templates import Form
from r1repro.training import objective
from r1repro.training.kl import (
    ESTIMATORS,
    coefficients,
    exact_gradient,
    exact_kl,
    expected_gradient,
    gradient_variance,
)

PLACES = ("loss", "reward")
RARE = 1e-4
"""Probability below which a token is hardly ever sampled: a step of the laptop's has some 10,000
tokens."""


@dataclass(frozen=True)
class Positions:
    """Pairs of next-token distributions: those of the policy and the reference at N positions.

    logps_N_V, reference_N_V: log-probabilities in float64. weights_N: how often the policy comes to
    each position; they sum to 1.
    """

    told: str
    logps_N_V: Tensor
    reference_N_V: Tensor
    weights_N: Tensor

    def __post_init__(self) -> None:
        if not torch.isclose(self.weights_N.sum(), torch.ones((), dtype=torch.float64)):
            raise ValueError(f"the weights sum to {float(self.weights_N.sum()):g}, not 1")

    def mean(self, values_N: Tensor) -> float:
        return float((self.weights_N * values_N).sum())

    @property
    def kl(self) -> float:
        """Mean exact KL in nats per token."""
        return self.mean(exact_kl(self.logps_N_V, self.reference_N_V))

    def away(self, share: float) -> "Positions":
        """The same with the policy moved: `share` of the way from the reference's logits."""
        moved = self.reference_N_V + share * (self.logps_N_V - self.reference_N_V)
        return Positions(self.told, moved.log_softmax(-1), self.reference_N_V, self.weights_N)


def of_tree(cap: int = 5) -> Positions:
    """A policy over texts of three tokens, "a", "b" and the end, that has drifted to "a"."""
    tree = words("ab", cap)
    policy = tree.logits(lambda context: {".": 0.15, "a": 0.65})
    reference = tree.logits(lambda context: {".": 0.25})
    visits_C = tree.visits(policy)
    return Positions(
        f"A policy small enough to list, with {len(tree.completions)} completions",
        policy.log_softmax(-1),
        reference.log_softmax(-1),
        visits_C / visits_C.sum(),
    )


def of_run(
    policy: Path,
    reference: Path,
    problems: Sequence[Problem],
    form: Form,
    settings: RLConfig,
    most: int = 400,
    seed: int = 0,
) -> Positions:
    """The whole distributions of two checkpoints at tokens that the first one samples.

    One completion per problem; of all tokens `most`, evenly spaced.
    """
    tokenizer, models = load_tokenizer(policy), [load_model(policy), load_model(reference)]
    sampling = Sampling(settings.max_completion_tokens, settings.temperature)
    found: list[list[Tensor]] = [[], []]
    for batch in ask(
        models[0], tokenizer, problems, sampling, form=form, samples=1,
        rollout_batch=settings.rollout_batch, seed=seed,
    ):  # fmt: skip
        for problem, _, completion in batch:
            prompt = tokenizer.encode(form(problem).prompt)
            ids = torch.tensor([[*prompt, *completion.token_ids]], device=models[0].device)
            for model, rows in zip(models, found, strict=True):
                with torch.no_grad():
                    logits = model(ids).logits[0, len(prompt) - 1 : -1]
                rows.append((logits.double() / settings.temperature).log_softmax(-1).cpu())
    own, other = torch.cat(found[0]), torch.cat(found[1])
    kept = torch.linspace(0, len(own) - 1, min(most, len(own))).long()
    own, other = own[kept], other[kept]
    told = f"R1-Zero against its base, at {len(own):,} tokens of {len(problems)} answers"
    return Positions(told, own, other, torch.full((len(own),), 1 / len(own)).double())


def positions(
    r1_zero: StageResult | None, base: StageResult | None, config: Config, problems: int = 16
) -> Positions:
    """R1-Zero's against its base's on validation problems.

    Those of `of_tree` if a run has not both, or if its R1-Zero is still where the base is.
    """
    if r1_zero is None or base is None:
        return of_tree()
    asked = worlds.of(config.task).validation[:problems]
    form = templates.asked(checkpoints.form(config, "r1_zero"))
    places = [result.folder / "model" for result in (r1_zero, base)]
    found = of_run(places[0], places[1], asked, form, config.stage.r1_zero)
    if found.kl > 1e-9:
        return found
    small = of_tree()
    return replace(small, told=f"{small.told} (this run's R1-Zero has not left its base)")


def by_hand(policy: Sequence[float], reference: Sequence[float]) -> pd.DataFrame:
    """A row per token: both probabilities, the estimates if it is sampled, and their mean."""
    own = torch.tensor(policy, dtype=torch.float64)
    other = torch.tensor(reference, dtype=torch.float64)
    rows = pd.DataFrame(
        {"π": own.numpy(), "π_ref": other.numpy()},
        index=[f"token {i + 1}" for i in range(len(own))],
    )
    for name, estimator in ESTIMATORS.items():
        rows[name] = estimator(own.log(), other.log()).numpy()
    for name, estimator in ESTIMATORS.items():
        factor_V = coefficients(estimator, own.log(), other.log(), "loss")
        rows[f"{name} in the loss"] = factor_V.numpy()
    mean = rows.mul(own.numpy(), axis=0).sum().rename("mean under π")
    mean[["π", "π_ref"]] = float("nan")
    return pd.concat([rows, mean.to_frame().T])


def values(found: Positions) -> pd.DataFrame:
    """Each estimator against the exact KL: mean, bias, deviation of one token, share below zero.

    The last two columns leave out tokens with a probability below RARE, which no step samples.
    """
    rows = {}
    for name, estimator in ESTIMATORS.items():
        estimate_N_V = estimator(found.logps_N_V, found.reference_N_V)
        seen_N_V = found.logps_N_V.exp()
        often_N_V = seen_N_V * (seen_N_V >= RARE)
        means = [found.mean((p_N_V * estimate_N_V).sum(-1)) for p_N_V in (seen_N_V, often_N_V)]
        second = [
            found.mean((p_N_V * estimate_N_V.square()).sum(-1)) for p_N_V in (seen_N_V, often_N_V)
        ]
        deviations = [(s - m**2) ** 0.5 for s, m in zip(second, means, strict=True)]
        rows[name] = {
            "mean": means[0],
            "bias": means[0] / found.kl - 1,
            "deviation": deviations[0],
            "below zero": found.mean((seen_N_V * (estimate_N_V < 0)).sum(-1)),
            "mean, no rare tokens": means[1],
            "deviation, no rare tokens": deviations[1],
        }
    return pd.DataFrame(rows).T


def gradients(found: Positions) -> pd.DataFrame:
    """The expected gradient of each estimator in each place, against that of the exact KL.

    error: ||E g - exact|| / ||exact||; cosine: of the angle between them; noise: the deviation of
    one token's gradient around its mean, over ||exact||. The last column has the error if tokens
    with a probability below RARE are never sampled.
    """
    exact_N_V = exact_gradient(found.logps_N_V, found.reference_N_V)
    size, rare_N_V = _norm(found, exact_N_V), found.logps_N_V.exp() < RARE
    rows = {}
    for place in PLACES:
        for name, estimator in ESTIMATORS.items():
            factor_N_V = coefficients(estimator, found.logps_N_V, found.reference_N_V, place)
            mean_N_V = expected_gradient(factor_N_V, found.logps_N_V)
            often_N_V = expected_gradient(factor_N_V.masked_fill(rare_N_V, 0.0), found.logps_N_V)
            variance_N = gradient_variance(factor_N_V, found.logps_N_V)
            own, product = _norm(found, mean_N_V), found.mean((mean_N_V * exact_N_V).sum(-1))
            rows[f"{name} in the {place}"] = {
                "error": _norm(found, mean_N_V - exact_N_V) / size,
                "cosine": product / (own * size) if own > 1e-9 * size else float("nan"),
                "noise": found.mean(variance_N) ** 0.5 / size,
                "error, no rare tokens": _norm(found, often_N_V - exact_N_V) / size,
            }
    return pd.DataFrame(rows).T


def _norm(found: Positions, gradient_N_V: Tensor) -> float:
    return found.mean(gradient_N_V.square().sum(-1)) ** 0.5


def over_distance(found: Positions, shares: Sequence[float]) -> pd.DataFrame:
    """KL and the error of each estimator's gradient as the policy leaves its reference."""
    rows = []
    for share in shares:
        there = found.away(share)
        rows.append({"share": share, "kl": there.kl, **gradients(there)["error"]})
    return pd.DataFrame(rows)


def length_pressure(letters: int = 4) -> pd.DataFrame:
    """What the KL term alone does to length: d mean length / d step, per unit of beta.

    The policy writes letters, and after each decides whether to go on. It does so as often as its
    reference, and differs from it only in which letters it writes. In one table of logits for both,
    a step on the letters would move the end too.
    """
    tree = _letters(letters)
    goes_on = {".": 0.25}
    start = tree.logits(lambda context: goes_on if context[-1:].isalpha() else {"a": 0.8})
    reference = tree.logits(lambda context: goes_on if context[-1:].isalpha() else {"a": 0.5})
    reference_S_T = tree.logps(reference)
    rows = {}
    for kind in ("completion", "cap"):
        for place in PLACES:
            logits = start.clone().requires_grad_()
            logps_S_T = tree.logps(logits)
            old_S_T = logps_S_T.detach()
            p_S = old_S_T.sum(1).exp()
            nothing_S = torch.zeros_like(p_S)
            paid_S = objective.less_kl(nothing_S, old_S_T, reference_S_T, tree.mask_S_T, 1.0)
            in_loss = place == "loss"
            loss = objective.grpo_loss(
                logps_S_T, old_S_T, reference_S_T,
                nothing_S if in_loss else paid_S - (p_S * paid_S).sum(),
                tree.mask_S_T, 0.2, float(in_loss), mean=expectation(tree, p_S, kind),
            )  # fmt: skip
            (step,) = torch.autograd.grad(-loss.value, logits)
            (longer,) = torch.autograd.grad(mean_length(tree, logits), logits)
            at = "k3 in the loss" if in_loss else "k1 in the reward"
            rows[at, kind] = float((step * longer).sum())
    return pd.Series(rows).unstack()


def _letters(most: int) -> Tree:
    """ "a." or "b." or "a-b." and so on, cut off after `most` letters."""
    open_, done = ["a", "b"], []
    for _ in range(most - 1):
        done += [text + "." for text in open_]
        open_ = [f"{text}-{letter}" for text in open_ for letter in "ab"]
    return Tree((*done, *open_))


def after_references(
    p: float, betas: Sequence[float], counts: Sequence[int], gain: float = 1.0
) -> pd.DataFrame:
    """Probability of the right answer where reward and KL balance, after so many references.

    The balance is pi = pi_ref exp(reward / beta) / Z, so that every new reference adds gain / beta
    to the log-odds of an answer whose reward is larger by `gain`. p: probability at the start.
    """
    odds = torch.tensor(p, dtype=torch.float64).logit()
    return pd.DataFrame(
        {
            f"β = {beta:g}": [float((odds + n * gain / beta).sigmoid()) for n in counts]
            for beta in betas
        },
        index=pd.Index(counts, name="references"),
    )
