"""PPO's critic: a second model of the policy's size with one output per token (DeepSeekMath 4.1.1).

It starts from the policy's weights, with a head of zeros, so its first values are 0. Suffixes as in
objective.py.
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from r1repro.errors import R1ReproError
from r1repro.training import ppo, resume
from r1repro.training.logprobs import micro_batches, states_before
from r1repro.training.optimizer import MuonWithAdamW

VALUE_CLIP = 0.2
"""How far a value may move from its old one, in units of reward (OpenAI's PPO)."""
MAX_NORM = 1.0
"""Norm at which the gradient is clipped, as the policy's is."""
WEIGHTS, OPTIMIZER = "critic.safetensors", "critic_optimizer.pt"
LOGGED = {
    "value_loss": "critic/value_loss",
    "explained_variance": "critic/explained_variance",
    "advantage_size": "critic/advantage_size",
}
"""What `Critic.learn` measures, by the columns of the metrics."""


class ValueModel(nn.Module):
    """A copy of the policy's trunk and a linear head."""

    def __init__(self, policy: PreTrainedModel):
        super().__init__()
        self.trunk = copy.deepcopy(policy.base_model).float()
        self.score = nn.Linear(policy.config.hidden_size, 1, bias=False, device=policy.device)
        nn.init.zeros_(self.score.weight)

    def get_output_embeddings(self) -> nn.Module:
        return self.score


class Critic:
    """The value model with its optimizer.

    lr: for Muon and AdamW; factor: of the rate, by update (from 0); autocast: the context of
    forward passes.
    """

    def __init__(
        self,
        policy: PreTrainedModel,
        lr: float,
        factor: Callable[[int], float],
        micro_batch_tokens: int,
        autocast: Callable[[], AbstractContextManager[Any]],
    ):
        self.model, self.lr, self.factor = ValueModel(policy), lr, factor
        self.optimizer = MuonWithAdamW(self.model, lr, lr)
        self.micro_batch_tokens, self.autocast = micro_batch_tokens, autocast

    @torch.no_grad()
    def values(self, batch: dict[str, Any]) -> tuple[Tensor, int]:
        """V before every token of the completions, (B, T), and the tokens read; padding is 0."""
        self.model.eval()
        mask_B_T, total = batch["completion_mask"], 0
        values_B_T = torch.zeros(mask_B_T.shape, device=mask_B_T.device)
        for rows, t in self._micro_batches(batch):
            part, read = self._forward(batch, rows, t)
            values_B_T[rows, :t] = part
            total += read
        return values_B_T * mask_B_T, total

    def credit(
        self,
        batch: dict[str, Any],
        rewards_B: Tensor,
        kl_of: tuple[Tensor, Tensor] | None,
        beta: float,
        lam: float,
    ) -> tuple[dict[str, Tensor], int]:
        """Columns `values`, `returns`, `to_go` and whitened `advantages`, (B, T); the tokens read.

        to_go: the undiscounted rewards from a token on.
        kl_of: log-probabilities of the policy that sampled and of the reference; None without a KL.
        """
        mask_B_T = batch["completion_mask"]
        values_B_T, read = self.values(batch)
        logps_B_T, reference_logps_B_T = kl_of or (values_B_T, values_B_T)
        rewards_B_T = ppo.rewards_with_kl(rewards_B, logps_B_T, reference_logps_B_T, mask_B_T, beta)
        advantages_B_T = ppo.gae(rewards_B_T, values_B_T, mask_B_T, 1.0, lam)
        columns = {
            "values": values_B_T,
            "returns": advantages_B_T + values_B_T,
            "to_go": ppo.gae(rewards_B_T, torch.zeros_like(values_B_T), mask_B_T, 1.0, 1.0),
            "advantages": ppo.whiten(advantages_B_T, mask_B_T),
        }
        return columns, read

    def learn(self, batch: dict[str, Any], update: int) -> tuple[dict[str, float], int]:
        """One update towards the batch's returns; the figures of LOGGED, and the tokens read.

        value_loss: ppo.value_loss before the update.
        explained_variance: 1 - Var(G - V) / Var(G), 0 where all G are equal; V are the values
        that the advantages were computed with, G the rewards to go, which do not depend on lambda.
        advantage_size: mean of |R - V|, the advantage before whitening.
        """
        self.model.train()
        mask_B_T, old_B_T, returns_B_T = (
            batch[name] for name in ("completion_mask", "values", "returns")
        )
        tokens, loss, total = mask_B_T.sum(), 0.0, 0
        self.optimizer.zero_grad(set_to_none=True)
        for rows, t in self._micro_batches(batch):
            values_B_T, read = self._forward(batch, rows, t)
            part_B_T = mask_B_T[rows, :t]
            part = ppo.value_loss(
                values_B_T, old_B_T[rows, :t], returns_B_T[rows, :t], part_B_T, VALUE_CLIP
            )
            part = part * part_B_T.sum() / tokens
            part.backward()
            loss, total = loss + part.item(), total + read
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self.factor(update)
        self.optimizer.step()
        live = mask_B_T.bool()
        errors_N, to_go_N = (returns_B_T - old_B_T)[live], batch["to_go"][live]
        spread = to_go_N.var(unbiased=False)
        left = (to_go_N - old_B_T[live]).var(unbiased=False)
        explained = 1 - left / spread if spread > 0 else spread
        figures = (loss, explained.item(), errors_N.abs().mean().item())
        return dict(zip(LOGGED.values(), figures, strict=True)), total

    def _micro_batches(self, batch: dict[str, Any]) -> list[tuple[Tensor, int]]:
        """(rows, longest completion) of micro-batches of similar length."""
        prompts, said = batch["prompt_mask"].sum(1), batch["completion_mask"].sum(1)
        parts = micro_batches(prompts, said, self.micro_batch_tokens)
        return [(rows, max(1, int(said[rows].max()))) for rows in parts]

    def _forward(self, batch: dict[str, Any], rows: Tensor, t: int) -> tuple[Tensor, int]:
        """Values of these rows' first t tokens, and the tokens read."""
        p = int(batch["prompt_mask"][rows].sum(1).max())
        ids_B_L, mask_B_L = (
            torch.cat([batch[f"prompt_{x}"][rows, -p:], batch[f"completion_{x}"][rows, :t]], 1)
            for x in ("ids", "mask")
        )
        with self.autocast():
            hidden_B_T_D, read = states_before(self.model.trunk, ids_B_L, mask_B_L, t)
        return self.model.score(hidden_B_T_D.float())[:, :, 0], read

    def save(self, folder: Path) -> None:
        """Write weights and optimizer into a checkpoint."""
        resume.save_weights(folder / WEIGHTS, self.model.named_parameters())
        torch.save(self.optimizer.state_dict(), folder / OPTIMIZER)

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint. Raises R1ReproError if it was written without a critic."""
        if not (folder / WEIGHTS).is_file() or not (folder / OPTIMIZER).is_file():
            raise R1ReproError(
                f"checkpoint {folder.name} has no critic, so training cannot resume from it; "
                "delete the checkpoint to start again"
            )
        resume.load_weights(folder / WEIGHTS, self.model.named_parameters())
        self.optimizer.load_state_dict(torch.load(folder / OPTIMIZER, weights_only=True))
