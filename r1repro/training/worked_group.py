"""A worked example of GRPO: one group of completions and one update.

An objective with advantages of tokens (PPO, process supervision) is shown with those of the group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.config import OF_TOKENS, RLConfig
from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.rewards import rule_rewards
from r1repro.tasks.problem import Completion, Problem
from r1repro.tasks.templates import Form
from r1repro.training import objective
from r1repro.training.kl import ESTIMATORS, k3
from r1repro.training.logprobs import token_logps
from r1repro.training.optimizer import MuonWithAdamW
from r1repro.training.rl import rule_of, weights


@dataclass(frozen=True)
class WorkedGroup:
    """K completions of one problem, their rewards, and one update of the policy.

    tokens: decoded tokens of each completion; before_K_T, after_K_T: their log-probabilities under
    the policy before and after the update; reference_K_T: the same under the reference.
    """

    problem: Problem
    texts: list[str]
    tokens: list[list[str]]
    rewards: dict[str, list[float]]
    advantages_K: Tensor
    mask_K_T: Tensor
    before_K_T: Tensor
    after_K_T: Tensor
    reference_K_T: Tensor
    loss: objective.Loss

    def completions(self) -> pd.DataFrame:
        """One row per completion: text, rewards and advantage."""
        return _table(self.texts, self.rewards, self.advantages_K)

    def tokens_of(self, sample: int, epsilon: float) -> pd.DataFrame:
        """One row per token of a completion: log-probabilities, ratio, clipping and KL."""
        row, length = slice(sample, sample + 1), len(self.tokens[sample])
        ratio = objective.importance_ratio(self.after_K_T[row], self.before_K_T[row])
        clipped = objective.is_clipped(ratio, self.advantages_K[row], epsilon)
        columns = {
            "log p, old": self.before_K_T[row],
            "log p, after one update": self.after_K_T[row],
            "ratio": ratio,
            "clipped": clipped,
            "KL to the reference (k3)": k3(self.before_K_T[row], self.reference_K_T[row]),
        }
        shown = {name: values[0, :length].tolist() for name, values in columns.items()}
        return pd.DataFrame({"token": self.tokens[sample], **shown})


def work(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    form: Form,
    settings: RLConfig,
    seed: int = 0,
) -> WorkedGroup:
    """Sample a group from the policy, compute its rewards, and update the policy in place once.

    The group is the first whose rewards differ, else that of the last problem, whose
    group advantages are all 0.
    """
    sampling = Sampling(settings.max_completion_tokens, settings.temperature)
    groups = ask(
        model, tokenizer, problems, sampling, form=form, samples=settings.generations,
        rollout_batch=settings.generations, seed=seed,
    )  # fmt: skip
    for batch in groups:
        problem, completions = batch[0][0], [completion for _, _, completion in batch]
        rewards, total_K = rewarded(problem, completions, settings)
        if total_K.min() < total_K.max():
            break
    prompt = tokenizer.encode(form(problem).prompt)
    rows = [torch.tensor([*prompt, *completion.token_ids]) for completion in completions]
    tokens = [[tokenizer.decode([token]) for token in said.token_ids] for said in completions]
    ids = pad_sequence(rows, True, tokenizer.pad_token_id)
    mask = pad_sequence([torch.ones_like(row) for row in rows], True)
    update = _update(model, reference, ids, mask, len(prompt), total_K, settings)
    texts = [completion.text for completion in completions]
    return WorkedGroup(problem, texts, tokens, rewards, *update)


def rewarded(
    problem: Problem, completions: Sequence[Completion], settings: RLConfig
) -> tuple[dict[str, list[float]], Tensor]:
    """The rewards of K completions by name, and their weighted sum of shape [K]."""
    texts = [completion.text for completion in completions]
    columns = {
        name: [value] * len(texts) for name, value in rule_rewards.columns_of(problem).items()
    }
    columns["completion_ids"] = [completion.token_ids for completion in completions]
    paid = weights(settings)
    rewards = {name: rule_of(name, settings)(texts, **columns) for name in paid}
    total_K = torch.tensor([rewards[name] for name in paid]).T @ torch.tensor([*paid.values()])
    return rewards, total_K


def graded(problem: Problem, completions: Sequence[Completion], settings: RLConfig) -> pd.DataFrame:
    """One row per completion of a group: text, rewards and advantage (of the group's rewards)."""
    rewards, total_K = rewarded(problem, completions, settings)
    advantages_K = objective.group_advantages(total_K, len(total_K))
    return _table([completion.text for completion in completions], rewards, advantages_K)


def _table(texts: list[str], rewards: dict[str, list[float]], advantages_K: Tensor) -> pd.DataFrame:
    rows = {"completion": texts, **rewards, "advantage": advantages_K.tolist()}
    return pd.DataFrame(rows).rename_axis("sample")


def _update(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    ids: Tensor,
    mask: Tensor,
    prompt: int,
    total_K: Tensor,
    settings: RLConfig,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, objective.Loss]:
    """The fields of WorkedGroup from `advantages_K` on, for a prompt of that many tokens."""
    mask_K_T = mask[:, prompt:]

    def logps(of: PreTrainedModel) -> Tensor:
        head, width = of.get_output_embeddings(), mask_K_T.shape[1]
        return token_logps(of.base_model, head, ids, mask, width, settings.temperature, False)[0]

    with torch.no_grad():
        reference_K_T = logps(reference)
    before_K_T = logps(model)
    old_K_T, variant = before_K_T.detach(), settings.objective
    estimator, beta = ESTIMATORS[variant.kl], settings.beta
    if variant.kl_in == "reward":
        total_K = objective.less_kl(total_K, old_K_T, reference_K_T, mask_K_T, beta, estimator)
        beta = 0.0
    kind = "group" if variant.advantage in OF_TOKENS else variant.advantage
    advantages_K = objective.advantages_of(total_K, len(total_K), kind)
    loss = objective.grpo_loss(
        before_K_T, old_K_T, reference_K_T, advantages_K, mask_K_T, settings.epsilon, beta,
        estimator=estimator,
        mean=objective.mean_over(variant.normalization, settings.max_completion_tokens),
    )  # fmt: skip
    loss.value.backward()
    MuonWithAdamW(model, settings.lr_matrices, settings.lr_rest).step()
    with torch.no_grad():
        after_K_T = logps(model)
    return advantages_K, mask_K_T, old_K_T, after_K_T, reference_K_T, loss
