"""Reflection words, counted as in DeepSeek-R1.

The ten English words are the paper's (arXiv 2501.12948 v2, section C.2 and figure 9a). The paper
lists no Chinese words; ours stand under their English counterparts. Chinese has no spaces, so
contexts exclude other meanings: 等等 after a list is "and so on", 错排 is a derangement.
"""

import re
from collections import Counter

from r1repro.text.language import HAN

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
_NUMERAL = "一二三四五六七八九十百千万两几半"
_BEFORE = {
    # Not within a clause, as in 梨等等; an interjection may precede it.
    "等等": rf"(?<![{HAN}、\d])|(?<=[嗯哦噢啊呃哎诶唉])",
    "不过": rf"(?<![{HAN}])",
    "错": "(?<![交参差舛出算弄搞])",  # of 没算错 nothing is left
    "检验": "(?<!假设)",
    "检查": "(?<!安全)",
    "有误": "(?<!没)",
    # Right after a sum it is the verdict on an attempt, as "no" is in English, which is not listed.
    "不对": r"(?<!\d)(?<!\d[，,])(?<!\d[，,] )",
}
_AFTER = {
    "不过": rf"(?![{_NUMERAL}]|\d{{1,9}}\s?[{HAN}]|如此|是[{_NUMERAL}])",
    "但": "(?![凡愿])",
    "错": "(?![位排开落综杂过觉峰乱])",
    "有误": "(?![差会导])",
    "不对": "(?![称等应])",
    "验证": "(?!码)",
    "稍等": "(?![边腰])",
    # What is put in another order is not tried again.
    "重新": rf"(?![{HAN}])|(?=[来算计试考思审推解做看读验核评估检回]|分析|开始|理解|列方|列式)",
}


def _chinese(word: str) -> str:
    before, after = _BEFORE.get(word, ""), _AFTER.get(word, "")
    return f"(?:{before}){word}(?:{after})"


# Longest first, so 但是 counts once. 没有错误, 没错, 不错 and 不但 mean the opposite.
_PATTERN = re.compile(
    r"(?<![A-Za-z\\_])(" + "|".join(REFLECTION_WORDS) + r")(?![A-Za-z_])"
    r"|(?<![没不无非])(?<!没有)(?<!不会)(?<!未)("
    + "|".join(map(_chinese, sorted(_CHINESE, key=len, reverse=True)))
    + r")",
    re.IGNORECASE,
)


def reflection_words(text: str) -> Counter[str]:
    """Count of each of the paper's ten words; Chinese words count under their English counterpart.

    Matches whole words in any case: "checks", "butter" and the command `\\check` do not count.
    """
    return Counter(
        english.lower() if english else _CHINESE[chinese]
        for english, chinese in _PATTERN.findall(text)
    )


def reflection_count(text: str) -> int:
    """Total number of reflection words, both languages together."""
    return sum(reflection_words(text).values())
