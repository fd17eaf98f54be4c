"""The options of the commands: name, help and panel of each, written once."""

from __future__ import annotations

from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_MODEL = "Model"
_SPEECH = "Speech"
_OUTPUT = "Output"
_INPUT = "Input"
_DECODING = "Decoding"


class Format(StrEnum):
    txt = "txt"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"


class TaskName(Enum):
    transcribe = "transcribe"
    translate = "translate"


class PolicyName(StrEnum):
    align_att = "align_att"
    local_agreement = "local_agreement"


class ComputeType(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"
    int8_bfloat16 = "int8_bfloat16"


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"


class Encoding(StrEnum):
    s16le = "s16le"
    s24le = "s24le"
    s32le = "s32le"
    f32le = "f32le"
    mulaw = "mulaw"
    alaw = "alaw"


Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="WHISPER_SERVICE_MODEL",
        metavar="NAME",
        help="tiny, base, small, medium, large-v3, large-v3-turbo, org/name, a folder, "
        "or demo (embedded; knows synthetic voices only). Fetched once, on first use.",
        rich_help_panel=_MODEL,
    ),
]
ModelsDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="WHISPER_SERVICE_MODELS_DIR",
        help="Where models are kept. Default: the Hugging Face cache (HF_HOME).",
        rich_help_panel=_MODEL,
    ),
]
DeviceOption: TypeAlias = Annotated[
    Device, typer.Option("--device", help="What computes.", rich_help_panel=_MODEL)
]
ComputeTypeOption: TypeAlias = Annotated[
    ComputeType,
    typer.Option(
        "--compute-type",
        help="Number format; auto takes the fastest accurate one here.",
        rich_help_panel=_MODEL,
    ),
]
Threads: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="CPU threads; 0: the physical cores, at most 4.",
        rich_help_panel=_MODEL,
    ),
]
Language: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--language",
        "-l",
        metavar="CODE",
        help="Everything is in this language (code or name). Default: detected once.",
        rich_help_panel=_SPEECH,
    ),
]
Languages: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CODES",
        help="Speakers change between these, e.g. en,es.",
        rich_help_panel=_SPEECH,
    ),
]
TaskOption: TypeAlias = Annotated[
    TaskName,
    typer.Option("--task", help="translate: into English.", rich_help_panel=_SPEECH),
]
Prompt: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Names and terms to expect, as text that could stand before.",
        rich_help_panel=_SPEECH,
    ),
]
Live: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--live",
        metavar="",
        help="Caption as it is spoken; files are paced in real time. Default for mic and raw PCM.",
        rich_help_panel=_DECODING,
    ),
]
Fast: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--fast", metavar="", help="As --live, without waiting.", rich_help_panel=_DECODING
    ),
]
Offline: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--offline",
        metavar="",
        help="Decode each utterance once and whole: least work. Default for files.",
        rich_help_panel=_DECODING,
    ),
]
Context: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|full|SECONDS",
        help="Encoder input. auto: as long as the speech where the model was trained for it, "
        "else 30 s; full: 30 s; SECONDS: at least so much.",
        rich_help_panel=_DECODING,
    ),
]
Policy: TypeAlias = Annotated[
    PolicyName,
    typer.Option("--policy", help="When live words count as settled.", rich_help_panel=_DECODING),
]
BeamSize: TypeAlias = Annotated[
    int,
    typer.Option(min=1, max=8, metavar="N", help="1: greedy.", rich_help_panel=_DECODING),
]
FormatOption: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="Default: by the name after -o; else txt (live: a line per caption).",
        rich_help_panel=_OUTPUT,
    ),
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Default: stdout.", rich_help_panel=_OUTPUT
    ),
]
OutputDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="One file per input, named after it.",
        rich_help_panel=_OUTPUT,
    ),
]
MaxLineWidth: TypeAlias = Annotated[
    int,
    typer.Option(min=8, metavar="N", help="Characters a line (srt, vtt).", rich_help_panel=_OUTPUT),
]
MaxLineCount: TypeAlias = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Lines a caption (srt, vtt).", rich_help_panel=_OUTPUT),
]
LanguageTags: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--language-tags",
        metavar="",
        help="Mark the language of each line (txt, srt, vtt, tsv).",
        rich_help_panel=_OUTPUT,
    ),
]
Stats: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--stats", metavar="", help="Where the time went, on stderr.", rich_help_panel=_OUTPUT
    ),
]
Verbose: TypeAlias = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        metavar="",
        show_default=False,
        help="Say more.",
        rich_help_panel=_OUTPUT,
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        metavar="",
        help="Only warnings and errors on stderr.",
        rich_help_panel=_OUTPUT,
    ),
]
Rate: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=8000,
        max=192_000,
        metavar="HZ",
        help="Sample rate of raw PCM, on stdin or in a file (a container says it itself).",
        rich_help_panel=_INPUT,
    ),
]
EncodingOption: TypeAlias = Annotated[
    Encoding | None,
    typer.Option("--encoding", help="Samples of raw PCM.", rich_help_panel=_INPUT),
]
Channels: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=64,
        metavar="N",
        help="Channels of raw PCM, mixed to one.",
        rich_help_panel=_INPUT,
    ),
]
MicDevice: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Microphone by number or part of its name.",
        rich_help_panel=_INPUT,
    ),
]
