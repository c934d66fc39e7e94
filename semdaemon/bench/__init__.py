"""This machine's figures, each beside the ceiling that the machine itself sets in the same run.

Absolute times say as much about the machine and its other users as about semdaemon; a share of a ceiling that
was measured a moment before says what is left to gain.
"""
