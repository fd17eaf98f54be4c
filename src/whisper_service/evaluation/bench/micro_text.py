"""The meaningful-output check against ``any(c.isalnum() for c in text)``, in several scripts.

The old pattern ``[a-zA-Z0-9]`` is timed too; where it is wrong the table says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from whisper_service.evaluation.bench.measuring import Section, Table, interleave
from whisper_service.text.meaningful import is_meaningful

LONG = 2000  # characters
ASCII_ONLY = re.compile(r"[a-zA-Z0-9]")
SENTENCES = {
    "Latin": "Then we can begin. ",
    "Cyrillic": "Тогда мы можем начать. ",
    "Greek": "Τότε μπορούμε να αρχίσουμε. ",
    "Arabic": "ثم يمكننا أن نبدأ. ",
    "Devanagari": "फिर हम शुरू कर सकते हैं। ",
    "Thai": "แล้วเราก็เริ่มได้ ",
    "Han": "然后我们就可以开始了。",
    "Hangul": "그럼 시작할 수 있습니다. ",
    "Kana": "それからはじめられます。",
}


def meaningful(*, quick: bool) -> Section:
    """Nanoseconds of each check on long texts."""
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for name, text in texts().items():
        count = 200 if text[0].isalnum() else 2
        checks = {"ours": is_meaningful, "any": by_character, "ascii": ascii_pattern}
        blocks = {way: _repeated(check, text, count) for way, check in checks.items()}
        times = interleave(blocks, blocks=30 if quick else 200)
        ns = {way: times.median(way, per=count) * 1e9 for way in checks}
        gain = times.ratio("any", "ours")
        data[name] = {**ns, "gain": gain.as_dict()}
        right = "right" if ascii_pattern(text) == by_character(text) else "wrong"
        old = f"{ns['ascii']:.0f}, {right}"
        rows.append((name, f"{ns['ours']:.0f}", f"{ns['any']:.0f}", str(gain), old))
    header = ("text", "ours, ns", "any(isalnum), ns", "faster by", "[a-zA-Z0-9], ns")
    table = Table(header=header, rows=tuple(rows))
    return Section(name="meaningful", title="Meaningful output", tables=(table,), data=data)


def texts() -> dict[str, str]:
    """Long texts: speech, then speech behind as much punctuation, then punctuation alone."""
    found = {}
    signs = ("… — ! " * LONG)[:LONG]
    for script, sentence in SENTENCES.items():
        text = (sentence * LONG)[:LONG]
        found[script] = text
        found[f"{script} after {LONG} signs"] = signs + text
    found[f"{LONG} signs"] = signs
    return found


def by_character(text: str) -> bool:
    return any(c.isalnum() for c in text)


def ascii_pattern(text: str) -> bool:
    return ASCII_ONLY.search(text) is not None


def _repeated(check: Callable[[str], bool], text: str, count: int) -> Callable[[], None]:
    def block() -> None:
        for _ in range(count):
            check(text)

    return block
