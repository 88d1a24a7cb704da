"""The sampler against `generate()`, the softmax, and itself without compaction."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from r1repro.generation import rollouts
from r1repro.generation.rollouts import Sampling, draw, sample
from tests.tiny import SHAPE

END, PAD, VOCABULARY = 1, 0, 40
SETTINGS = dict(
    **SHAPE,
    vocab_size=VOCABULARY,
    max_position_embeddings=64,
    eos_token_id=END,
    pad_token_id=PAD,
    bos_token_id=None,
    initializer_range=0.4,
)
PROMPTS = [[5, 6, 7], [8, 9], [8, 9], [8, 9], [10, 11, 12, 13, 14], [3], [22, 5, 6], [30, 31]]


@pytest.fixture(scope="module", params=["qwen3", "llama"])
def model(request):
    torch.manual_seed(0)
    if request.param == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(head_dim=8, **SETTINGS)).eval()
    return LlamaForCausalLM(LlamaConfig(**SETTINGS)).eval()


def _sample(model, prompts, sampling, seed=0, **kwargs):
    return sample(model, prompts, sampling, end_ids=[END], pad_id=PAD, seed=seed, **kwargs)


def _chi_square_p(observed, expected):
    """p-value of Pearson's test; cells with fewer than 5 expected counts are pooled."""
    rare = expected < 5
    cells = torch.cat([observed[~rare], observed[rare].sum()[None]]).double()
    wanted = torch.cat([expected[~rare], expected[rare].sum()[None]]).double()
    cells, wanted = cells[wanted > 0], wanted[wanted > 0]
    statistic = ((cells - wanted) ** 2 / wanted).sum()
    freedom = torch.tensor(len(cells) - 1.0, dtype=torch.float64)
    return torch.special.gammaincc(freedom / 2, statistic / 2).item()


def test_the_chi_square_can_fail():
    expected = torch.full((10,), 100.0)
    assert _chi_square_p(expected.clone(), expected) > 0.999
    skewed = expected + torch.tensor([30.0, -30.0] * 5)
    assert _chi_square_p(skewed, expected) < 1e-4


def test_greedy_gives_the_tokens_of_generate(model):
    found = _sample(model, PROMPTS, Sampling(max_tokens=24, temperature=0))
    for prompt, rollout in zip(PROMPTS, found, strict=True):
        output = model.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=False, pad_token_id=PAD
        )
        assert rollout.token_ids == output[0, len(prompt) :].tolist()
        assert rollout.finished == (rollout.token_ids[-1] == END)


def test_compaction_and_company_change_nothing(model, monkeypatch):
    sampling = Sampling(max_tokens=30)
    monkeypatch.setattr("r1repro.generation.rollouts.COMPACT_AT", 2.0)
    never = _sample(model, PROMPTS, sampling)
    monkeypatch.setattr("r1repro.generation.rollouts.COMPACT_AT", 1e-9)
    often = _sample(model, PROMPTS, sampling)
    assert never == often
    assert len({len(rollout.token_ids) for rollout in often}) > 1, "lengths must differ to show it"


def test_the_vocabulary_projection_reads_contiguous_rows(model):
    """Of others PyTorch would copy the projection once per row."""
    read = []
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(
        lambda _, given: read.append((*given[0].shape[:2], given[0].is_contiguous()))
    )
    _sample(model, PROMPTS, Sampling(max_tokens=3))
    hook.remove()
    assert len(read) == 3
    assert all(columns == 1 and contiguous for _, columns, contiguous in read)
    assert read[0][0] > 1, "a single row is contiguous in any case"


def test_seeds(model):
    sampling = Sampling(max_tokens=30)
    assert _sample(model, PROMPTS, sampling, 3) == _sample(model, PROMPTS, sampling, 3)
    assert _sample(model, PROMPTS, sampling, 3) != _sample(model, PROMPTS, sampling, 4)


def test_first_tokens_follow_the_softmax(model):
    """Chi-square test of 20,000 first tokens against the model's probabilities at T=1."""
    prompt, count = [5, 6, 7], 20_000
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    found = _sample(model, [prompt] * count, Sampling(max_tokens=1), seed=11)
    observed = torch.bincount(torch.tensor([r.token_ids[0] for r in found]), minlength=VOCABULARY)
    expected = logits.double().softmax(-1) * count
    assert _chi_square_p(observed, expected) > 1e-4


def test_second_tokens_follow_the_softmax_after_their_firsts(model):
    """Tests the cache: second tokens against a fresh forward pass without a cache."""
    prompt, count = [8, 9], 20_000
    found = _sample(model, [prompt] * count, Sampling(max_tokens=2), seed=5)
    firsts = torch.tensor([r.token_ids[0] for r in found])
    first = int(firsts[firsts != END].mode().values)
    seconds = [r.token_ids[1] for r in found if r.token_ids[0] == first]
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, first]])).logits[0, -1]
    expected = logits.double().softmax(-1) * len(seconds)
    observed = torch.bincount(torch.tensor(seconds), minlength=VOCABULARY)
    assert _chi_square_p(observed, expected) > 1e-4


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    uniform = torch.linspace(0, 0.9999, 1000)
    drawn = draw(logits.expand(1000, 4), uniform, Sampling(1, 1.0, 0.7))
    assert set(drawn.tolist()) == {0, 1}
    assert (drawn == 0).float().mean().item() == pytest.approx(0.5 / 0.8, abs=0.01)


def test_top_p_falls_back_to_the_whole_vocabulary_where_it_is_flat():
    logits = torch.zeros(1000, 500)
    drawn = draw(logits, torch.linspace(0, 0.9999, 1000), Sampling(1, 1.0, 0.9))
    assert 440 <= len(set(drawn.tolist())) <= 451


def test_numbers_next_to_one_stay_inside_the_vocabulary():
    uniform = torch.full((64,), 1 - 2**-24)
    logits = torch.randn(64, 2048, generator=torch.Generator().manual_seed(0))
    logits[:, -5:] = -torch.inf
    drawn = draw(logits, uniform, Sampling(1))
    assert (drawn < 2043).all()


def test_cap_leaves_rows_unfinished(model):
    found = _sample(model, [[5, 6, 7]] * 50, Sampling(max_tokens=2))
    for rollout in found:
        assert rollout.finished == (rollout.token_ids[-1] == END)
        assert len(rollout.token_ids) <= 2


def test_a_model_in_training_with_gradient_checkpointing_says_the_same(model):
    """In training mode the cache would be dropped and tokens drawn without context."""
    expected = _sample(model, PROMPTS, Sampling(max_tokens=12))
    model.train()
    model.gradient_checkpointing_enable()
    try:
        assert _sample(model, PROMPTS, Sampling(max_tokens=12)) == expected
        assert model.training
    finally:
        model.gradient_checkpointing_disable()
        model.eval()


@pytest.mark.parametrize("sampling", [Sampling(1), Sampling(1, 0.7, 0.9), Sampling(1, 0.0)])
def test_rows_drawn_some_at_a_time_are_those_drawn_together(monkeypatch, sampling):
    random = torch.Generator().manual_seed(3)
    logits, uniform = 4 * torch.randn(10, 200, generator=random), torch.rand(10, generator=random)
    together = draw(logits, uniform, sampling)
    monkeypatch.setattr(rollouts, "DRAWN_AT_ONCE", 3 * 200)
    assert torch.equal(draw(logits, uniform, sampling), together)
