"""Every claim of the paper as an experiment with a known answer: one function a lesson."""

from __future__ import annotations
