"""Next-token pretraining from random weights in length-bucketed batches."""

import random
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, BaseConfig, EngineConfig
from r1repro.training import resume
from r1repro.training.optimizer import MuonWithAdamW

# Sequences are sorted by length within pools of this size only, which keeps batches varied.
POOL = 4096
FINAL_RATE = 0.05


def pretrain(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    settings: BaseConfig,
    *,
    pad_id: int,
    seed: int,
    folder: Path,
    progress: Progress,
    engine: EngineConfig = PLAIN_ENGINE,
) -> list[dict[str, Any]]:
    """One pass over `sequences` of token ids, end token included; returns one metrics row per log.

    Resumes from the newest checkpoint in `folder`, to the weights of an uninterrupted run.
    """
    batches = bucketed(sequences, settings.batch_tokens, random.Random(seed))
    optimizer = MuonWithAdamW(model, settings.lr_matrices, settings.lr_rest, settings.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    done, rows, rest = resume.restore(folder, model, optimizer)
    unlogged, since, before = rest or ([], 0, 0.0)
    losses = [torch.tensor(loss, device=model.device) for loss in unlogged]
    started = time.perf_counter() - before
    model.train()
    with resume.stop_asked() as stop_asked:
        for step, batch in enumerate(batches[done:], start=done + 1):
            factor = schedule(step, len(batches), settings.warmup_fraction)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            texts = [sequences[row] for row in batch]
            loss, tokens = _update(model, optimizer, texts, pad_id, engine)
            losses.append(loss)
            since += tokens
            now = time.perf_counter() - started
            if step % settings.log_every == 0 or step == len(batches):
                lr = settings.lr_matrices * factor
                rows.append(_logged(rows, step, torch.stack(losses).mean().item(), lr, since, now))
                losses, since = [], 0
                speed = rows[-1]["tokens_per_s"]
                progress.update(step, len(batches), loss=recent(rows), **{"tokens/s": speed})
            stopping = stop_asked() and step < len(batches)
            if step % settings.save_every == 0 or stopping:
                rest = [loss.item() for loss in losses], since, now
                resume.save(folder, step, model, optimizer, rows, rest)
            if stopping:
                resume.stop(step)
    return rows


def _logged(
    rows: Sequence[dict[str, Any]], step: int, loss: float, lr: float, tokens: int, now: float
) -> dict[str, Any]:
    """The next row; tokens: since the last one."""
    last = rows[-1] if rows else {"tokens": 0, "seconds": 0.0}
    return {
        "step": step, "tokens": last["tokens"] + tokens, "loss": loss, "lr": lr,
        "tokens_per_s": tokens / max(now - last["seconds"], 1e-9), "seconds": now,
    }  # fmt: skip


def recent(rows: Sequence[dict[str, Any]], logs: int = 3) -> float:
    """Mean batch loss over the last `logs` logs.

    The last log alone, perhaps of one batch, is noisy: a batch holds documents of similar length
    and hence kind, and losses differ by kind (0.5 to 1.7 nats per token in one finished base).
    """
    ends = [0, *(row["step"] for row in rows)]
    steps = [end - start for start, end in pairwise(ends)][-logs:]
    return fmean([row["loss"] for row in rows[-logs:]], steps)


def bucketed(
    sequences: Sequence[Sequence[int]], batch_tokens: int, rng: random.Random
) -> list[list[int]]:
    """Indices in shuffled batches of similar length with rows x longest <= `batch_tokens`."""
    batches: list[list[int]] = []
    for start in range(0, len(sequences), POOL):
        pool = range(start, min(start + POOL, len(sequences)))
        buckets: list[list[int]] = []
        # Lengths ascend, so the newest row is the longest in its batch.
        for row in sorted(pool, key=lambda row: len(sequences[row])):
            if not buckets or len(sequences[row]) * (len(buckets[-1]) + 1) > batch_tokens:
                buckets.append([])
            buckets[-1].append(row)
        rng.shuffle(buckets)
        batches += buckets
    return batches


def schedule(step: int, total: int, warmup_fraction: float) -> float:
    """Learning-rate factor: linear warm-up, then linear decay to 0.05 at the last step."""
    warmup = min(1.0, step / max(1.0, warmup_fraction * total))
    return warmup * max(FINAL_RATE, 1 - (step - 1) / total)


def _update(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    rows: Sequence[Sequence[int]],
    pad_id: int,
    engine: EngineConfig,
) -> tuple[torch.Tensor, int]:
    """One update; returns the mean cross entropy of the predicted tokens, and their number."""
    ids = pad_sequence([torch.tensor(row) for row in rows], True, pad_id).to(model.device)
    lengths = torch.tensor([[len(row)] for row in rows])
    keep = (torch.arange(1, ids.shape[1]) < lengths).to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16, engine.precision == "bfloat16"):
        # Under the causal mask, no predicted token attends to right padding.
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.get_output_embeddings()(hidden[keep])
        loss = cross_entropy(logits.float(), ids[:, 1:][keep])
    loss.backward()
    clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach(), int(keep.sum())
