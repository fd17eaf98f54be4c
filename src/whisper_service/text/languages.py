"""Whisper's languages: codes, English names, and how a person may write them.

Codes and names are those of openai/whisper (``whisper/tokenizer.py``); which of them a model
knows is told by its checkpoint.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from whisper_service.errors import InvalidOptionError

LANGUAGES: dict[str, str] = {
    "en": "english",
    "zh": "chinese",
    "de": "german",
    "es": "spanish",
    "ru": "russian",
    "ko": "korean",
    "fr": "french",
    "ja": "japanese",
    "pt": "portuguese",
    "tr": "turkish",
    "pl": "polish",
    "ca": "catalan",
    "nl": "dutch",
    "ar": "arabic",
    "sv": "swedish",
    "it": "italian",
    "id": "indonesian",
    "hi": "hindi",
    "fi": "finnish",
    "vi": "vietnamese",
    "he": "hebrew",
    "uk": "ukrainian",
    "el": "greek",
    "ms": "malay",
    "cs": "czech",
    "ro": "romanian",
    "da": "danish",
    "hu": "hungarian",
    "ta": "tamil",
    "no": "norwegian",
    "th": "thai",
    "ur": "urdu",
    "hr": "croatian",
    "bg": "bulgarian",
    "lt": "lithuanian",
    "la": "latin",
    "mi": "maori",
    "ml": "malayalam",
    "cy": "welsh",
    "sk": "slovak",
    "te": "telugu",
    "fa": "persian",
    "lv": "latvian",
    "bn": "bengali",
    "sr": "serbian",
    "az": "azerbaijani",
    "sl": "slovenian",
    "kn": "kannada",
    "et": "estonian",
    "mk": "macedonian",
    "br": "breton",
    "eu": "basque",
    "is": "icelandic",
    "hy": "armenian",
    "ne": "nepali",
    "mn": "mongolian",
    "bs": "bosnian",
    "kk": "kazakh",
    "sq": "albanian",
    "sw": "swahili",
    "gl": "galician",
    "mr": "marathi",
    "pa": "punjabi",
    "si": "sinhala",
    "km": "khmer",
    "sn": "shona",
    "yo": "yoruba",
    "so": "somali",
    "af": "afrikaans",
    "oc": "occitan",
    "ka": "georgian",
    "be": "belarusian",
    "tg": "tajik",
    "sd": "sindhi",
    "gu": "gujarati",
    "am": "amharic",
    "yi": "yiddish",
    "lo": "lao",
    "uz": "uzbek",
    "fo": "faroese",
    "ht": "haitian creole",
    "ps": "pashto",
    "tk": "turkmen",
    "nn": "nynorsk",
    "mt": "maltese",
    "sa": "sanskrit",
    "lb": "luxembourgish",
    "my": "myanmar",
    "bo": "tibetan",
    "tl": "tagalog",
    "mg": "malagasy",
    "as": "assamese",
    "tt": "tatar",
    "haw": "hawaiian",
    "ln": "lingala",
    "ha": "hausa",
    "ba": "bashkir",
    "jw": "javanese",
    "su": "sundanese",
    "yue": "cantonese",
}

_ALIASES: dict[str, str] = {
    # openai/whisper's own
    "burmese": "my",
    "valencian": "ca",
    "flemish": "nl",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "moldavian": "ro",
    "moldovan": "ro",
    "sinhalese": "si",
    "castilian": "es",
    "mandarin": "zh",
    # what ISO 639 and BCP 47 call a language that Whisper names otherwise
    "jv": "jw",
    "nb": "no",
    "bokmål": "no",
    "bokmal": "no",
    "iw": "he",
    "in": "id",
    "fil": "tl",
    "filipino": "tl",
    "cmn": "zh",
    "farsi": "fa",
    "zh-hk": "yue",
    "zh-yue": "yue",
}

NO_SPACE = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})
"""Languages written without spaces between words: openai/whisper's six, Khmer and Tibetan."""

_SCRIPTS: dict[str, str] = {
    "Arab": "ar fa ps sd ur",
    "Armn": "hy",
    "Beng": "as bn",
    "Cyrl": "ba be bg kk mk mn ru sr tg tt uk",
    "Deva": "hi mr ne sa",
    "Ethi": "am",
    "Geor": "ka",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hani": "zh yue",
    "Hebr": "he yi",
    "Jpan": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Kore": "ko",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mymr": "my",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thai": "th",
    "Tibt": "bo",
}
_SCRIPT_OF = {code: script for script, codes in _SCRIPTS.items() for code in codes.split()}
_CODES = {name: code for code, name in LANGUAGES.items()}


def resolve_language(text: str, *, among: Collection[str] | None = None) -> str:
    """Find the code of a language written as a code, a tag (``zh-CN``) or an English name.

    ``among``: the codes that the loaded model knows. Raises ``InvalidOptionError``, with the
    closest match if there is one, for an unknown language or one the model lacks.
    """
    wanted = text.strip().lower().replace("_", "-")
    code = _find(wanted) or _find(wanted.partition("-")[0])
    if code is None:
        raise InvalidOptionError(f"unknown language {text!r}{_advice(wanted)}")
    if among is not None and code not in among:
        raise InvalidOptionError(
            f"this model does not know {language_name(code)}; it knows {_listed(among)}"
        )
    return code


def language_name(code: str) -> str:
    """Return the English name, capitalised (``fr``: ``French``); an unknown code as it is."""
    return LANGUAGES.get(code, code).title() if code in LANGUAGES else code


def script_of(code: str) -> str:
    """ISO 15924 code of the script that Whisper writes a language in (``Latn``, ``Hani``, …)."""
    return _SCRIPT_OF.get(code, "Latn")


def _find(text: str) -> str | None:
    return text if text in LANGUAGES else _ALIASES.get(text) or _CODES.get(text)


def _advice(wanted: str) -> str:
    """Suggest a name that is spelled nearly so; codes of two letters are all alike."""
    close = get_close_matches(wanted, [*_CODES, *(a for a in _ALIASES if len(a) > 3)], n=1)
    if not close:
        return "; use a code such as en or an English name such as french"
    return f"; did you mean {close[0]} ({_find(close[0])})?"


def _listed(codes: Collection[str]) -> str:
    shown = sorted(codes) if len(codes) <= 12 else [*sorted(codes)[:12], "…"]
    return ", ".join(shown) or "no language but its own"
