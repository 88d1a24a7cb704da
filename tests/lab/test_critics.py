import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, Qwen3Config

from r1repro.lab import critics
from r1repro.training.optimizer import MuonWithAdamW
from tests.tiny import SHAPE


def test_three_tokens_by_hand():
    """Errors 0.1, 0.2 and 0.2; with lambda 1 the reward minus the value."""
    found = critics.by_hand([0.5, 0.6, 0.8], 1.0, [0.0, 0.5, 1.0])
    assert found["δ"].tolist() == found["A, λ = 0"].tolist() == pytest.approx([0.1, 0.2, 0.2])
    assert found["A, λ = 0.5"].tolist() == pytest.approx([0.25, 0.3, 0.2])
    assert found["A, λ = 1"].tolist() == pytest.approx([0.5, 0.4, 0.2])


def test_the_reward_fades():
    found = critics.weight_of_reward([1, 1024], [0.95, 1.0])
    assert found.loc[1].tolist() == [1, 1] and found.loc[1024, "λ = 1"] == 1
    assert found.loc[1024, "λ = 0.95"] == pytest.approx(math.exp(1023 * math.log(0.95)))


def test_gradients_of_two_letters_by_hand():
    """Both must be "a", p = 1/2, without a critic: the score of a token is +-1/2 and -+1/2.

    The first token's gradient has p(right) (e - p) = 1/4 (1/2, -1/2), the second's the same; with
    lambda 0 the first token has none.
    """
    found = critics.baselines(length=2, wanted=2, p=0.5, lams=(0.0, 1.0))
    assert found.loc[("none (V = 0)", "λ = 1"), "error"] == pytest.approx(0, abs=1e-9)
    # Both parts of the exact gradient are of one size, and one of them is missing.
    assert found.loc[("none (V = 0)", "λ = 0"), "error"] == pytest.approx(math.sqrt(1 / 2))
    # One answer in four has a gradient, of squared size 1 (two tokens of 1/2): E g^2 is 1/4, and
    # the mean's square is 2 (1/4)^2 / 2 = 1/16, so the deviation is sqrt(3/16) over 1/4.
    assert found.loc[("none (V = 0)", "λ = 1"), "noise"] == pytest.approx(math.sqrt(3))


def test_what_each_critic_is_worth():
    found = critics.baselines(length=5, wanted=4)
    unbiased = found[found["error"] < 1e-9].index.tolist()
    assert set(unbiased) == {(c, lam) for c, lam in found.index if c == "exact" or lam == "λ = 1"}
    noise = found["noise"]
    mean = noise["the question's mean (V = accuracy)", "λ = 1"]
    assert noise["exact", "λ = 0"] < noise["exact", "λ = 1"] < noise["none (V = 0)", "λ = 1"]
    assert mean < noise["none (V = 0)", "λ = 1"]


def test_group_and_critic_agree():
    found = critics.grpo_is_ppo([1, 0, 0, 1])
    first, second, third = found.values()
    assert first == second == [0.5, -0.5, -0.5, 0.5] and third[0] > 0.5


@pytest.mark.parametrize("tied", [True, False])
def test_bytes_are_those_of_real_models(tied):
    """Weights, gradients and optimizer state after a step of the actor and of the critic."""
    shape = Qwen3Config(
        vocab_size=64, **SHAPE, head_dim=8, tie_word_embeddings=tied, pad_token_id=0, num_labels=1
    )
    found = critics.models(shape)
    ids = torch.arange(8)[None]
    for name, kind in (
        ("actor", AutoModelForCausalLM),
        ("critic", AutoModelForSequenceClassification),
    ):
        model = kind.from_config(shape, dtype=torch.float32)
        optimizer = MuonWithAdamW(model, 1e-3, 1e-3)
        model(ids).logits.sum().backward()
        optimizer.step()
        state = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)]
        weights = list(model.parameters())
        actual = {
            "parameters": sum(p.numel() for p in weights),
            "weights": sum(p.nbytes for p in weights),
            "gradients": sum(p.grad.nbytes for p in weights),
            "optimizer": sum(v.nbytes for v in state),
        }
        assert found.loc[name, list(actual)].to_dict() == actual
    assert found.loc["reference", "bytes"] == found.loc["actor", "weights"]
    assert found.loc["reward model", "bytes"] == found.loc["critic", "weights"]
    held = critics.methods(found)
    both = found.loc[["actor", "reference"], "bytes"].sum()
    assert held.loc["GRPO, reward by rule", "bytes"] == both
    assert held.loc["GRPO, reward by rule", "share of PPO"] == pytest.approx(
        both / (both + found.loc["critic", "bytes"])
    )
