"""Kills, mounts, memory limits and /proc as Linux has them: elsewhere nothing here can even be imported."""

from __future__ import annotations

import sys

collect_ignore = [] if sys.platform == "linux" else ["test_torture.py"]
