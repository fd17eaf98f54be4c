"""Settings of every test: none asserts a time, Hypothesis included; none needs the network."""

import os

from hypothesis import settings

settings.register_profile("whisper-service", deadline=None)
settings.load_profile("whisper-service")
os.environ["HF_HUB_OFFLINE"] = os.environ.get("HF_HUB_OFFLINE", "1")
