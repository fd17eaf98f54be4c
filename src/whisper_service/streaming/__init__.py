"""Streaming transcription: utterances, sessions, changes of language."""
