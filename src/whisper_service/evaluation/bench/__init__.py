"""What the parts and the whole cost, and against the old way: ``whisper-service bench``."""
