"""Damaged input for every reader and every parser of messages; see `runner` for how it is judged."""
