import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from benchmarks.claims_procedure import estimates, several_seeds, share, stated_power
from r1repro.errors import R1ReproError
from r1repro.evaluation import claim_effects, claims
from r1repro.evaluation.checkpoints import CHECKPOINTS, PAIRS
from r1repro.evaluation.claim_definitions import (
    EXPECTED,
    Change,
    Claim,
    Lead,
    Paid,
    Rise,
    Times,
    Value,
    load,
)
from r1repro.evaluation.claim_effects import Light
from r1repro.evaluation.statistics import Estimate, over_seeds, power, sign_flip, t_interval
from r1repro.evaluation.training_moved import Curve, Moved
from r1repro.runner.graph import graph

MOVES = Moved(0.1, "reward", 0.02, {"reward": Curve(0.4, 0.3, 0.01)})


class Everywhere(dict):
    """The same facts for every stage."""

    def __missing__(self, stage: str) -> Moved:
        return MOVES

    def keys(self):
        return graph().keys() | {"base_best", "base_rft_best"}


def estimate(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 1_000)


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        ("up", 0.03, 0.07, "reproduced"),
        ("up", 0.001, 0.035, "inconclusive"),  # above zero, but too small to count
        ("up", -0.01, 0.07, "inconclusive"),
        ("up", -0.01, 0.015, "contradicted"),  # excludes an effect that counts
        ("up", 0.005, 0.015, "inconclusive"),  # claimed direction, too small to count
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
        ("no_lower", -0.015, 0.30, "reproduced"),  # an improvement is not a loss
        ("no_lower", -0.025, 0.01, "inconclusive"),
        ("no_lower", -0.05, -0.021, "contradicted"),
        ("no_higher", -0.30, 0.015, "reproduced"),
        ("no_higher", -0.01, 0.025, "inconclusive"),
        ("no_higher", 0.021, 0.05, "contradicted"),
    ],
)
def test_a_verdict_follows_from_the_interval(expected, low, high, verdict):
    assert claims.verdict(expected, 0.02, estimate(low, high))[0] == verdict


def test_a_small_effect_in_the_direction_claimed_is_told_apart():
    assert "smaller than what counts" in claims.verdict("up", 0.02, estimate(0.005, 0.015))[1]


@pytest.mark.parametrize("expected", EXPECTED)
def test_without_an_interval_nothing_is_decided(expected):
    found = claims.verdict(expected, 0.02, Estimate(0.5, math.nan, math.nan, 1))
    assert found == ("inconclusive", "no interval")


def run(
    value: float = 0.3,
    before: float = 0.3,
    moved: Mapping[str, Moved] = Everywhere(),  # noqa: B008
    **tables: pd.DataFrame,
) -> Light:
    path = "reasoning/pass@1"
    return Light(
        {"base": {path: estimate(before - 0.01, before + 0.01)}},
        {
            f"r1_zero - {side}": {path: estimate(value - 0.02, value + 0.02)}
            for side in ("base", "base_best")
        },
        tables,
        moved=moved,
    )


CLAIM = Claim("x", "It rises.", "v1", "", Change("reasoning/pass@1", "base", "r1_zero"), "up", 0.02)


def test_one_run_speaks_by_its_own_interval_and_several_by_their_spread():
    (one,) = claims.judge([CLAIM], [run()])
    assert one.verdict == "reproduced" and one.effect == estimate(0.3 - 0.02, 0.3 + 0.02)
    (three,) = claims.judge([CLAIM], [run(0.1), run(0.3), run(0.5)])
    assert three.seeds == pytest.approx((0.1, 0.3, 0.5)) and three.effect.n == 1_000
    # mean 0.3, standard error 0.2 / sqrt(3), t(0.975, 2) = 4.303; the problems' half-width 0.02
    seeds = 4.3027 * 0.2 / 3**0.5
    assert three.effect.low == pytest.approx(0.3 - math.hypot(seeds, 0.02), abs=1e-4)
    assert three.verdict == "inconclusive", "three seeds that differ so much decide nothing"


def test_what_one_run_lacks_is_not_made_up():
    (one,) = claims.judge([CLAIM], [run(), Light({}, {}, {})])
    assert one.verdict == "not testable" and one.effect is None
    assert one.reason == "there is no evaluation of base and r1_zero in 1 of 2 runs"
    asked = {name: {"length": estimate(20, 30)} for name in ("base", "r1_zero")}
    (two,) = claims.judge([CLAIM], [Light(asked, {}, {})])
    assert two.reason.startswith("pass@1 of Base or R1-Zero was not measured")
    (other,) = claims.judge([Claim("y", "Later.", "v1", not_yet="PPO is not built")], [run()])
    assert (other.verdict, other.reason) == ("not testable", "PPO is not built")


@pytest.mark.parametrize(
    ("expected", "before", "verdict"),
    [
        ("no_lower", 0.01, "not testable"),  # nothing to lose
        ("no_lower", 0.5, "reproduced"),
        ("no_higher", 0.99, "not testable"),  # no room above
        ("no_higher", 0.5, "reproduced"),
        ("same", 0.01, "not testable"),
        ("same", 0.99, "not testable"),
        ("same", 0.5, "reproduced"),
    ],
)
def test_what_could_not_go_against_a_claim_does_not_bear_it_out(expected, before, verdict):
    claim = claims.replace(CLAIM, expected=expected, smallest=0.03)
    (one,) = claims.judge([claim], [run(0.0, before=before)])
    assert one.verdict == verdict and one.effect is not None
    (other,) = claims.judge([claim], [run(0.3 if expected != "no_lower" else -0.3, before=before)])
    assert other.verdict == "contradicted", "what did go against it counts wherever it began"


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
        effect = claim_effects.effect(measure, at)
        assert (effect.value, effect.low, effect.high) == pytest.approx((-0.1, -0.15, -0.05))
    assert claim_effects.effect(Value("level_5/pass@1", "r1", "level_9/pass@1"), at) is None


def curves(**columns: object) -> pd.DataFrame:
    steps = 50
    plain = {"format_valid": 1.0, "pass_at_1": 0.5, "length": 20.0}
    return pd.DataFrame({"step": range(1, steps + 1), **plain, **columns})


def test_a_rise_is_counted_from_where_the_format_is_there():
    format_valid = np.repeat([0.2, 1.0], [10, 40])
    length = np.concatenate([np.full(10, 500.0), np.linspace(20, 60, 40)])
    found = claim_effects.effect(
        Rise("length", "r1_zero"),
        run(r1_zero=curves(format_valid=format_valid, length=length)),
    )
    assert 28 < found.value < 36
    assert math.isnan(found.low), "the steps of one run are no independent draws"
    never = run(r1_zero=curves(format_valid=0.5, length=length))
    for light in (never, run(), run(r1_zero=curves().drop(columns="length"))):
        assert claim_effects.effect(Rise("length", "r1_zero"), light) is None


def test_what_settles_first_leads():
    accuracy = np.repeat([0.1, 0.6], [30, 20])
    format_valid = np.repeat([0.2, 1.0], [10, 40])
    lead = Lead("format_valid", "pass_at_1", "r1_zero")
    found = claim_effects.effect(
        lead, run(r1_zero=curves(format_valid=format_valid, pass_at_1=accuracy))
    )
    assert found.value == 20 and math.isnan(found.low)
    flat = curves(format_valid=0.2, pass_at_1=accuracy)
    assert claim_effects.effect(lead, run(r1_zero=flat)) is None, (
        "what is never learned leads nothing"
    )
    assert claim_effects.reaches(pd.Series(accuracy).head(3), 0.0) is None


def test_a_ratio_is_judged_in_powers_of_two():
    sides = {
        "base": {"x": Estimate(1.0, 0.5, 2.0, 9)},
        "r1_zero": {"x": Estimate(4.0, 2.0, 8.0, 9)},
    }
    found = claim_effects.effect(Times("x", "base", "r1_zero"), Light(sides, {}, {}))
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 2**0.5, 2 + 2**0.5))
    sides["base"]["x"] = Estimate(0.0, 0.0, 0.1, 9)
    assert claim_effects.effect(Times("x", "base", "r1_zero"), Light(sides, {}, {})) is None


def test_k_stands_for_the_samples_drawn():
    at = {f"reasoning/{m}@{k}": estimate(0.1, 0.2) for m in ("pass", "cons") for k in (4, 16)}
    light = Light({"r1": at}, {}, {})
    assert claim_effects.effect(Value("reasoning/cons@k", "r1"), light) == estimate(0.1, 0.2)
    del at["reasoning/cons@16"]
    assert claim_effects.effect(Value("reasoning/cons@k", "r1"), light) is None


def test_every_declared_claim_can_be_answered_by_the_stages():
    declared = load()
    assert sum(claim.measure is not None for claim in declared) >= 20
    for claim in declared:
        match claim.measure:
            case Change(_, before, after, _):
                assert (before, after) in PAIRS, claim.id
            case Times(_, before, after):
                assert {f"evaluate_{before}", f"evaluate_{after}"} <= graph().keys(), claim.id
            case Value(_, checkpoint, _):
                assert f"evaluate_{checkpoint}" in graph(), claim.id
            case Rise(_, stage) | Lead(_, _, stage):
                assert stage in graph(), claim.id
            case None:
                assert claim.not_yet, claim.id
                continue
        for stage in {claims._stage(claim.measure), *([claim.moved.stage] if claim.moved else [])}:
            assert graph()[stage].run.startswith(("r1repro.stages.rl", "r1repro.stages.sft"))
            assert CHECKPOINTS[stage].parent and stage != "base_rft"


def test_accuracy_of_rl_is_counted_from_the_best_way_of_asking_the_base():
    declared = {claim.id: claim for claim in load()}
    for name in ("rl-raises-accuracy", "harder-problems-gain-more"):
        assert declared[name].measure.before == "base_best", name
    # Copies of one greedy answer have no pass@k, and a better prompt would hide a control's rise.
    for name in ("rl-sharpens", "pass-at-k-stays", "format-reward-does-not-raise-accuracy"):
        assert declared[name].measure.before == "base", name
    told = {"r1_zero": {"reasoning/pass@1": estimate(0.6, 0.7)}}
    (one,) = claims.judge([declared["rl-raises-accuracy"]], [Light(told, {}, {})])
    assert (one.verdict, one.reason) == ("not testable", "there is no evaluation of base_best")


def judged_with(claim: Claim, *moved: Mapping[str, Moved]) -> claims.Judged:
    return claims.judge([claim], [run(0.3 + 0.001 * i, moved=m) for i, m in enumerate(moved)])[0]


STILL = dataclasses.replace(MOVES, kl=6e-5, curves={"reward": Curve(1.9, 0.003, 0.01)})


def test_a_stage_that_did_not_move_has_no_verdict_whatever_its_effect():
    assert judged_with(CLAIM, {"r1_zero": MOVES}).verdict == "reproduced"
    for claim in (CLAIM, dataclasses.replace(CLAIM, expected="down")):
        one = judged_with(claim, {"r1_zero": STILL})
        assert one.verdict == "not testable" and one.effect is not None
        assert one.reason == (
            "no movement shown in r1_zero: the weights by 10 %, the reward by +0.003, with a "
            "standard error of 0.01, KL to the reference reaches 6.0e-05 nats a token"
        )
    assert judged_with(CLAIM, {}).reason == "whether r1_zero moved was not recorded"
    # Besides the weights, either the reward or the policy suffices.
    for moved in ({"curves": MOVES.curves}, {"kl": 0.02}):
        found = judged_with(CLAIM, {"r1_zero": dataclasses.replace(STILL, **moved)})
        assert found.verdict == "reproduced"
    frozen = dataclasses.replace(MOVES, weights=1e-6)
    assert judged_with(CLAIM, {"r1_zero": frozen}).verdict == "not testable"


def test_of_one_checkpoint_asked_in_two_ways_no_stage_must_have_moved():
    (claim,) = (c for c in load() if c.id == "few-shot-hurts")
    change = {"r1_few_shot - r1": {"reasoning/pass@1": estimate(-0.2, -0.1)}}
    for moved in ({"r1": STILL}, {}):
        (one,) = claims.judge([claim], [Light({}, change, {}, moved=moved)])
        assert one.verdict == "reproduced", "if R1 is Dev3, it is a reasoning model all the same"


def test_what_is_switched_off_is_named_with_its_switch():
    (claim,) = (c for c in load() if c.id == "greedy-repeats")
    (one,) = claims.judge([claim], [Light({"r1": {"repetition": estimate(0.1, 0.2)}}, {}, {})])
    assert one.verdict == "not testable"
    assert one.reason == "there is no evaluation of r1_greedy (ablation.greedy=true makes it)"


def test_of_several_seeds_most_must_have_moved():
    moves, still = {"r1_zero": MOVES}, {"r1_zero": STILL}
    assert judged_with(CLAIM, moves, still, moves).verdict == "reproduced"
    one = judged_with(CLAIM, moves, still, still)
    assert one.verdict == "not testable" and one.reason.endswith("(in 2 of 3 runs)")


def preferred(start: float, change: float) -> Moved:
    return dataclasses.replace(
        MOVES, curves={**MOVES.curves, "preference": Curve(start, change, 0.01)}
    )


@pytest.mark.parametrize(
    ("expected", "start", "change", "said"),
    [
        ("up", 0.987, 0.001, "stands at 0.987 of 1 in its first 5 steps"),
        ("up", 0.987, 0.012, "stands at 0.987 of 1"),
        ("up", 0.5, 0.015, "the preference reward by +0.015, with a standard error of 0.01"),
        ("up", 0.5, -0.3, ""),  # it moved, which suffices
        ("up", 0.5, 0.3, ""),
        ("no_lower", 0.5, 0.001, ""),  # a constant reward does not contradict a claim of no decline
        ("no_lower", 0.96, 0.001, "stands at 0.960 of 1"),
    ],
)
def test_a_reward_without_room_or_change_has_no_effect_to_judge(expected, start, change, said):
    claim = dataclasses.replace(CLAIM, expected=expected, moved=Paid("r1_zero", "preference"))
    one = judged_with(claim, {"r1_zero": preferred(start, change)})
    assert one.verdict == ("not testable" if said else "reproduced")
    assert said in one.reason and one.reason.startswith("no movement shown in ") == bool(said)


def test_a_preference_reward_that_is_full_from_the_start_contradicts_nothing():
    """As in our runs: reward 0.987, KL below 1e-4, and a verdict of contradicted."""
    (claim,) = (c for c in load() if c.id == "last-rl-lifts-preference")
    light = Light(
        {}, {"r1 - dev3": {"general/score": estimate(-0.02, 0.01)}}, {}, moved={"r1": MOVES}
    )
    full = dataclasses.replace(light, moved={"r1": preferred(0.987, 0.004)})
    roomy = dataclasses.replace(light, moved={"r1": preferred(0.6, 0.2)})
    verdicts = [claims.judge([claim], [one])[0] for one in (light, full, roomy)]
    assert [one.verdict for one in verdicts] == ["not testable", "not testable", "contradicted"]
    assert "stands at 0.987" in verdicts[1].reason


def test_false_verdicts_expected_of_a_ledger():
    """Worked by hand: three of six are judged by an interval, 3 x 0.025."""
    ledger = [
        claims.Judged(CLAIM, "reproduced", estimate(0.1, 0.2), ()),
        claims.Judged(CLAIM, "contradicted", estimate(-0.1, 0.0), ()),
        claims.Judged(CLAIM, "inconclusive", estimate(-0.1, 0.2), ()),  # could have been false
        claims.Judged(CLAIM, "inconclusive", Estimate(5.0, math.nan, math.nan, 40), ()),
        claims.Judged(CLAIM, "not testable", estimate(0.1, 0.2), ()),
        claims.Judged(CLAIM, "not testable", None, ()),
    ]
    assert claims.exposed(ledger) == 3
    assert claims.expected_false(ledger) == pytest.approx(0.075)
    assert claims.expected_false(ledger, claims.ANY_SEED) == pytest.approx(0.33)
    assert claims.expected_false([]) == 0


@pytest.mark.parametrize(("expected", "effect"), [("up", 0.02), ("same", 0.0), ("no_lower", 0.0)])
def test_a_true_claim_is_contradicted_no_more_often_than_its_tail(expected, effect):
    """The other half of `expected_false`: a 2.5 % tail plus three standard errors."""
    found = estimates(effect, 3, tries=1_000)
    assert share("contradicted", expected, found) <= 0.025 + 3 * (0.025 * 0.975 / 1_000) ** 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {id: a, statement: s, source: v1}", "required are"),
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
            "measure has rise, of; use one of",
        ),
        (
            "- {id: a, statement: s, source: v1, paper: p, expected: up, smallest: 1,"
            " measure: {rise: length, stage: r1_zero}, moved: {stage: r1, reward: praise}}",
            "'praise'",
        ),
        (
            "- {id: a, statement: s, source: v1, paper: p, expected: up, smallest: 1,"
            " measure: {rise: length, stage: r1_zero}, moved: r1}",
            "moved must be {stage: STAGE, reward: REWARD}",
        ),
        (
            "- {id: a, statement: s, source: v1, paper: p, expected: up, smallest: 1,"
            " measure: {rise: length, stage: r1_zero}, moved: }",
            "moved must be {stage: STAGE, reward: REWARD}",
        ),
    ],
)
def test_a_malformed_claim_is_named(tmp_path, text, said):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(R1ReproError, match="claims.yaml") as error:
        load(path)
    assert said in str(error.value)


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_the_procedure_reproduces_nothing_where_there_is_nothing(seeds):
    for expected, effect in (("up", 0.0), ("same", 0.02)):
        found = estimates(effect, seeds, tries=200)
        assert share("reproduced", expected, found) <= 0.05
    # Without a minimum size, only the interval prevents false alarms.
    assert share("reproduced", "up", estimates(0.0, seeds, tries=200), smallest=1e-9) <= 0.05


@pytest.mark.parametrize("deviation", [0.0, 0.0105, 0.05])
@pytest.mark.parametrize("seeds", [3, 5])
def test_an_interval_over_seeds_covers_the_effect(seeds, deviation):
    random = np.random.default_rng(1)
    found = [several_seeds(0.03, seeds, random, deviation) for _ in range(500)]
    assert np.mean([one.low <= 0.03 <= one.high for one in found]) >= 0.93


@pytest.mark.parametrize(("effect", "seeds"), [(0.03, 3), (0.05, 3), (0.03, 5)])
def test_the_procedure_finds_an_effect_as_often_as_stated(effect, seeds):
    tries = 1_000
    stated = stated_power(effect, seeds)
    spread = (stated * (1 - stated) / tries) ** 0.5
    found = share("reproduced", "up", estimates(effect, seeds, tries))
    assert found == pytest.approx(stated, abs=4 * spread)


def test_power_and_t_intervals():
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert all(map(math.isnan, t_interval([1.0])))
    assert power(10.0, 0.01, 3, 0.02) == pytest.approx(1.0)
    assert power(0.0, 0.01, 3, 1e-9) == pytest.approx(0.025, abs=2e-3)


def test_seeds_that_agree_exactly_claim_no_certainty():
    same = over_seeds([Estimate(5.0, math.nan, math.nan, 40)] * 3)
    assert same.value == 5 and math.isnan(same.low) and same.n == 40
    problems = over_seeds([estimate(0.3, 0.4)] * 3)
    assert (problems.low, problems.high) == pytest.approx((0.3, 0.4)), "the base, shared by all"


def test_sign_flips():
    random = np.random.default_rng(0)
    assert sign_flip(random.normal(size=200)) > 0.01
    assert sign_flip(0.5 + random.normal(size=200)) < 0.001
    assert sign_flip(np.ones(3), draws=2_000) == pytest.approx(0.25, abs=0.05)  # 2 of 8 orders


def test_the_control_is_judged_as_r1_zero_is():
    path = "reasoning/pass@1"
    changes = {
        "r1_zero - base_best": {path: estimate(0.3, 0.4)},
        "r1_zero - base": {"language_share": estimate(-0.2, -0.1)},
        "r1_zero_permuted - base_best": {path: estimate(-0.3, -0.2)},
        "r1_zero_permuted - base": {
            path: estimate(0.1, 0.2), "language_share": estimate(-0.2, -0.1)
        },
    }  # fmt: skip
    light = Light({}, changes, {}, moved={"r1_zero_permuted": MOVES})
    judged = {j.claim.id: j.verdict for j in claims.control(load(), [light])}
    assert judged["rl-raises-accuracy"] == "reproduced", "a rise over the base in the same prompt"
    assert "pass-at-k-stays" not in judged, "a claim of no rise is no effect of the reward"
    assert judged["language-mixing-appears"] == "reproduced", "and the report says so"
    assert "last-rl-lifts-preference" not in judged
    assert claims.control(load(), [run()]) == []


def at_equal_flops(spent: float | None) -> claims.Judged:
    """The equal-FLOPs claim when RL has spent this share of 100 FLOPs."""
    path, sides = "reasoning/pass@1", ("qwen_rl_equal_flops", "qwen_distilled")
    (claim,) = (c for c in load() if c.id == "distillation-beats-rl-equal-flops-qwen")
    costs = {} if spent is None else {sides[0]: {"flops": spent}, sides[1]: {"flops": 100.0}}
    change = {f"{sides[1]} - {sides[0]}": {path: estimate(0.3, 0.4)}}
    light = Light({}, change, {}, costs, {"qwen_distilled": MOVES})
    return claims.judge([claim], [light])[0]


def test_equal_flops_are_asked_to_be_equal():
    assert at_equal_flops(101.0).verdict == "reproduced"
    short = at_equal_flops(60.0)
    assert short.verdict == "not testable" and "after 60 % of the other side's" in short.reason
    assert at_equal_flops(None).verdict == "not testable"
    more = at_equal_flops(130.0)
    assert more.verdict == "not testable" and "after 130 %" in more.reason
    assert at_equal_flops(99.96).reason.startswith("RL ended after 99.9 %"), "never rounded up"


def test_what_so_many_seeds_find_four_times_in_five():
    claim = Claim("a", "b", "c", "", Change("reasoning/pass@1", "base", "r1_zero"), "up", 0.02)
    lights = [run(value) for value in (0.10, 0.12, 0.14)]
    one, several = claims.judge([claim], lights[:1])[0], claims.judge([claim], lights)[0]
    assert math.isnan(one.found_from)
    found = power(several.found_from, deviation=0.02, runs=3, smallest=0.02, half_width=0.02)
    assert found == pytest.approx(0.8, abs=1e-3) and several.found_from > 0.02
    more = claims.judge([claim], [*lights, *lights])[0]
    assert more.found_from < several.found_from, "more seeds find less"
    assert math.isnan(claims.judge([claim], lights[:2])[0].found_from)


def test_at_smoke_no_claim_is_testable():
    light = run(0.3)
    judged, control = claims.ledger([light], "smoke")
    assert {one.verdict for one in judged} == {"not testable"} and control == []
    assert len(judged) == len(load())
    reasons = {one.claim.id: one.reason for one in judged}
    assert reasons["rl-raises-accuracy"] == claims.AT_SMOKE
    judged, _ = claims.ledger([light], "laptop")
    assert {one.claim.id: one.verdict for one in judged}["rl-raises-accuracy"] == "reproduced"
