import math
from types import SimpleNamespace

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from r1repro.evaluation import checkpoints
from r1repro.lab import kl
from r1repro.lab.kl import Positions
from r1repro.tasks import templates, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.tiny import SHAPE


def test_by_hand_is_what_a_pencil_gets():
    """Log-ratios log 2, 0 and -log 2 with probabilities 1/2, 1/4 and 1/4."""
    found = kl.by_hand([0.5, 0.25, 0.25], [0.25, 0.25, 0.5])
    two, mean = math.log(2), found.loc["mean under π"]
    assert found["k1"].tolist()[:3] == pytest.approx([two, 0, -two])
    assert mean[["k1", "k3"]].tolist() == pytest.approx([two / 4, two / 4])
    assert mean["k2"] == pytest.approx(two**2 * 3 / 8)
    assert found["k3 in the loss"].tolist()[:3] == pytest.approx([0.5, 0, -1])


def test_numbers_and_gradients_on_a_policy_that_is_listed():
    found = kl.of_tree()
    mean = kl.values(found)
    assert mean.loc["k1", "mean"] == pytest.approx(found.kl)
    assert mean.loc["k3", "mean"] == pytest.approx(found.kl)
    assert abs(mean.loc["k2", "bias"]) > 0.01
    assert mean.loc["k3", "deviation"] < mean.loc["k1", "deviation"]
    assert mean["below zero"].tolist() == pytest.approx([mean.loc["k1", "below zero"], 0, 0])
    assert 0 < mean.loc["k1", "below zero"] < 1
    pull = kl.gradients(found)
    assert pull.loc[["k2 in the loss", "k1 in the reward"], "error"].max() < 1e-9
    assert pull.loc["k1 in the loss", "error"] == pytest.approx(1)
    assert math.isnan(pull.loc["k1 in the loss", "cosine"])
    assert 0.01 < pull.loc["k3 in the loss", "error"] < 1


def test_the_deviation_is_that_of_sampled_tokens():
    found, generator = kl.of_tree(), torch.Generator().manual_seed(0)
    at = torch.multinomial(found.weights_N, 200_000, replacement=True, generator=generator)
    tokens = torch.multinomial(found.logps_N_V.exp()[at], 1, generator=generator)[:, 0]
    sampled = found.logps_N_V[at, tokens] - found.reference_N_V[at, tokens]
    assert kl.values(found).loc["k1", "deviation"] == pytest.approx(sampled.std().item(), rel=0.01)


def test_rare_tokens_are_left_out_of_the_last_columns():
    """A token with 0.00005, to which the reference gives a half: k3 there is almost 10,000."""
    own = torch.tensor([[1 - 5e-5, 5e-5]], dtype=torch.float64).log()
    reference = torch.tensor([[0.5, 0.5]], dtype=torch.float64).log()
    found = Positions("", own, reference, torch.ones(1, dtype=torch.float64))
    k3 = kl.values(found).loc["k3"]
    common, rare = own.exp()[0].tolist()
    low = math.exp(-math.log(common / 0.5)) + math.log(common / 0.5) - 1
    high = 0.5 / rare + math.log(rare / 0.5) - 1
    assert k3["mean"] == pytest.approx(common * low + rare * high)
    assert k3["mean, no rare tokens"] == pytest.approx(common * low)
    assert k3["deviation"] == pytest.approx(high * math.sqrt(rare), rel=0.01)
    assert k3["deviation, no rare tokens"] < 0.01 * k3["deviation"]
    pull = kl.gradients(found).loc["k3 in the loss"]
    # With the rare token the mean is pi - pi_ref, without it pi (1 - pi_ref / pi) grad log pi.
    exact = common * rare * (math.log(common / 0.5) - math.log(rare / 0.5))
    assert pull["error"] == pytest.approx((0.5 - rare) / exact - 1)
    assert pull["error, no rare tokens"] == pytest.approx(
        abs((common - 0.5) * rare / exact - 1), rel=1e-6
    )


def test_the_error_of_k3_grows_with_the_distance():
    over = kl.over_distance(kl.of_tree(), [0.1, 1.0, 2.0])
    assert over["kl"].is_monotonic_increasing and over["k3 in the loss"].is_monotonic_increasing
    assert over["kl"][1] == pytest.approx(kl.of_tree().kl)
    assert over["k1 in the reward"].max() < 1e-9


def test_only_in_the_reward_does_the_kl_shorten():
    found = kl.length_pressure()
    assert (found.loc["k1 in the reward"] < -1e-3).all()
    assert found.loc["k3 in the loss"].abs().max() < 1e-12


def test_the_balance_of_reward_and_kl_is_their_optimum():
    """The derivative of E r - beta KL with respect to the log-odds is zero there."""
    p, beta = 0.2, 0.5
    balance = kl.after_references(p, [beta], [0, 1, 2])["β = 0.5"]
    assert balance[0] == pytest.approx(p)
    assert balance[1] / (1 - balance[1]) == pytest.approx(0.25 * math.exp(2))
    odds = torch.tensor(balance[1], dtype=torch.float64).logit().requires_grad_()
    own = torch.stack([odds.sigmoid(), 1 - odds.sigmoid()])
    reference = torch.tensor([p, 1 - p], dtype=torch.float64)
    objective = own[0] - beta * (own * (own / reference).log()).sum()
    (slope,) = torch.autograd.grad(objective, odds)
    assert abs(slope.item()) < 1e-12
    again = kl.after_references(balance[1], [beta], [1])["β = 0.5"]
    assert again[1] == pytest.approx(balance[2])


def test_weights_that_do_not_sum_to_one_are_refused():
    logps = torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="sum to 2, not 1"):
        Positions("", logps, logps, torch.ones(2, dtype=torch.float64))


def test_without_a_run_the_small_policy_answers(compose):
    assert kl.positions(None, None, compose()).told == kl.of_tree().told


def test_a_runs_own_distributions(compose, tmp_path):
    """The policy samples; both models' distributions are at the tokens that it sampled."""
    config = compose()
    results, models = [], []
    for name, seed in (("r1_zero", 0), ("base", 1)):
        tokenizer, model = _checkpoint(tmp_path / name / "model", seed)
        results.append(SimpleNamespace(folder=tmp_path / name))
        models.append(model)
    found = kl.positions(*results, config, problems=3)
    assert found.kl > 1e-3 and "of 3 answers" in found.told
    again = kl.positions(results[0], results[0], config, problems=3)
    assert "has not left its base" in again.told and again.kl == kl.of_tree().kl
    form = templates.asked(checkpoints.form(config, "r1_zero"))
    problem = worlds.of(config.task).validation[0]
    ids = torch.tensor([tokenizer.encode(form(problem).prompt)])
    with torch.no_grad():  # of the first token: what both say after the prompt
        first = [model(ids).logits[0, -1].double().log_softmax(-1) for model in models]
    assert torch.allclose(found.logps_N_V[0], first[0], atol=1e-5)
    assert torch.allclose(found.reference_N_V[0], first[1], atol=1e-5)


def _checkpoint(folder, seed):
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: <think>"] * 3)
    torch.manual_seed(seed)
    shape = Qwen3Config(
        vocab_size=len(tokenizer), **SHAPE, head_dim=8, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, initializer_range=0.2,
    )  # fmt: skip
    model = Qwen3ForCausalLM(shape)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer, model.eval()
