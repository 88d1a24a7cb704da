import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.claims_procedure import found, stated_power
from r1repro.errors import R1ReproError
from r1repro.evaluation import claims
from r1repro.evaluation.claims import Change, Claim, Lead, Light, Rise, Sooner, Value
from r1repro.evaluation.statistics import Estimate, power, t_interval
from r1repro.reports.checkpoints import PAIRS
from r1repro.stages import graph


def estimate(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 1_000)


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        ("up", 0.03, 0.07, "reproduced"),
        ("up", 0.001, 0.035, "inconclusive"),  # above zero, but less than counts
        ("up", -0.01, 0.07, "inconclusive"),
        ("up", -0.01, 0.015, "contradicted"),  # no room for what counts
        ("up", 0.005, 0.015, "contradicted"),
        ("up", -0.09, -0.04, "contradicted"),
        ("down", -0.07, -0.03, "reproduced"),
        ("down", -0.035, -0.001, "inconclusive"),
        ("down", -0.015, 0.01, "contradicted"),
        ("down", 0.04, 0.09, "contradicted"),
        ("same", -0.015, 0.019, "reproduced"),
        ("same", -0.021, 0.0, "inconclusive"),
        ("same", 0.005, 0.03, "inconclusive"),
        ("same", 0.021, 0.03, "contradicted"),
        ("same", -0.05, -0.021, "contradicted"),
    ],
)
def test_a_verdict_follows_from_the_interval(expected, low, high, verdict):
    assert claims.verdict(expected, 0.02, estimate(low, high)) == verdict


@pytest.mark.parametrize("expected", claims.EXPECTED)
def test_without_an_interval_nothing_is_decided(expected):
    assert claims.verdict(expected, 0.02, Estimate(0.5, math.nan, math.nan, 1)) == "inconclusive"


def run(value: float = 0.3, before: float = 0.3, **tables: pd.DataFrame) -> Light:
    path = "reasoning/pass@1"
    return Light(
        {"base": {path: estimate(before - 0.01, before + 0.01)}},
        {"r1_zero - base": {path: estimate(value - 0.02, value + 0.02)}},
        tables,
    )


CLAIM = Claim("x", "It rises.", "v1", "", Change("reasoning/pass@1", "base", "r1_zero"), "up", 0.02)


def test_one_run_speaks_by_its_own_interval_and_several_by_their_spread():
    (one,) = claims.judge([CLAIM], [run()])
    assert one.verdict == "reproduced" and one.effect == estimate(0.3 - 0.02, 0.3 + 0.02)
    (three,) = claims.judge([CLAIM], [run(0.1), run(0.3), run(0.5)])
    assert three.seeds == pytest.approx((0.1, 0.3, 0.5)) and three.effect.n == 3
    # mean 0.3, standard error 0.2 / sqrt(3), t(0.975, 2) = 4.303
    assert three.effect.low == pytest.approx(0.3 - 4.3027 * 0.2 / 3**0.5, abs=1e-4)
    assert three.verdict == "inconclusive", "three seeds that differ so much decide nothing"


def test_what_one_run_lacks_is_not_made_up():
    (one,) = claims.judge([CLAIM], [run(), Light({}, {}, {})])
    assert one.verdict == "not testable" and "1 of 2 runs" in one.reason and one.effect is None
    (other,) = claims.judge([Claim("y", "Later.", "v1", not_yet="PPO is not built")], [run()])
    assert (other.verdict, other.reason) == ("not testable", "PPO is not built")


@pytest.mark.parametrize("expected", ["down", "same"])
def test_what_has_nothing_to_lose_cannot_show_that_it_keeps_it(expected):
    claim = claims.replace(CLAIM, expected=expected)
    (one,) = claims.judge([claim], [run(0.0, before=0.01)])
    assert one.verdict == "not testable" and "nothing" in one.reason
    (other,) = claims.judge([claim], [run(0.0, before=0.5)])
    assert other.verdict in ("inconclusive", "contradicted")


def test_two_scopes_differ_by_the_root_of_the_squared_halves():
    both = {
        "level_5/pass@1": Estimate(0.3, 0.27, 0.33, 200),
        "level_1/pass@1": Estimate(0.4, 0.36, 0.44, 200),
    }
    at = Light({"r1": both}, {"r1_zero - base": both}, {})
    for measure in (
        Value("level_5/pass@1", "r1", "level_1/pass@1"),
        Change("level_5/pass@1", "base", "r1_zero", "level_1/pass@1"),
    ):
        effect = claims.effect(measure, at)
        assert (effect.value, effect.low, effect.high) == pytest.approx((-0.1, -0.15, -0.05))
    assert claims.effect(Value("level_5/pass@1", "r1", "level_9/pass@1"), at) is None


def curves(**columns: object) -> pd.DataFrame:
    steps = 50
    plain = {"format_valid": 1.0, "pass_at_1": 0.5, "length": 20.0}
    return pd.DataFrame({"step": range(1, steps + 1), **plain, **columns})


def test_a_rise_is_counted_from_where_the_format_is_there():
    format_valid = np.repeat([0.2, 1.0], [10, 40])
    length = np.concatenate([np.full(10, 500.0), np.linspace(20, 60, 40)])
    found_ = claims.effect(
        Rise("length", "r1_zero"),
        run(r1_zero=curves(format_valid=format_valid, length=length)),
    )
    assert 28 < found_.value < 36 and 0 < found_.low < found_.value < found_.high
    never = run(r1_zero=curves(format_valid=0.5, length=length))
    assert claims.effect(Rise("length", "r1_zero"), never) is None
    assert claims.effect(Rise("length", "r1_zero"), run()) is None


def test_steps_are_counted_and_have_no_interval_in_one_run():
    slow = curves(pass_at_1=np.repeat([0.1, 0.6], [30, 20]))
    fast = curves(pass_at_1=np.repeat([0.1, 0.6], [10, 40]))
    sooner = claims.effect(Sooner("dev2", "r1_zero", 0.5), run(dev2=fast, r1_zero=slow))
    assert sooner.value == 20 and math.isnan(sooner.low)
    lead = claims.effect(Lead("format_valid", "pass_at_1", "r1_zero"), run(r1_zero=slow))
    assert lead.value == claims.reaches(slow.pass_at_1, 0.9 * 0.6) > 20
    flat = run(dev2=fast, r1_zero=curves(pass_at_1=0.1))
    assert claims.effect(Sooner("dev2", "r1_zero", 0.5), flat) is None
    assert claims.reaches(slow.pass_at_1.head(3), 0.0) is None


def test_every_declared_claim_can_be_answered_by_the_stages():
    declared = claims.load()
    assert sum(claim.measure is not None for claim in declared) >= 20
    for claim in declared:
        match claim.measure:
            case Change(_, before, after, _):
                assert (before, after) in PAIRS, claim.id
            case Value(_, checkpoint, _):
                assert f"evaluate_{checkpoint}" in graph(), claim.id
            case Rise(_, stage) | Lead(_, _, stage):
                assert stage in graph(), claim.id
            case Sooner(stage, than, _):
                assert {stage, than} <= graph().keys(), claim.id
            case None:
                assert claim.not_yet, claim.id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {id: a, statement: s, source: v1}", "wants"),
        ("- {id: a, statement: s, source: v1, not_yet: n, colour: red}", "colour"),
        ("- {id: a, statement: s, source: v1, not_yet: n}\n" * 2, "more than once"),
        (
            "- {id: a, statement: s, source: v1, paper: p, expected: sideways, smallest: 1,"
            " measure: {rise: length, stage: r1_zero}}",
            "'sideways'",
        ),
        (
            "- {id: a, statement: s, source: v1, paper: p, expected: up, smallest: 1,"
            " measure: {rise: length, of: r1_zero}}",
            "a measure of rise, of is none of",
        ),
    ],
)
def test_a_malformed_claim_is_named(tmp_path, text, said):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(R1ReproError, match="claims.yaml") as error:
        claims.load(path)
    assert said in str(error.value)


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_the_procedure_reproduces_nothing_where_there_is_nothing(seeds):
    assert found("up", 0.0, seeds, tries=100) <= 0.05
    assert found("same", 0.02, seeds, tries=100, seed=1) <= 0.12  # at the margin itself: 5 %


@pytest.mark.parametrize(("effect", "seeds"), [(0.03, 3), (0.05, 3), (0.03, 5)])
def test_the_procedure_finds_an_effect_as_often_as_stated(effect, seeds):
    tries = 1_000
    stated = stated_power(effect, seeds)
    spread = (stated * (1 - stated) / tries) ** 0.5
    assert found("up", effect, seeds, tries) == pytest.approx(stated, abs=4 * spread)


def test_power_and_t_intervals():
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert all(map(math.isnan, t_interval([1.0])))
    assert power(10.0, 0.01, 3, 0.02) == pytest.approx(1.0)
    assert power(0.0, 0.01, 3, 1e-9) == pytest.approx(0.025, abs=2e-3)


def test_the_control_is_judged_as_the_first_claim_is():
    changes = {
        "r1_zero - base": {"reasoning/pass@1": estimate(0.3, 0.4)},
        "r1_zero_shuffled_rewards - base": {"reasoning/pass@1": estimate(-0.02, 0.01)},
    }
    judged = claims.control(claims.load(), [Light({}, changes, {})])
    assert judged is not None and judged.verdict == "contradicted"
    assert claims.control(claims.load(), [run()]) is None
