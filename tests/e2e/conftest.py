import json
from importlib.resources import files

import pytest

from whisper_service.audio.decode import load_audio
from whisper_service.engine.by_name import load_model

DATA = files("whisper_service") / "data"


@pytest.fixture(scope="session")
def demo():
    """The embedded model in float32, so that results do not depend on the CPU's bfloat16."""
    return load_model("demo", compute_type="float32", threads=1)


@pytest.fixture(scope="session")
def recording():
    return load_audio(str(DATA / "code_switching.flac"))


@pytest.fixture(scope="session")
def truth():
    return json.loads((DATA / "code_switching.json").read_text(encoding="utf-8"))["segments"]
