"""Memory of one process in bytes, computed from the model's shape and the settings.

Weights, gradients and optimizer state are exact. The rest is computed from the tensors kept at the
peak, with every completion at its cap. Tests compare it with those kept on CPUs; nothing was
measured on a GPU.
"""

import copy
import math
from collections import Counter
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
)

from r1repro.config import EngineConfig, RLConfig
from r1repro.generation.rollouts import ROOM
from r1repro.training.logprobs import CHUNK
from r1repro.training.optimizer import TOGETHER, split_parameters

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes per number."""
SFT_CHUNK = 256
"""Completion tokens whose logits TRL's SFT computes at a time."""


@dataclass(frozen=True)
class Counts:
    """Parameter counts of a model; tied parameters count once.

    matrices: parameters trained by Muon, at most `largest` of them at a time; AdamW trains all
        others, in `rest_tensors` tensors.
    linear: weights of the layers' linear projections, in `projections` matrices; rank-1 adapters on
        all of them have `adapter` parameters.
    """

    total: int
    matrices: int
    largest: int
    rest_tensors: int
    linear: int
    projections: int
    adapter: int


def count(shape: PreTrainedConfig, scores: bool = False) -> Counts:
    """Count on the model itself, built on the `meta` device without allocating weights.

    scores: count a model with one output in place of the vocabulary's, such as a critic.
    """
    kind = AutoModelForCausalLM
    if scores:
        kind, shape = AutoModelForSequenceClassification, copy.deepcopy(shape)
        shape.num_labels = 1
    with torch.device("meta"):
        model = kind.from_config(shape, dtype=torch.float32)
    matrices, rest = split_parameters(model)
    alike = Counter(tuple(sorted(parameter.shape)) for parameter in matrices)
    sizes = [(math.prod(size), number) for size, number in alike.items()]
    head = model.get_output_embeddings()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear) and m is not head]
    return Counts(
        total=sum(p.numel() for p in model.parameters()),
        matrices=sum(p.numel() for p in matrices),
        largest=max((n * min(number, max(1, TOGETHER // n)) for n, number in sizes), default=0),
        rest_tensors=len(rest),
        linear=sum(m.weight.numel() for m in linear),
        projections=len(linear),
        adapter=sum(m.in_features + m.out_features for m in linear),
    )


@dataclass(frozen=True)
class Memory:
    """Bytes in one process: held throughout, plus the additional bytes of each phase.

    rollouts: KV cache, next-token logits and the copy of the weights that is sampled from.
    update: gradients, activations and logits of the largest micro-batch.
    step: gradients and the optimizer's temporary tensors.
    """

    weights: int
    optimizer: int = 0
    reference: int = 0
    rollouts: int = 0
    update: int = 0
    step: int = 0

    @property
    def held(self) -> int:
        """Weights, optimizer state and the reference."""
        return self.weights + self.optimizer + self.reference

    @property
    def peak(self) -> int:
        """Held bytes plus the largest phase."""
        return self.held + max(self.rollouts, self.update, self.step)


def weights(counts: Counts, engine: EngineConfig) -> int:
    """Bytes of the weights: float32, or with LoRA engine.precision and float32 adapters.

    Quantized projections are in bitsandbytes' NF4 with double quantization (Dettmers et al. 2023):
    half a byte per weight, one byte per block of 64, four bytes per 256 blocks.
    """
    if engine.lora_rank == 0:
        return 4 * counts.total
    width = WIDTHS[engine.precision]
    frozen = width * counts.total
    if engine.quantized:
        blocks = counts.linear // 64
        frozen += counts.linear // 2 + blocks + 4 * (blocks // 256) - width * counts.linear
    return frozen + 4 * trained(counts, engine)


def trained(counts: Counts, engine: EngineConfig) -> int:
    """Number of trainable parameters."""
    return counts.adapter * engine.lora_rank if engine.lora_rank else counts.total


def gradients(counts: Counts, engine: EngineConfig) -> int:
    """One float32 per trainable parameter."""
    return 4 * trained(counts, engine)


def optimizer(counts: Counts, engine: EngineConfig) -> int:
    """Muon keeps one float32 per parameter; AdamW keeps two, and a step count per tensor."""
    if engine.lora_rank:
        return 8 * trained(counts, engine) + 4 * 2 * counts.projections
    return 8 * counts.total - 4 * counts.matrices + 4 * counts.rest_tensors


def step(counts: Counts, engine: EngineConfig) -> int:
    """Muon's temporary tensors on a GPU, for the matrices it updates at a time.

    Per weight: the update and its copy in the stack in float32, and four bfloat16 numbers in the
    Newton-Schulz iteration.
    """
    return 0 if engine.lora_rank else (4 + 4 + 4 * 2) * counts.largest


def rollouts(
    shape: PreTrainedConfig, rows: int, prompt: int, completion: int, engine: EngineConfig
) -> int:
    """KV cache at the end of `rows` rollouts, plus the larger temporary at the peak.

    The cache has layers x 2 x KV heads x head size x rows x tokens numbers. The temporary is the
    old buffer of a layer that grows or, per row, the next-token logits and three float32 copies.
    """
    width = WIDTHS[engine.precision]
    room = prompt + ROOM
    room += -(-max(0, prompt + completion - room) // (ROOM + 1)) * (ROOM + 1)
    layer = 2 * shape.num_key_value_heads * head_size(shape) * rows * room * width
    drawing = rows * shape.vocab_size * (width + 3 * 4)
    return shape.num_hidden_layers * layer + max(layer, drawing)


def logits(shape: PreTrainedConfig, tokens: int, engine: EngineConfig, chunked: bool) -> int:
    """Logit memory of `tokens` tokens at the start of the backward pass.

    chunked: as in GRPO: the logits, their gradient, and three float32 tensors of the rows whose
    softmax is computed at a time. Otherwise in float32 the log-probabilities, their gradient and
    that of the logits, and the logits themselves if they are not float32.
    """
    count, width = tokens * shape.vocab_size, WIDTHS[engine.precision]
    if chunked:
        return 2 * count * width + 3 * 4 * min(count, CHUNK)
    return count * (3 * 4 + (width if width < 4 else 0))


def backward(
    shape: PreTrainedConfig, tokens: int, predicted: int, engine: EngineConfig, chunked: bool
) -> int:
    """Peak activation and logit memory of `tokens` tokens, `predicted` of them with logits.

    The peak is at the start of the backward pass. A layer keeps, with scaled_dot_product_attention:
    in float32 the inputs and outputs of its two norms; in the compute precision the inputs of the
    seven projections, queries, keys and values repeated for every head, the attention output, and
    the factors of the gated product. With gradient checkpointing it keeps its input alone, and the
    logits or one recomputed layer, with the gradients of its two widest activations, come on top.
    """
    width, layers = WIDTHS[engine.precision], shape.num_hidden_layers
    hidden, wide = shape.hidden_size, shape.intermediate_size
    queries = shape.num_attention_heads * head_size(shape)
    layer = tokens * (16 * hidden + width * (5 * hidden + 5 * queries + 4 * wide))
    outputs = logits(shape, predicted, engine, chunked)
    if not engine.gradient_checkpointing:
        return layers * layer + outputs
    inputs = layers * tokens * hidden * (width if engine.lora_rank else 4)
    return inputs + max(outputs, layer + tokens * 2 * 4 * wide)


def copied(counts: Counts, shape: PreTrainedConfig, engine: EngineConfig) -> int:
    """Copies of weights during an update.

    Sharded ones are gathered: the embedding table and the head throughout, the current layer and
    the next one, and float32 gradients until they are reduced. Of whole float32 weights autocast
    keeps copies until the backward pass.
    """
    width = WIDTHS[engine.precision]
    if engine.sharded:
        layer = counts.linear // shape.num_hidden_layers
        tables = counts.total - counts.linear
        return width * (tables + 2 * layer) + 4 * (tables + layer)
    if engine.lora_rank or width == 4:
        return 0
    return width * (counts.linear + shape.vocab_size * shape.hidden_size)


def head_size(shape: PreTrainedConfig) -> int:
    """Size of one attention head; older model configurations omit it."""
    return getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads


def grpo(
    shape: PreTrainedConfig,
    counts: Counts,
    settings: RLConfig,
    engine: EngineConfig,
    processes: int,
    prompt: int,
    judge: bool = False,
) -> Memory:
    """A GRPO stage with prompts of `prompt` tokens, without vLLM's weights and cache.

    The reference is a float32 copy, or a second adapter with LoRA; `judge` adds a reward model, and
    PPO its critic. To sample, a full model is copied if the precision is not float32 or the weights
    are sharded, and adapters are merged into a copy of the projections.
    """
    said, width = settings.last_cap, WIDTHS[engine.precision]
    rows = settings.questions * settings.generations // processes
    micro = max(1, min(rows, settings.micro_batch_tokens // (prompt + said)))
    # TRL loads a sharded reference whole, in float32, and gathers it at once.
    judging = 4 * counts.total if engine.sharded and settings.beta > 0 else 0
    sampled = 0
    if engine.rollouts == "own":
        batch = rows * settings.steps_per_generation
        batch //= settings.rollout_parts(batch)
        sampled = rollouts(shape, batch, prompt, said, engine)
        if engine.lora_rank == 0 and (width < 4 or engine.sharded):
            sampled += width * counts.total
        elif engine.lora_rank and not engine.quantized:
            sampled += width * counts.linear
    tokens = micro * (prompt + said)
    learned = training(shape, counts, tokens, micro * said, engine, processes, chunked=True)
    shared_by = processes if engine.sharded else 1
    reference = 4 * trained(counts, engine) // shared_by if settings.beta > 0 else 0
    reference += width * counts.total if judge else 0
    reference += critic(shape, engine) if settings.objective.advantage == "gae" else 0
    return replace(learned, reference=reference, rollouts=max(sampled, judging))


def critic(shape: PreTrainedConfig, engine: EngineConfig) -> int:
    """Weights, gradients and optimizer state of PPO's critic, which are held throughout.

    Its passes need less than the policy's, which have logits.
    """
    counts = count(shape, scores=True)
    return weights(counts, engine) + gradients(counts, engine) + optimizer(counts, engine)


def training(
    shape: PreTrainedConfig,
    counts: Counts,
    tokens: int,
    predicted: int,
    engine: EngineConfig,
    processes: int = 1,
    chunked: bool = False,
) -> Memory:
    """Updates alone, on `tokens` tokens at once, `predicted` of them with logits; see `logits`."""
    parts = processes if engine.sharded else 1
    grads = gradients(counts, engine) // parts
    return Memory(
        weights=weights(counts, engine) // parts,
        optimizer=optimizer(counts, engine) // parts,
        # Several processes with whole weights also have buffers to reduce gradients.
        update=grads * (2 if processes > parts else 1)
        + copied(counts, shape, engine)
        + backward(shape, tokens, predicted, engine, chunked),
        step=grads + step(counts, engine),
    )


def sampling(
    shape: PreTrainedConfig,
    counts: Counts,
    rows: int,
    prompt: int,
    completion: int,
    engine: EngineConfig,
) -> Memory:
    """Sampling alone, in engine.precision, `rows` at a time."""
    return Memory(
        weights=WIDTHS[engine.precision] * counts.total,
        rollouts=rollouts(shape, rows, prompt, completion, engine),
    )
