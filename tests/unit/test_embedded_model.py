"""The embedded model is what it was published as."""

import shutil
from pathlib import Path

from whisper_service.models import store


def test_the_embedded_model_is_verified_against_its_digests(tmp_path: Path) -> None:
    assert {c.state for c in store.verify("demo")} == {"ok"}
    copy = tmp_path / "demo"
    shutil.copytree(store.find("demo"), copy)
    data = bytearray((copy / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(data)
    states = {c.name: c.state for c in store.verify(copy)}
    assert states["weights.safetensors"] == "corrupt"
