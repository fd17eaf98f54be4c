"""Whether bytes say themselves what is in them, told from the first of them."""

from __future__ import annotations

MAGIC_BYTES = 12
_MAGIC = (  # the first bytes of containers
    *(b"RIFF", b"RF64", b"riff", b"FORM", b"caff", b".snd"),  # wav, w64, aiff, caf, au
    *(b"OggS", b"fLaC", b"ID3", b"wvpk", b"#!AMR"),
    *(b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u", b"\x00\x00\x01\xba"),  # matroska, flv, asf, mpeg
)
_MPEG_NAMES = (".mp3", ".mp2", ".mpga", ".aac")


def is_container(head: bytes, *, name: str | None = None) -> bool:
    """Whether a stream beginning with these (at least 12) bytes is a known container.

    FFmpeg's own probing is not asked: it takes some raw PCM for an MP3 file. Samples may look like
    an MPEG frame by chance, so where ``name`` is known it must end like one as well.
    """
    return (
        head.startswith(_MAGIC)
        or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
        or (_mpeg_audio(head) and (name is None or name.lower().endswith(_MPEG_NAMES)))
    )


def _mpeg_audio(head: bytes) -> bool:
    """An MPEG audio or AAC frame header with no reserved value in it."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:  # ADTS: layer 0
        return head[2] >> 2 & 0xF < 13
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and bit_rate not in (0, 15) and rate != 3
