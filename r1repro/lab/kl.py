"""The KL to the reference: its estimators, their gradients, and what a reference holds back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from r1repro.artifacts import StageResult
from r1repro.config import Config
from r1repro.evaluation import checkpoints
from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.lab.tree import NOTHING, Tree, expectation, mean_length, words
from r1repro.reports.markup import Html, paragraphs
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.training import kl as estimates
from r1repro.training import objective
from r1repro.training.kl import ESTIMATORS

RARE = 1e-4
"""Probability below which a token is hardly ever sampled: a step at scale=laptop has some 10,000
tokens."""


@dataclass(frozen=True)
class Positions:
    """The next-token distributions of the policy and of the reference at N positions.

    logps_N_V, reference_N_V: log-probabilities in float64. weights_N: how often the policy reaches
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

    def norm(self, gradient_N_V: Tensor) -> float:
        """Root of the mean squared length."""
        return self.mean(gradient_N_V.square().sum(-1)) ** 0.5

    @property
    def kl(self) -> float:
        """Mean exact KL in nats per token."""
        return self.mean(estimates.exact_kl(self.logps_N_V, self.reference_N_V))


def of_tree() -> Positions:
    """A policy over texts of three tokens, "a", "b" and the end, that has drifted to "a"."""
    tree = words("ab", 5)
    policy = tree.logits(lambda context: {".": 0.15, "a": 0.65})
    reference = tree.logits(lambda context: {".": 0.25})
    visits_C = tree.through(tree.probabilities(policy))
    return Positions(
        f"A policy small enough to list, with {len(tree.completions)} completions",
        policy.log_softmax(-1),
        reference.log_softmax(-1),
        visits_C / visits_C.sum(),
    )


def positions(
    r1_zero: StageResult | None, base: StageResult | None, config: Config, problems: int = 16
) -> Positions:
    """R1-Zero against its base, at tokens that R1-Zero samples on validation problems.

    One completion per problem; of all tokens 400, evenly spaced. `of_tree` if a run lacks one of
    the two, or if its R1-Zero is still where the base is.
    """
    small = of_tree()
    if r1_zero is None or base is None:
        return small
    settings, places = config.stage.r1_zero, [one.folder / "model" for one in (r1_zero, base)]
    tokenizer, models = load_tokenizer(places[0]), [load_model(place) for place in places]
    form = templates.asked(checkpoints.form(config, "r1_zero"))
    asked = worlds.of(config.task).validation[:problems]
    found: list[list[Tensor]] = [[], []]
    for batch in ask(
        models[0], tokenizer, asked,
        Sampling(settings.max_completion_tokens, settings.temperature), form=form, samples=1,
        rollout_batch=settings.rollout_batch, seed=0,
    ):  # fmt: skip
        for problem, _, completion in batch:
            prompt = tokenizer.encode(form(problem).prompt)
            ids = torch.tensor([[*prompt, *completion.token_ids]], device=models[0].device)
            for model, rows in zip(models, found, strict=True):
                with torch.no_grad():
                    logits = model(ids).logits[0, len(prompt) - 1 : -1]
                rows.append((logits.double() / settings.temperature).log_softmax(-1).cpu())
    own, other = map(torch.cat, found)
    kept = torch.linspace(0, len(own) - 1, min(400, len(own))).long()
    told = f"R1-Zero against its base, at {len(kept):,} tokens of {len(asked)} answers"
    weights = torch.full((len(kept),), 1 / len(kept)).double()
    run = Positions(told, own[kept], other[kept], weights)
    if run.kl > 1e-9:
        return run
    return replace(small, told=f"{small.told} (this run's R1-Zero has not left its base)")


def by_hand(policy: Sequence[float], reference: Sequence[float]) -> pd.DataFrame:
    """A row per token: both probabilities, the estimates if it is sampled, and their mean."""
    own, other = (torch.tensor(p, dtype=torch.float64) for p in (policy, reference))
    columns = {"π": own, "π_ref": other}
    columns |= {name: estimator(own.log(), other.log()) for name, estimator in ESTIMATORS.items()}
    columns |= {
        f"{name} in the loss": estimates.coefficients(estimator, own.log(), other.log(), "loss")
        for name, estimator in ESTIMATORS.items()
    }
    rows = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
    rows.index = pd.Index([f"token {i + 1}" for i in range(len(own))])
    mean = rows.mul(own.numpy(), axis=0).sum()
    mean[["π", "π_ref"]] = float("nan")
    return pd.concat([rows, mean.to_frame("mean under π").T])


def values(found: Positions) -> pd.DataFrame:
    """Each estimator against the exact KL: mean, bias, deviation of one token, share below zero.

    The last two columns leave out tokens with a probability below RARE, which no step samples.
    """
    rows = {}
    seen_N_V = found.logps_N_V.exp()
    for name, estimator in ESTIMATORS.items():
        estimate_N_V = estimator(found.logps_N_V, found.reference_N_V)
        row = {"below zero": found.mean((seen_N_V * (estimate_N_V < 0)).sum(-1))}
        for kind, p_N_V in (("", seen_N_V), (", no rare tokens", seen_N_V * (seen_N_V >= RARE))):
            mean = found.mean((p_N_V * estimate_N_V).sum(-1))
            second = found.mean((p_N_V * estimate_N_V.square()).sum(-1))
            row |= {f"mean{kind}": mean, f"deviation{kind}": (second - mean**2) ** 0.5}
        rows[name] = row | {"bias": row["mean"] / found.kl - 1}
    columns = ["mean", "bias", "deviation", "below zero"]
    columns += ["mean, no rare tokens", "deviation, no rare tokens"]
    return pd.DataFrame(rows).T[columns]


def gradients(found: Positions) -> pd.DataFrame:
    """The expected gradient of each estimator in each place, against that of the exact KL.

    error: ||E g - exact|| / ||exact||; cosine: of the angle between them; noise: the deviation of
    one token's gradient around its mean, over ||exact||. The last column has the error if tokens
    with a probability below RARE are never sampled.
    """
    own_N_V, other_N_V = found.logps_N_V, found.reference_N_V
    exact_N_V, rare_N_V = estimates.exact_gradient(own_N_V, other_N_V), own_N_V.exp() < RARE
    size, rows = found.norm(exact_N_V), {}
    for place in ("loss", "reward"):
        for name, estimator in ESTIMATORS.items():
            factor_N_V = estimates.coefficients(estimator, own_N_V, other_N_V, place)
            mean_N_V = estimates.expected_gradient(factor_N_V, own_N_V)
            often_N_V = estimates.expected_gradient(factor_N_V.masked_fill(rare_N_V, 0.0), own_N_V)
            product, norm = found.mean((mean_N_V * exact_N_V).sum(-1)), found.norm(mean_N_V)
            noise = found.mean(estimates.gradient_variance(factor_N_V, own_N_V)) ** 0.5
            rows[f"{name} in the {place}"] = {
                "error": found.norm(mean_N_V - exact_N_V) / size,
                "cosine": product / (norm * size) if norm > 1e-9 * size else float("nan"),
                "noise": noise / size,
                "error, no rare tokens": found.norm(often_N_V - exact_N_V) / size,
            }
    return pd.DataFrame(rows).T


def over_distance(found: Positions, shares: Sequence[float]) -> pd.DataFrame:
    """KL and the error of each estimator's gradient as the policy leaves its reference.

    share: how far the policy is moved, as a multiple of its difference from the reference's logits.
    """
    rows = []
    for share in shares:
        moved = found.reference_N_V + share * (found.logps_N_V - found.reference_N_V)
        there = replace(found, logps_N_V=moved.log_softmax(-1))
        rows.append({"share": share, "kl": there.kl, **gradients(there)["error"]})
    return pd.DataFrame(rows)


def length_pressure() -> pd.DataFrame:
    """What the KL term alone does to length: d mean length / d step, per unit of beta.

    The policy writes up to four letters, and decides after each whether to go on: as often as its
    reference, from which only its choice of letters differs. The two decisions have contexts of
    their own; in one table of logits for both, a step on the letters would move the end too.
    """
    # "a." or "b." or "a-b." and so on
    spelled = ("-".join(text).replace("-.", ".") for text in words("ab", 4).completions)
    tree, goes_on = Tree(tuple(text for text in spelled if text != ".")), {".": 0.25}
    start = tree.logits(lambda context: goes_on if context[-1:].isalpha() else {"a": 0.8})
    reference = tree.logits(lambda context: goes_on if context[-1:].isalpha() else {"a": 0.5})
    reference_S_T = tree.logps(reference)
    rows = {}
    for kind in ("completion", "cap"):
        for at, beta in (("k3 in the loss", 1.0), ("k1 in the reward", 0.0)):
            logits = start.clone().requires_grad_()
            logps_S_T = tree.logps(logits)
            old_S_T = logps_S_T.detach()
            p_S = old_S_T.sum(1).exp()
            advantages_S = torch.zeros_like(p_S)
            if not beta:
                paid_S = objective.less_kl(advantages_S, old_S_T, reference_S_T, tree.mask_S_T, 1.0)
                advantages_S = paid_S - (p_S * paid_S).sum()
            loss = objective.grpo_loss(
                logps_S_T, old_S_T, reference_S_T, advantages_S, tree.mask_S_T, 0.2, beta,
                mean=expectation(tree, p_S, kind),
            )  # fmt: skip
            (step,) = torch.autograd.grad(-loss.value, logits)
            (longer,) = torch.autograd.grad(mean_length(tree, logits), logits)
            rows[at, kind] = float((step * longer).sum())
    return pd.Series(rows).unstack()


def after_references(p: float, betas: Sequence[float], counts: Sequence[int]) -> pd.DataFrame:
    """Probability of the right answer where reward and KL balance, after so many references.

    The balance is pi = pi_ref exp(reward / beta) / Z, so every new reference adds 1 / beta to the
    log-odds of an answer whose reward is larger by 1. p: probability at the start.
    """
    odds = torch.tensor(p, dtype=torch.float64).logit()
    columns = {
        f"β = {beta:g}": [float((odds + n / beta).sigmoid()) for n in counts] for beta in betas
    }
    return pd.DataFrame(columns, pd.Index(counts, name="references"))


def findings(found: Positions, over: pd.DataFrame) -> Html | None:
    """Of notebook kl_and_reference; over: over_distance."""
    mean, pull, longer = values(found), gradients(found), length_pressure()["completion"]
    size, first, furthest = found.kl, over.iloc[0], over.iloc[-1]
    exact = pull.index[pull.error <= NOTHING]
    nowhere = pull.index[pull.cosine.isna()]
    others = pull.drop([*exact, *nowhere])
    back = others.index[others.cosine < 0]
    wrong = ", ".join(f"{name} by {error:.0%}" for name, error in others.error.items())
    if len(back):
        wrong += f". {' and '.join(back).capitalize()} even pull away from the reference"
    in_loss = longer["k3 in the loss"]
    k1, k3 = mean.loc["k1"], mean.loc["k3"]
    return paragraphs(
        f"{found.told}: the exact KL is {size:.3g} nats a token. As numbers, k1 and k3 are "
        f"right on average (bias {k1.bias:+.1%} and {k3.bias:+.1%}), and k2 is off by "
        f"{mean.bias['k2']:+.0%}. A single token's k1 deviates by {k1.deviation / size:.1f} times "
        f"the KL and is below zero for {k1['below zero']:.0%} of tokens; its k3 deviates by "
        f"{k3.deviation / size:.3g} times the KL and is below zero for {k3['below zero']:.0%}. "
        f"Without the tokens whose probability is below {RARE:g} the deviations are "
        f"{k1['deviation, no rare tokens'] / size:.1f} and "
        f"{k3['deviation, no rare tokens'] / size:.1f} times the KL, and k3's mean is "
        f"{k3['mean, no rare tokens'] / size:.0%} of it.",
        f"As gradients they rank differently. On average {' and '.join(exact) or 'none of them'} "
        f"pull exactly like the KL, {' and '.join(nowhere) or 'none of them'} not at all, and the "
        f"others are off: {wrong}. GRPO's k3 in the loss is off by {first['k3 in the loss']:.0%} "
        f"at a KL of {first['kl']:.2g} and by {furthest['k3 in the loss']:.0%} at "
        f"{furthest['kl']:.2g}; without those rare tokens, by "
        f"{pull.loc['k3 in the loss', 'error, no rare tokens']:.0%} at a KL of {size:.2g}.",
        "By itself, the KL in the reward changes the mean length by "
        f"{longer['k1 in the reward']:+.3g} tokens per step and unit of β, the KL in the loss by "
        f"{'0' if abs(in_loss) < NOTHING else f'{in_loss:+.3g}'}.",
    )
