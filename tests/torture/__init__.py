"""Torture: what can go wrong beside a microscope is made to go wrong, and what was lost is counted.

``python -m tests.torture --help``; what it showed stands in ``docs/reliability.md``.
"""
