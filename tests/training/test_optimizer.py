"""MuonWithAdamW against torch's optimizers, and saving and restoring its state."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification

from r1repro.training.optimizer import MuonWithAdamW, orthogonalize, split_parameters
from tests.tiny import SHAPE


def _model():
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(vocab_size=64, **SHAPE, head_dim=8, tie_word_embeddings=True)
    )


def _step(model, optimizer, seed):
    ids = torch.randint(0, 64, (4, 12), generator=torch.Generator().manual_seed(seed))
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def _either_way(matrix):
    tall = matrix.shape[0] > matrix.shape[1]
    return orthogonalize(matrix.T[None])[0].T if tall else orthogonalize(matrix[None])[0]


def test_embeddings_and_norms_are_not_muons():
    model = _model()
    matrices, rest = split_parameters(model)
    assert len(matrices) == 2 * 7
    assert any(p is model.get_input_embeddings().weight for p in rest)
    assert len(matrices) + len(rest) == len(list(model.parameters()))


def test_the_head_of_a_reward_model_is_not_muons():
    shape = Qwen3Config(vocab_size=40, **SHAPE, head_dim=8, num_labels=1)
    model = Qwen3ForSequenceClassification(shape)
    matrices, rest = split_parameters(model)
    assert any(parameter is model.score.weight for parameter in rest)
    assert not any(parameter is model.score.weight for parameter in matrices)


def test_orthogonalize_brings_singular_values_near_one():
    g = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(g))
    assert values.min() > 0.6 and values.max() < 1.3


def test_steps_equal_torchs_own_muon_and_adamw(monkeypatch):
    """Momentum, scale and decay; torch's bfloat16 iteration is replaced by ours in float32."""
    monkeypatch.setattr(
        "torch.optim._muon._zeropower_via_newtonschulz",
        lambda grad, *settings: _either_way(grad),
    )
    ours, theirs = _model(), _model()
    mine = MuonWithAdamW(ours, 1e-3, 1e-3, weight_decay=0.1)
    matrices, rest = split_parameters(theirs)
    muon = torch.optim.Muon(
        matrices, lr=1e-3, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(rest, lr=1e-3, weight_decay=0.1, betas=(0.9, 0.95))
    start = {name: p.detach().clone() for name, p in ours.named_parameters()}
    for seed in range(3):
        _step(ours, mine, seed)
        ids = torch.randint(0, 64, (4, 12), generator=torch.Generator().manual_seed(seed))
        theirs(input_ids=ids, labels=ids).loss.backward()
        muon.step(), adamw.step(), theirs.zero_grad()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        moved = (a - start[name]).norm()
        assert moved > 0 and (a - b).norm() < 1e-4 * moved, name


def test_state_there_and_back_gives_the_same_weights():
    straight, broken = _model(), _model()
    optimizer = MuonWithAdamW(straight, 1e-2, 1e-2)
    first = MuonWithAdamW(broken, 1e-2, 1e-2)
    for seed in range(2):
        _step(straight, optimizer, seed)
        _step(broken, first, seed)
    second = MuonWithAdamW(broken, 1e-2, 1e-2)
    second.load_state_dict(first.state_dict())
    for seed in range(2, 4):
        _step(straight, optimizer, seed)
        _step(broken, second, seed)
    for a, b in zip(straight.parameters(), broken.parameters(), strict=True):
        assert torch.equal(a, b)


def test_matrices_moved_few_at_a_time_move_as_all_at_once(monkeypatch):
    together, apart = _model(), _model()
    _step(together, MuonWithAdamW(together, 1e-2, 1e-3), 0)
    monkeypatch.setattr("r1repro.training.optimizer.TOGETHER", 1)
    _step(apart, MuonWithAdamW(apart, 1e-2, 1e-3), 0)
    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
