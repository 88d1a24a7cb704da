"""A policy small enough to list: a row of logits for every context, and all its completions.

Expectations over what it samples are sums, so nothing here depends on a seed. Suffixes: S all
completions, C contexts, V tokens, T positions, padded on the right.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from r1repro.training import objective

IMPOSSIBLE = -1e9
"""Logit of a token that continues no completion in its context."""
NOTHING = 1e-6
"""Largest size of what is zero but for rounding."""


@dataclass(frozen=True)
class Tree:
    """The completions that a policy can write; every character is a token.

    No completion may be the beginning of another: where one ends, the policy has no choice left.
    """

    completions: tuple[str, ...]

    def __post_init__(self) -> None:
        ordered = sorted(self.completions)
        for one, following in zip(ordered, ordered[1:], strict=False):
            if following.startswith(one):
                raise ValueError(f"completion {one!r} begins {following!r}: end it with a token")

    @cached_property
    def contexts(self) -> list[str]:
        """Every beginning that has a next token."""
        return sorted({text[:t] for text in self.completions for t in range(len(text))})

    @cached_property
    def tokens(self) -> list[str]:
        return sorted({token for text in self.completions for token in text})

    @cached_property
    def lengths_S(self) -> Tensor:
        return torch.tensor([len(text) for text in self.completions])

    @cached_property
    def mask_S_T(self) -> Tensor:
        longest = int(self.lengths_S.max())
        return (torch.arange(longest) < self.lengths_S[:, None]).double()

    @cached_property
    def at_S_T(self) -> Tensor:
        """Index of each token in a flattened table of logits; 0 where masked."""
        context = {text: row for row, text in enumerate(self.contexts)}
        at = torch.zeros(self.mask_S_T.shape, dtype=torch.long)
        for row, text in enumerate(self.completions):
            for t, token in enumerate(text):
                at[row, t] = context[text[:t]] * len(self.tokens) + self.tokens.index(token)
        return at

    def logits(self, chance: Callable[[str], Mapping[str, float]]) -> Tensor:
        """A table (C, V) in float64.

        chance: the probabilities of the next tokens in a context; those it does not name share the
        rest equally. Raises ValueError if they do not sum to 1.
        """
        table = torch.full((len(self.contexts), len(self.tokens)), IMPOSSIBLE, dtype=torch.float64)
        for row, context in enumerate(self.contexts):
            after = {t[len(context)] for t in self.completions if t.startswith(context)}
            given = {token: p for token, p in chance(context).items() if token in after}
            others = len(after) - len(given)
            left = 1 - sum(given.values())
            if left < -1e-9 or (not others and abs(left) > 1e-9):
                raise ValueError(f"the probabilities after {context!r} sum to {1 - left:g}, not 1")
            for token in after:
                p = given.get(token, left / max(others, 1))
                table[row, self.tokens.index(token)] = math.log(p)
        return table

    def logps(self, logits_C_V: Tensor) -> Tensor:
        """Log-probability of every token of every completion, (S, T); 0 where masked."""
        picked_S_T = logits_C_V.log_softmax(-1).flatten()[self.at_S_T]
        return picked_S_T.masked_fill(self.mask_S_T == 0, 0.0)

    def probabilities(self, logits_C_V: Tensor) -> Tensor:
        """Probability of every completion, (S,); they sum to 1."""
        return self.logps(logits_C_V).sum(1).exp()

    def through(self, values_S: Tensor) -> Tensor:
        """For each context, the sum over the completions that begin with it, (C,)."""
        return torch.stack(
            [
                values_S[torch.tensor([text.startswith(c) for text in self.completions])].sum()
                for c in self.contexts
            ]
        )


def words(letters: str, cap: int) -> Tree:
    """All texts over `letters` that stop with "." or are cut off at `cap` tokens."""
    open_, done = [""], []
    for _ in range(cap):
        done += [text + "." for text in open_]
        open_ = [text + letter for text in open_ for letter in letters]
    return Tree((*done, *open_))


def mean_length(tree: Tree, logits_C_V: Tensor, among_S: Tensor | float = 1.0) -> Tensor:
    """Mean tokens of a completion; among_S: a mask of those that count."""
    p_S = tree.probabilities(logits_C_V) * among_S
    return (p_S * tree.lengths_S).sum() / p_S.sum()


def expectation(tree: Tree, p_S: Tensor, kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A mean for objective.grpo_loss over what the policy samples, instead of over a batch.

    p_S: probability of each completion, without gradient. kind: "completion" or "cap", the longest
    completion. A mean over all tokens of a batch is no expectation over single completions.
    """
    if kind not in ("completion", "cap"):
        raise ValueError(f"the expectation is of completion or cap, not of {kind!r}")
    mean = objective.mean_over(kind, int(tree.lengths_S.max()))
    weights_S_1 = len(p_S) * p_S[:, None]
    return lambda values_S_T, mask_S_T: mean(weights_S_1 * values_S_T, mask_S_T)
