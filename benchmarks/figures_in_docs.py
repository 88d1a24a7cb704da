"""Figures of README.zh.md and docs/primer*.md; `python -m benchmarks.readme` writes them too.

A figure in a text is `<!--f CHECKPOINT PATH-->84.4<!--/f-->`, from the version of the whole
sequence; an arm of the lab is from the lab's. Shares are per cent. `adds FAMILY` is what RL adds,
in points with its interval, and `claim ID` a claim's verdict.
`<!--holds PATH A < B-->` says what the sentence beside it needs, A and B being checkpoints or
numbers. The block between README's marks is written too, in each page's own words.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.readme import (
    BEGIN,
    END,
    begin,
    counted,
    interval,
    later,
    lead,
    listed,
    number,
    of_real,
    persistence,
    read,
)
from r1repro.config import ROOT
from r1repro.errors import R1ReproError, offered
from r1repro.evaluation.metrics import measure

FIGURE = re.compile(r"<!--f (\S+) ([^\s<>]+?)-->(.*?)<!--/f-->")
HOLDS = re.compile(r"<!--holds ([^\s<>]+) ([^\s<>]+(?: < [^\s<>]+?)+)-->")
VERDICTS = {
    "reproduced": "得到复现",
    "contradicted": "结果相反",
    "inconclusive": "没有定论",
    "not testable": "无法检验",
}
PATH = "reasoning/pass@1"


@dataclass(frozen=True)
class Versions:
    """Versions that pages take their figures from.

    whole: of the whole sequence; lab: of the lab; real: of a pretrained model, which only the lists
    of results name.
    """

    whole: Path
    lab: Path | None = None
    real: Path | None = None

    @cached_property
    def results(self) -> dict[Path, dict[str, Any]]:
        """The results of the whole sequence and of the lab, by folder."""
        return {one: read(one, "results") for one in (self.whole, self.lab) if one}

    def value(self, checkpoint: str, path: str) -> float:
        """A measure of a checkpoint; R1ReproError if a version has no such thing."""
        place = self.having({checkpoint})
        return _value(self.results[place], place, checkpoint, path)

    def having(self, checkpoints: set[str]) -> Path:
        """The first version of `results` that has all of these, else that of the whole sequence."""
        return next((p for p, r in self.results.items() if checkpoints <= r.keys()), self.whole)

    def verdict(self, claim: str) -> str:
        """A claim's verdict: of the whole sequence where it could be tested there."""
        verdicts: dict[str, str] = {}
        for place in reversed(self.results):
            for one in read(place, "claims"):
                seen = one["id"] in verdicts and one["verdict"] == "not testable"
                if not (one["control"] or seen):
                    verdicts[one["id"]] = one["verdict"]
        if claim not in verdicts:
            raise R1ReproError(
                f"no version has a claim {claim!r}; they have "
                f"{offered(claim, verdicts, 'claims.json has')}"
            )
        return verdicts[claim]


def _value(results: dict[str, Any], place: Path, checkpoint: str, path: str) -> float:
    if checkpoint not in results:
        raise R1ReproError(
            f"{place.name} has no checkpoint {checkpoint!r}; it has "
            f"{offered(checkpoint, results, 'its results.json has')}"
        )
    measured = results[checkpoint]
    if path not in measured or measured[path]["value"] is None:
        raise R1ReproError(
            f"{checkpoint} has no figure for {path!r} in {place.name}; it has "
            f"{offered(path, measured, 'its results.json has')}"
        )
    return float(measured[path]["value"])


def filled(page: str, name: str, versions: Versions) -> str:
    """The text of a page, by its name in PAGES, with its block and its figures written again."""
    figures, marks = len(FIGURE.findall(page)), page.count("<!--f")
    if not figures == marks == page.count("<!--/f-->"):
        raise R1ReproError(
            f"{marks} marks of figures begin and {figures} are whole; each must read "
            "<!--f CHECKPOINT PATH-->, the figure, <!--/f-->, in one line"
        )
    start, end = page.index(BEGIN.split("{")[0]), page.index(END)
    mark = begin(versions.whole, versions.lab, versions.real)
    block = "\n".join([mark, *PAGES[name](versions), ""])
    return FIGURE.sub(
        lambda found: _figure(found, versions, name.endswith(".zh.md")),
        page[:start] + block + page[end:],
    )


def _figure(found: re.Match[str], versions: Versions, chinese: bool) -> str:
    name, path, before = found.groups()
    if name == "claim":
        shown = versions.verdict(path)
        shown = VERDICTS[shown] if chinese else shown
    elif name == "adds":
        adds = next(iter(versions.results.values()))["adds"]
        if path not in adds:
            raise R1ReproError(f"RL adds nothing to {path!r}; it adds to {', '.join(adds)}")
        shown = interval(adds[path], signed=True)
    else:
        value, how = versions.value(name, path), measure(path)
        shown = number(value) if how.share else f"{value:,.{how.digits}f}"
    return found[0].replace(f"-->{before}<!--", f"-->{shown}<!--")


def untrue(page: str, versions: Versions) -> Iterator[str]:
    """A sentence for each `holds` of the page that the results do not bear out."""
    if page.count("<!--holds") != len(HOLDS.findall(page)):
        raise R1ReproError("a mark of what must hold must read <!--holds PATH A < B-->")
    for path, chain in HOLDS.findall(page):
        names = chain.split(" < ")
        checkpoints = {name for name in names if not _is_number(name)}
        place = versions.having(checkpoints)
        results = versions.results[place]
        values = [
            _value(results, place, name, path) if name in checkpoints else float(name)
            for name in names
        ]
        if not all(low < high for low, high in pairwise(values)):
            told = ", ".join(f"{value:.4g}" for value in values)
            yield f"{path}: {chain} does not hold ({told}): reword the sentence beside it"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.]+", text) is not None


def _seeds(version: Path, chinese: bool, up: str = "") -> str:
    """The seeds of a version, as a link to its report, and whether they share a base."""
    seeds = read(version, "manifest")["seeds"]
    each, bases = ([v] if isinstance(v, int) else v for v in (seeds["seed"], seeds["base_seed"]))
    if chinese:
        words, shared = f"种子 {listed(each, '、')}", "（共用一个基座模型）"
    else:
        words, shared = f"seed{'s' * (len(each) > 1)} {listed(each)}", " on one base"
    shared = shared if len(each) > 1 and len(set(bases)) == 1 else ""
    return f"[{words}]({up}reports/{version.name}/report.html){shared}"


def source(versions: Versions) -> list[str]:
    """Where the figures of docs/primer.md come from."""
    told = f"Our own figures are of {_seeds(versions.whole, False, '../')}"
    if versions.lab:
        arms = _seeds(versions.lab, False, "../")
        told += f"; those of the lab's arms are of {arms}, on validation problems"
    return [
        f"{told}. All are of held-out problems, means over the seeds; intervals are in the "
        "reports, notebooks executed with the first seed in `notebooks/` beside them."
    ]


def source_zh(versions: Versions) -> list[str]:
    """Where the figures of docs/primer.zh.md come from."""
    told = f"文中我们的数字来自{_seeds(versions.whole, True, '../')}"
    if versions.lab:
        told += f"；lab 的数字取自{_seeds(versions.lab, True, '../')}，在验证题上测得"
    return [
        f"{told}。全部在留出题上测得，是各种子的平均；置信区间见报告，"
        "用第一个种子执行过的 notebook 在报告旁的 `notebooks/` 里。"
    ]


COLUMNS_ZH = {
    "base": "基座，模板",
    "base_best": "基座，最佳提示",
    "r1_zero": "R1-Zero",
    "dev1": "Dev1",
    "dev2": "Dev2",
    "dev3": "Dev3",
    "r1": "R1",
}
ROWS_ZH = {
    "arithmetic/pass@1": "算术，pass@1",
    "countdown/pass@1": "countdown，pass@1",
    "general/score": "通用任务",
    "sound": "答对者中推理成立",
    "format_valid": "格式合规",
    "language_share": "用题目的语言思考",
}
NAMED_ZH = {**ROWS_ZH, "repetition": "重复的四元组"}
FAMILIES_ZH = {"arithmetic": "算术", "countdown": "countdown", "word_problems": "应用题"}


def results_zh(versions: Versions) -> list[str]:
    """What was found, for README.zh.md; above each list and the table stand its seeds."""
    whole = versions.whole
    results = versions.results[whole]
    there = {name: label for name, label in COLUMNS_ZH.items() if name in results}
    table = [f"| 留出题，% | {' | '.join(there.values())} |", "|---" * (len(there) + 1) + "|"]
    for path, label in ROWS_ZH.items():
        cells = (number(results[name][path]["value"]) for name in there)
        table.append(f"| {label} | {' | '.join(cells)} |")
    return [
        f"均为留出题上的结果，{_seeds(whole, True)}，方括号内为 95 % 置信区间。"
        "R1-Zero 及其对照实验：",
        "",
        *(f"* {bullet}" for bullet in _rl_zh(results, whole)),
        "",
        "其后的阶段：",
        "",
        *(f"* {bullet}" for bullet in _later_zh(whole)),
        *(f"* {bullet}" for bullet in _whole_zh(results, whole)),
        *(f"* {bullet}" for bullet in _lab_zh(versions.lab)),
        "",
        *([_real_zh(versions.real), ""] if versions.real else []),
        "各检查点：",
        "",
        *table,
    ]


def _real_zh(version: Path) -> str:
    real = of_real(version)
    alone = f"只奖励格式 {real.control} %。" if real.control else ""
    last = f"，R1 {real.r1} %" if real.r1 else ""
    return (
        f"**真实权重**：{real.model}，{FAMILIES_ZH.get(real.family, real.family)}，"
        f"{_seeds(version, True)}（区间只针对题目）：用 R1-Zero 的模板 {real.base} %，用最佳提示 "
        f"{real.best} %，R1-Zero {real.zero} %{last}；R1-Zero 比最佳提示高 {real.adds} 个百分点。"
        f"但 R1-Zero 答对者中推理成立的只占 {real.sound} %，用最佳提示时 {real.best_sound} %。"
        f"{alone}"
    )


def _rl_zh(rl: dict[str, Any], version: Path) -> Iterator[str]:
    def of(name: str, path: str = PATH) -> str:
        return number(rl[name][path]["value"])

    adds = "，".join(f"{FAMILIES_ZH[f]} {interval(one, True)}" for f, one in rl["adds"].items())
    sides = "，".join(
        f"{of('base_best', f'{f}/pass@1')} → {of('r1_zero', f'{f}/pass@1')} %" for f in rl["adds"]
    )
    yield (
        f"**RL 带来的提升（百分点）：{adds}**，比较对象是用最佳提示（8 种提示 × 4 个温度中选出）的"
        f"基座模型（{sides}）。"
    )
    if "base_forced" in rl:
        gains, rates = persistence(rl)
        yield (
            f"**其中 {'、'.join(gains)} 个百分点只靠“不放弃”就能得到**：未经 RL 的基座模型，"
            f"若在每次要放弃时被强制继续（何时停止由外部准确判定），正确率为 {'、'.join(rates)} %。"
        )
    told = "；".join(
        f"{FAMILIES_ZH[f]} {of('base', f'{f}/pass@16')} → {of('r1_zero', f'{f}/pass@16')} %"
        for f in rl["adds"]
    )
    yield f"16 个样本中至少一个答对的题，从基座到 R1-Zero：{told}。"
    others = {
        "r1_zero_permuted": "组内打乱奖励",
        "r1_zero_format_only": "只奖励格式",
        "base_rft_best": "基座用同样多的自采样本做拒绝采样微调，再配上最适合它的提示",
        "r1_zero_equal_weights": "论文原本的准确率与格式之和",
    }
    told = [
        f"{words} {of(name)} %"
        + (f"，比 R1-Zero 低 {lead(version)} 个百分点" if name == "base_rft_best" else "")
        for name, words in others.items()
        if name in rl
    ]
    if told:
        yield f"对照（R1-Zero 为 {of('r1_zero')} %）：{'；'.join(told)}。"
    families = "，".join(
        f"{FAMILIES_ZH[f]} {of('base_best', f'{f}/sound')} → {of('r1_zero', f'{f}/sound')} %"
        for f in rl["adds"]
    )
    forced = "base_forced" in rl
    also = f"，被强制继续的基座 {of('base_forced', 'false_check')}" if forced else ""
    yield (
        f"答对者中推理成立的比例，从用最佳提示的基座到 R1-Zero：{families}；"
        f"{of('r1_zero', 'false_check')} % 的回答把错的说成对的（基座 "
        f"{of('base', 'false_check')}{also}）。没有任何奖励要求步骤正确。"
    )
    lengths = [f"{rl[name]['length']['value']:.0f}" for name in ("base", "r1_zero")]
    more = f"（被强制继续的基座 {rl['base_forced']['length']['value']:.0f} 个）" if forced else ""
    also = f"，被强制继续的基座 {of('base_forced', 'reconsidered_right')}" if forced else ""
    yield (
        f"回答从平均 {lengths[0]} 个 token 增长到 {lengths[1]} 个{more}；"
        f"R1-Zero 答对的回答中有 {of('r1_zero', 'reconsidered_right')} % 先推翻过自己的结果（基座 "
        f"{of('base', 'reconsidered_right')}{also}）。"
    )


def _whole_zh(results: dict[str, Any], whole: Path) -> Iterator[str]:
    if "qwen_distilled" in results:
        told = []
        for student in ("qwen", "llama"):
            base, distilled, alone = (
                number(results[f"{student}_{arm}"][PATH]["value"])
                for arm in ("base", "distilled", "rl")
            )
            told.append(
                f"{student.capitalize()} 从 {base} % 起，蒸馏后 {distilled} %，只做 RL {alone} %"
            )
        yield f"规模减半的学生模型：{'；'.join(told)}。"
    theirs, counts = _counted_zh(whole)
    against = "、".join(f"*{c['id']}*" for c in theirs if c["verdict"] == "contradicted")
    yield f"论文的 {len(theirs)} 条论断：{counts}。结果相反的是：{against or '无'}。"


def _lab_zh(version: Path | None) -> Iterator[str]:
    if version is not None:
        theirs, counts = _counted_zh(version)
        report = f"[lab](reports/{version.name}/report.html)"
        yield f"关于其他方法的 {len(theirs)} 条论断由 {report} 判定：{counts}。"


def _counted_zh(version: Path) -> tuple[list[dict[str, Any]], str]:
    theirs, _ = counted(version)
    verdicts = [c["verdict"] for c in theirs]
    return theirs, "，".join(f"{verdicts.count(v)} 条{words}" for v, words in VERDICTS.items())


def _later_zh(version: Path) -> Iterator[str]:
    changes = later(version)
    if changes:
        told = "；".join(f"{NAMED_ZH[path]} {interval(one, True)}" for path, one in changes.items())
        yield f"R1 与 R1-Zero 之差（百分点）：{told}。"


PAGES: dict[str, Callable[[Versions], list[str]]] = {
    "README.zh.md": results_zh,
    "docs/primer.md": source,
    "docs/primer.zh.md": source_zh,
}


def write(*folders: str) -> None:
    """Write the figures of all pages again, then say which sentences no longer hold."""
    versions, broken = Versions(*(ROOT / folder for folder in folders)), []
    for name in PAGES:
        try:
            page = filled((ROOT / name).read_text(encoding="utf-8"), name, versions)
            broken += [f"{name}: {one}" for one in untrue(page, versions)]
        except R1ReproError as error:
            raise SystemExit(f"{name}: {error}") from None
        (ROOT / name).write_text(page, encoding="utf-8")
    if broken:
        raise SystemExit("\n".join(broken))
