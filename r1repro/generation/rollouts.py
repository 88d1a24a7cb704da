"""Batch-compacting sampling with a Hugging Face model's own forward.

Unlike in `generate()`, a row leaves the batch when it ends, a repeated prompt is prefilled once,
and a new token is written into the cache without copying it. Works with any causal architecture
that has a KV cache. Larger jobs are split into batches by problem_samples.py, and in RL by
training/trl_sampling.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, groupby
from typing import Any

import torch
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from r1repro.generation.packed_weights import packed

# Compact once this share of the batch has ended; each compaction copies the cache.
COMPACT_AT = 0.1
# Top-p ranks this many tokens first and sorts the whole vocabulary only if they fall short.
TOP_P_PREFIX = 16
BLOCK = 64
# Probabilities from which tokens are drawn at a time on a CPU.
DRAWN_AT_ONCE = 2**20
# Spare tokens allocated whenever the cache grows.
ROOM = 64


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters: at temperature 0 greedy; at most `max_tokens` per completion."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Rollout:
    """One sampled completion.

    token_ids: include the end-of-sequence token, if it `finished` with one before the length cap.
    logps: log-probability of each token at the temperature, before top-p; None unless asked for.
    """

    token_ids: list[int]
    finished: bool
    logps: list[float] | None = None


def ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Sorted end-of-sequence token ids of the tokenizer and the generation config."""
    eos = model.generation_config.eos_token_id if model.generation_config else None
    configured = [eos] if isinstance(eos, int) else list(eos or ())
    return sorted({tokenizer.eos_token_id, *configured})


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    end_ids: Sequence[int],
    pad_id: int,
    seed: int,
    part: tuple[int, int] = (0, 1),
    with_logps: bool = False,
) -> list[Rollout]:
    """One completion for each of B prompts of token ids, in one batch on the model's device.

    Row b draws its t-th token with entry (t, b) of one random stream seeded by `seed`, so a
    completion depends neither on compaction nor on the lengths of other rows.
    part: (i, n) samples rows i B to (i + 1) B of a batch of n B rows, with its random numbers.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    stream = (torch.rand(part[1], len(prompts), generator=generator)[part[0]] for _ in count())
    ends = torch.tensor(list(end_ids), device=model.device)
    with _to_sample(model), packed(model, len(prompts)):
        tokens, logps = _decode(model, prompts, sampling, ends, pad_id, stream, with_logps)
    ended = torch.isin(tokens, ends)
    finished = ended.any(1)
    lengths = torch.where(finished, ended.int().argmax(1) + 1, sampling.max_tokens)
    told = [None] * len(prompts) if logps is None else logps.tolist()
    rows = zip(tokens.tolist(), lengths.tolist(), finished.tolist(), told, strict=True)
    return [Rollout(row[:length], end, x and x[:length]) for row, length, end, x in rows]


def _decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    ends: torch.Tensor,
    pad_id: int,
    stream: Iterator[torch.Tensor],
    with_logps: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Tokens of B completions, (B, max_tokens), and their log-probabilities if asked for.

    Both are arbitrary after an end.
    """
    cache = growing_cache(model)
    logits, mask = _prefill(model, prompts, pad_id, cache)
    position, device = mask.sum(1), model.device
    alive = torch.arange(len(prompts), device=device)
    done = torch.zeros_like(alive, dtype=torch.bool)
    tokens = torch.full((len(alive), sampling.max_tokens), pad_id, device=device)
    logps = torch.zeros(tokens.shape, device=device) if with_logps else None
    for step in range(sampling.max_tokens):
        drawn = draw(logits, next(stream).to(device)[alive], sampling)
        tokens[alive, step] = drawn
        if logps is not None:
            logps[alive, step] = token_logps(logits, drawn, sampling)
        done = done | torch.isin(drawn, ends)
        share = done.float().mean().item()
        if share == 1.0 or step + 1 == sampling.max_tokens:
            break
        if share >= COMPACT_AT:
            keep = (~done).nonzero(as_tuple=True)[0]
            alive, drawn, mask, position, done = (
                rows[keep] for rows in (alive, drawn, mask, position, done)
            )
            cache.batch_select_indices(keep)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        logits = _next_logits(model, drawn[:, None], mask, position[:, None], cache)
        position = position + 1
    return tokens, logps


def _prefill(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_id: int, cache: DynamicCache
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of the first token, (B, V), and the prompts' mask; equal neighbours are read once."""
    groups = [(torch.tensor(prompt), len(list(same))) for prompt, same in groupby(prompts, list)]
    unique, sizes = [prompt for prompt, _ in groups], torch.tensor([size for _, size in groups])
    padded = partial(pad_sequence, batch_first=True, padding_side="left")
    ids = padded(unique, padding_value=pad_id).to(model.device)
    mask = padded([torch.ones_like(prompt) for prompt in unique]).to(model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    rows = torch.arange(len(unique)).repeat_interleave(sizes).to(model.device)
    logits = _next_logits(model, ids, mask, positions, cache)[rows]
    if len(unique) < len(prompts):
        cache.batch_select_indices(rows)
    return logits, mask[rows]


def _next_logits(
    model: PreTrainedModel,
    ids: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
    cache: DynamicCache,
) -> torch.Tensor:
    """Logits after the last of `ids`, (B, V)."""
    # An index for several columns: the slice that 1 stands for would not be contiguous, and PyTorch
    # would copy the whole vocabulary projection for each of its rows.
    columns = ids.shape[1]
    last = 1 if columns == 1 else torch.tensor([columns - 1], device=ids.device)
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
        use_cache=True, logits_to_keep=last,
    )  # fmt: skip
    return output.logits[:, -1]


class GrowingLayer(DynamicLayer):
    """KV cache with spare capacity; DynamicLayer copies the whole cache at every token."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (B, heads, new, D); returns all keys and values, (B, heads, all, D)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._places = [key_states[:, :, :0], value_states[:, :, :0]]
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        for index, states in enumerate((key_states, value_states)):
            place = self._places[index]
            if place.shape[-2] < after:
                batch, heads, _, size = states.shape
                self._places[index] = states.new_empty(batch, heads, after + ROOM, size)
                self._places[index][:, :, :before] = place[:, :, :before]
            self._places[index][:, :, before:after] = states
        self.keys, self.values = (place[:, :, :after] for place in self._places)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only these rows of the batch."""
        length = self.get_seq_length()
        self._places = [place[indices] for place in self._places]
        self.keys, self.values = (place[:, :, :length] for place in self._places)


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention from one new token, (B, 1, heads, D), to keys and values (B, groups, T, D).

    Treats the query heads of a group as queries of one head, with the same result. SDPA would
    repeat keys and values for every head, a copy that dominates the cost.
    """
    batch, heads, new, size = query.shape
    if new > 1 or kwargs.get("position_bias") is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    groups = key.shape[1]
    output = scaled_dot_product_attention(
        query.reshape(batch, groups, heads // groups, size),
        key,
        value,
        attn_mask=attention_mask,
        scale=kwargs.get("scaling"),
    )
    return output.reshape(batch, 1, heads, size), None


AttentionInterface.register("r1repro_grouped", grouped_attention)
AttentionMaskInterface.register("r1repro_grouped", sdpa_mask)


@contextmanager
def _to_sample(model: PreTrainedModel) -> Iterator[None]:
    """Grouped attention in place of SDPA, and eval mode: gradient checkpointing has no cache."""
    attention, training = model.config._attn_implementation, model.training
    if attention == "sdpa":
        model.set_attn_implementation("r1repro_grouped")
    model.eval()
    try:
        yield
    finally:
        model.set_attn_implementation(attention)
        model.train(training)


def growing_cache(model: PreTrainedModel) -> DynamicCache:
    """The model's cache, with each DynamicLayer replaced by a GrowingLayer."""
    cache = DynamicCache(config=model.config)
    cache.layers = [GrowingLayer() if type(x) is DynamicLayer else x for x in cache.layers]
    return cache


def draw(logits_B_V: torch.Tensor, uniform_B: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Token ids (B,) by inverse transform of `uniform_B` in [0, 1) over the tempered softmax.

    top_p < 1 keeps the smallest set of top tokens with that mass (Holtzman et al. 2020).
    """
    if sampling.temperature == 0:
        return logits_B_V.argmax(-1)
    # On a CPU some rows at a time: copies of a whole large vocabulary took five times as long.
    rows = len(logits_B_V)
    if logits_B_V.device.type == "cpu":
        rows = max(1, DRAWN_AT_ONCE // logits_B_V.shape[1])
    parts = zip(logits_B_V.split(rows), uniform_B.split(rows), strict=True)
    return torch.cat([_drawn(logits, uniform, sampling) for logits, uniform in parts])


def _drawn(logits_B_V: torch.Tensor, uniform_B: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    probabilities = _tempered(logits_B_V, sampling.temperature).softmax(-1)
    if sampling.top_p >= 1:
        return _inverse(probabilities, uniform_B)
    best, tokens = probabilities.max(-1)
    # For most tokens the nucleus is the single most likely one, and ranking is expensive.
    open_rows = (best < sampling.top_p).nonzero(as_tuple=True)[0]
    if len(open_rows):
        tokens[open_rows] = _from_nucleus(
            probabilities[open_rows], uniform_B[open_rows], sampling.top_p
        )
    return tokens


def token_logps(
    logits_B_V: torch.Tensor, tokens_B: torch.Tensor, sampling: Sampling
) -> torch.Tensor:
    """Log-probabilities (B,) of tokens under the tempered softmax; greedy ones at temperature 1."""
    tempered = _tempered(logits_B_V, sampling.temperature or 1.0)
    return tempered.gather(1, tokens_B[:, None])[:, 0] - tempered.logsumexp(-1)


def _tempered(logits_B_V: torch.Tensor, temperature: float) -> torch.Tensor:
    return logits_B_V.float() if temperature == 1 else logits_B_V.float() / temperature


def _from_nucleus(
    probabilities_B_V: torch.Tensor, uniform_B: torch.Tensor, top_p: float
) -> torch.Tensor:
    """One token from each row's nucleus: the smallest set of top tokens with mass top_p."""
    ranked, order = probabilities_B_V.topk(min(TOP_P_PREFIX, probabilities_B_V.shape[-1]), dim=-1)
    tokens = _within(ranked, order, uniform_B, top_p)
    short = (ranked.sum(-1) < top_p).nonzero(as_tuple=True)[0]
    if len(short):
        ranked, order = probabilities_B_V[short].sort(dim=-1, descending=True)
        tokens[short] = _within(ranked, order, uniform_B[short], top_p)
    return tokens


def _within(
    ranked_B_K: torch.Tensor, order_B_K: torch.Tensor, uniform_B: torch.Tensor, top_p: float
) -> torch.Tensor:
    before = ranked_B_K.cumsum(-1) - ranked_B_K
    kept = ranked_B_K.masked_fill(before >= top_p, 0.0)
    return order_B_K.gather(1, _inverse(kept, uniform_B)[:, None])[:, 0]


def _inverse(weights_B_V: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """Index (B,) at which each row's cumulative sum exceeds `uniform` times its total.

    Searches blocks first, then within one: a cumulative sum over the vocabulary is slow on a CPU.
    """
    rows, vocabulary = weights_B_V.shape
    padded = pad(weights_B_V, (0, -vocabulary % BLOCK)).view(rows, -1, BLOCK)
    block, rest = _pass(padded.sum(-1), uniform_B[:, None])
    inside = padded[torch.arange(rows, device=block.device), block]
    index, _ = _pass(inside, rest)
    return block * BLOCK + index


def _pass(weights_B_N: torch.Tensor, share_B_1: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Index at which the cumulative sum exceeds that share, and the remaining share (B, 1)."""
    cumulative = weights_B_N.cumsum(-1)
    total = cumulative[:, -1:]
    # Rounding must not move a number just below 1 past the last entry with positive weight.
    at = torch.minimum(share_B_1 * total, torch.nextafter(total, total * 0))
    index = torch.searchsorted(cumulative, at, right=True)
    weight = weights_B_N.gather(1, index)
    share = (at - (cumulative.gather(1, index) - weight)) / weight
    return index[:, 0], share.clamp(0, 1 - 2**-24)
