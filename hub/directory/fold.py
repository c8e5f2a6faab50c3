"""Fold a place name for comparing. Never for storing: stored text stays as it came."""

import re
import unicodedata

# Variants that NFKC keeps apart but people write for one another in place names.
_VARIANTS = str.maketrans(
    {
        "髙": "高",
        "﨑": "崎",
        "嵜": "崎",
        "碕": "崎",
        "ヶ": "ケ",
        "ヵ": "カ",
        "が": "ケ",
        "ガ": "ケ",
        "龍": "竜",
        "瀧": "滝",
        "澤": "沢",
        "濱": "浜",
        "邊": "辺",
        "邉": "辺",
        "齋": "斎",
        "齊": "斎",
        "國": "国",
        "縣": "県",
        "廣": "広",
        "嶋": "島",
        "嶌": "島",
        "曾": "曽",
        "惠": "恵",
        "檜": "桧",
        "籠": "篭",
        "竈": "釜",
        "竃": "釜",
        "鰺": "鯵",
        "冨": "富",
        "穎": "頴",
        "礪": "砺",
        "鹽": "塩",
        "區": "区",
        "萬": "万",
        "澁": "渋",
        "淸": "清",
        "德": "徳",
        "祗": "祇",
        "ヱ": "エ",
    }
)
_DROPPED = re.compile("[\\s\u200b\u3000\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def fold(text: str) -> str:
    """The comparing form: one width, no spaces, no variant characters."""
    # Selectors go first: NFKC would leave them between the letters of a name.
    return _DROPPED.sub("", unicodedata.normalize("NFKC", text)).translate(_VARIANTS)
