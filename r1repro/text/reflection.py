"""Reflection words, counted as in DeepSeek-R1.

The ten English words are the paper's (arXiv 2501.12948 v2, section C.2 and figure 9a). The paper
lists no Chinese words; ours are listed under their English counterparts.
"""

import re
from collections import Counter

REFLECTION_WORDS: dict[str, tuple[str, ...]] = {
    "wait": ("等等", "等一下", "稍等"),
    "mistake": ("弄错", "算错", "搞错", "出错"),
    "however": ("然而",),
    "but": ("但是", "但", "可是", "不过"),
    "retry": ("重试", "再试", "重来", "重新"),
    "error": ("错误", "有误"),
    "verify": ("验证", "验算", "核实"),
    "wrong": ("错", "不对", "不正确"),
    "evaluate": ("评估",),
    "check": ("检查", "检验", "核对"),
}
_CHINESE = {zh: en for en, group in REFLECTION_WORDS.items() for zh in group}
# Longest first, so 但是 counts once. 没错 and 不错 mean the opposite of 错.
_PATTERN = re.compile(
    r"(?<![A-Za-z])(" + "|".join(REFLECTION_WORDS) + r")(?![A-Za-z])"
    r"|(?<![没不])(" + "|".join(sorted(_CHINESE, key=len, reverse=True)) + r")",
    re.IGNORECASE,
)


def reflection_words(text: str) -> Counter[str]:
    """Count of each of the paper's ten words; Chinese words count under their English counterpart.

    Matches whole words in any case: "checks" and "butter" do not count.
    """
    return Counter(
        english.lower() if english else _CHINESE[chinese]
        for english, chinese in _PATTERN.findall(text)
    )


def reflection_count(text: str) -> int:
    """Total number of reflection words, both languages together."""
    return sum(reflection_words(text).values())
