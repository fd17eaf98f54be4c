"""Real-time multilingual speech-to-text with Whisper, through changes of language."""

__version__ = "0.1.0"
