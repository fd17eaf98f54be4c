"""Inference: the engine protocol and the OpenVINO engine."""
