"""Refocusing measured against the truth, and beside the classical methods."""
