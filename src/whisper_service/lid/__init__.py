"""Which language is spoken, and when it changes.

``frames`` says what to look at, ``smoother`` turns frames into beliefs, ``sustained`` decides
when a change counts, ``tracker`` is the class a session uses.
"""

from whisper_service.lid.frames import LidSpan, lid_spans
from whisper_service.lid.smoother import LanguageSmoother
from whisper_service.lid.state import EVERYTHING, LanguageChange, LanguageState, LidFrame
from whisper_service.lid.sustained import SustainedChange
from whisper_service.lid.tracker import LanguageTracker

__all__ = [
    "EVERYTHING",
    "LanguageChange",
    "LanguageSmoother",
    "LanguageState",
    "LanguageTracker",
    "LidFrame",
    "LidSpan",
    "SustainedChange",
    "lid_spans",
]
