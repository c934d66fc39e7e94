"""Errors that an operator can act on.

Every error carries a stable ``code`` (journal reason, ``fault`` message, metrics label),
says what happened to which file or frame, what was expected, and what to do (``remedy``).
"""

from __future__ import annotations


class SemdaemonError(Exception):
    """An error with a stable code and a remedy.

    Parameters
    ----------
    code
        Stable snake_case identifier; documents and other programs rely on it.
    message
        What happened, to which frame or key, and what was expected.
    remedy
        What a person can do about it.
    """

    def __init__(self, code: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]" + (f" What to do: {self.remedy}" if self.remedy else "")

    def __reduce__(self) -> tuple[object, tuple[object, ...], dict[str, object]]:
        # Keyword arguments do not survive the default pickling between our own processes.
        return (type(self)._rebuild, (type(self), self.code, self.message, self.remedy), dict(self.__dict__))

    @staticmethod
    def _rebuild(cls: type[SemdaemonError], code: str, message: str, remedy: str) -> SemdaemonError:
        return cls(code, message, remedy=remedy)


class FrameError(SemdaemonError):
    """A file or frame that cannot be read or refocused.

    ``may_heal`` is true where waiting can help (a file that is still being written, a sharing violation):
    the pipeline looks again until its patience ends, then records the fault.
    """

    def __init__(self, code: str, message: str, *, remedy: str = "", may_heal: bool = False) -> None:
        super().__init__(code, message, remedy=remedy)
        self.may_heal = may_heal


class SettingsError(SemdaemonError):
    """A settings file, key or value that does not hold."""


class WorkerError(SemdaemonError):
    """The worker process died, hung, or cannot use its device."""


class WeightsError(SemdaemonError):
    """Weights that are missing, changed, or not what their card says."""
