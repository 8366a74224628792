"""The label by which everybody tells a fake node from one that runs containers (nodeagent/fake/)."""

from __future__ import annotations

LABEL = "sampan.dev/fake"
VALUE = "true"
PREFIX = "fake-"
"""Fake nodes are called fake-1, fake-2 ..."""
