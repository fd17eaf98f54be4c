"""A second Whisper in plain NumPy, to test engines against: slow, without caches, in float64.

It shares no code with the package and is written from the model's definition (Radford et al.
2022, section 2.2, and the ``transformers`` implementation whose outputs ``tests/golden`` holds).
"""

from reference.files import Checkpoint, read_checkpoint
from reference.model import Encoding, ReferenceWhisper
from reference.search import Decoded, Request, greedy, sequence_logprob

__all__ = [
    "Checkpoint",
    "Decoded",
    "Encoding",
    "ReferenceWhisper",
    "Request",
    "greedy",
    "read_checkpoint",
    "sequence_logprob",
]
