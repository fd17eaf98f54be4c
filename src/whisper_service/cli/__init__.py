"""The command line. Results go to stdout, everything else to stderr."""

from __future__ import annotations


def main() -> None:
    """Run ``whisper-service``; exit codes are listed in ``docs/CLI.md``."""
    from whisper_service.cli.app import app  # typer loads when a command runs, not on import

    app(prog_name="whisper-service")
