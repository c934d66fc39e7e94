"""What in a frame misleads a judgement of its focus: each is named, and its tiles are undecided."""

from semdaemon.focus.artefacts.artefact import MESSAGES, Artefact, Fitness
from semdaemon.focus.artefacts.examine import examine

__all__ = ["MESSAGES", "Artefact", "Fitness", "examine"]
