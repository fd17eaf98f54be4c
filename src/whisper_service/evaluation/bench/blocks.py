"""Figures of a report in the marked blocks of a document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

_BLOCK = re.compile(r"(<!-- bench:begin(?P<names>[^>]*?) -->\n).*?(<!-- bench:end -->)", re.DOTALL)

_DEFAULT = ("facts", "goals")


def refresh(document: str, report: Mapping[str, Any]) -> str:
    """Return ``document`` with every block rewritten from ``report`` (a report's JSON, loaded).

    A block ``<!-- bench:begin NAME; NAME -->`` … ``<!-- bench:end -->`` holds the sections it
    names (``*`` stands for anything), ``facts`` and ``goals`` if it names none; ``facts`` is where
    the report ran. A block none of whose sections was measured stays as it is.
    """

    def rewritten(match: re.Match[str]) -> str:
        names = [name.strip() for name in match["names"].split(";") if name.strip()]
        texts = [text for name in names or _DEFAULT for text in _texts(name, report)]
        if not texts:
            return match[0]
        return match[1] + "\n" + "\n\n".join(texts) + "\n\n" + match[3]

    return _BLOCK.sub(rewritten, document)


def _texts(name: str, report: Mapping[str, Any]) -> list[str]:
    if name == "facts":
        return ["\n".join(f"- {key}: {value}" for key, value in report["facts"].items())]
    sections = report["sections"]
    return [section["markdown"] for key, section in sections.items() if fnmatchcase(key, name)]
