"""``python -m whisper_service`` is the command ``whisper-service``."""

from whisper_service.cli import main

if __name__ == "__main__":
    main()
