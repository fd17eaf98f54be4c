"""The meaningful-output check against ``any(c.isalnum() for c in text)``, in several scripts.

    python benchmarks/meaningful.py [--json]

The old pattern ``[a-zA-Z0-9]`` is timed too; where it is wrong the table says so.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable

from common import interleave, provenance, ratio, report, table

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


def texts() -> dict[str, str]:
    """Long texts: speech, then speech behind as much punctuation, then punctuation alone."""
    found = {}
    for script, sentence in SENTENCES.items():
        text = (sentence * LONG)[:LONG]
        found[script] = text
        found[f"{script} after {LONG} signs"] = ("… — ! " * LONG)[:LONG] + text
    found[f"{LONG} signs"] = ("… — ! " * LONG)[:LONG]
    return found


def repeated(check: Callable[[str], bool], text: str) -> Callable[[], None]:
    count = 200 if text[0].isalnum() else 2

    def block() -> None:
        for _ in range(count):
            check(text)

    block.count = count  # type: ignore[attr-defined]
    return block


def by_character(text: str) -> bool:
    return any(c.isalnum() for c in text)


def ascii_pattern(text: str) -> bool:
    return ASCII_ONLY.search(text) is not None


def main() -> None:
    rows, data = [], {}
    for name, text in texts().items():
        checks = {"ours": is_meaningful, "any": by_character, "ascii": ascii_pattern}
        blocks = {way: repeated(check, text) for way, check in checks.items()}
        times = interleave(blocks, blocks=200)
        count = blocks["ours"].count  # type: ignore[attr-defined]
        ns = {way: statistics.median(v) / count * 1e9 for way, v in times.items()}
        data[name] = ns
        right = "right" if ascii_pattern(text) == by_character(text) else "wrong"
        rows.append(
            (
                name,
                f"{ns['ours']:.0f}",
                f"{ns['any']:.0f}",
                ratio(times["any"], times["ours"]),
                f"{ns['ascii']:.0f}, {right}",
            )
        )
    header = ("text", "ours, ns", "any(isalnum), ns", "faster by", "[a-zA-Z0-9], ns")
    report("Meaningful output", provenance(), table(rows, header), data)


if __name__ == "__main__":
    main()
