"""One stack, followed frame by frame for as long as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semdaemon.formats.stack import Directory, Header, Metadata, StackFile
from semdaemon.formats.stackframe import stamp_ns
from semdaemon.sources.ndtiff.names import SOURCE, frame_relative, frame_uri
from semdaemon.sources.ndtiff.places import Places
from semdaemon.sources.source import Sighting

TORN_STAMP_NS, UNREADABLE_STAMP_NS = 0, 1
FRAMES_A_LOOK = 200
TORN_AFTER_S = 1.0
"""A frame that was begun this long ago and is not whole is told: writing one takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """A frame found by a look, not yet handed over."""

    sighting: Sighting
    directory: Directory
    whole: bool


class Follower:
    """What is known of one stack. One thread alone calls it.

    Call order: `look` says which frames are new, the caller delivers them, `accept` remembers them;
    where the delivery failed they are found again.

    Attributes
    ----------
    frames
        Whole frames so far.
    closed
        The writer ended the stack; nothing more comes.
    trouble
        Why it could not be read at the last look; empty where it could.
    """

    def __init__(self, path: Path, relative: Path, places: Places) -> None:
        self.path, self.relative = path, relative
        self.frames, self.closed, self.gone, self.trouble = 0, False, False, ""
        self.torn_since: float | None = None
        self._places = places
        self._identity: tuple[int, int] | None = None
        self._header: Header | None = None
        self._last: Directory | None = None
        self._torn: Directory | None = None
        self._torn_told = False

    @property
    def began(self) -> bool:
        """Whether anything was written into the file yet."""
        return self._header is not None

    def look(self, now: float) -> list[Step]:
        """New frames, at most `FRAMES_A_LOOK`; never raises for the file's sake.

        Parameters
        ----------
        now
            Monotonic seconds.
        """
        try:
            with StackFile(self.path) as file:
                self.gone, self.trouble = False, ""
                return self._look(file, now)
        except (FileNotFoundError, NotADirectoryError):
            self._begin_anew()
            self.gone = True
        except OSError as error:
            # A dead share, no permission: as long as it lasts nothing is known to be wrong with the frames.
            self.trouble = f"{self.path} cannot be read: {error.strerror or error}"
        return []

    def accept(self, steps: list[Step]) -> None:
        """These steps of the last look were handed over."""
        for step in steps:
            if step.whole:
                self._last = step.directory
                if self._torn is not None and self._torn.offset <= step.directory.offset:
                    self._torn, self.torn_since, self._torn_told = None, None, False
                self._places.note(self.path, self.frames, step.directory.offset)
                self.frames += 1
            else:
                self._torn_told = True

    def _look(self, file: StackFile, now: float) -> list[Step]:
        self._notice_replacement(file)
        if self._header is None:
            self._header = file.header()
        if self._header is None:
            return []
        steps: list[Step] = []
        at = self._header.first if self._last is None else self._last.follows
        while len(steps) < FRAMES_A_LOOK:
            found = file.directory(at, self._header.byteorder)
            before = steps[-1].directory if steps else self._last
            if found is None or (before is not None and found.offset <= before.offset):
                break
            metadata = file.metadata(found)
            if metadata is None and not self._is_followed(file, found):
                self._watch_torn(found, now)
                if not steps and self._tell_torn(now):
                    steps.append(self._step(found, None, 0, whole=False))
                break
            steps.append(self._step(found, metadata, len(steps), whole=True))
            at = found.follows
        self.closed = at == 0 and (bool(steps) or self._last is not None)
        return steps

    def _notice_replacement(self, file: StackFile) -> None:
        """Begin anew where the file under this name is another one, or was written over."""
        about = file.stat()
        identity = (about.st_dev, about.st_ino)
        if self._identity not in (None, identity):
            self._begin_anew()
        self._identity = identity
        if self._last is None or self._header is None:
            return
        now = file.directory(self._last.offset, self._header.byteorder)
        if now is None or now.body != self._last.body:
            self._begin_anew()
            self._identity = identity
        else:
            self._last = now  # its pointer may have become 0: the end

    def _begin_anew(self) -> None:
        self._places.forget(self.path)
        self._identity = self._header = self._last = self._torn = self.torn_since = None
        self.frames, self.closed, self._torn_told = 0, False, False

    def _is_followed(self, file: StackFile, found: Directory) -> bool:
        """Whether the next frame is whole: then this one never gets better."""
        if found.follows <= found.offset:
            return False
        following = file.directory(found.follows, found.byteorder)
        return following is not None and file.metadata(following) is not None

    def _watch_torn(self, found: Directory, now: float) -> None:
        if self._torn is None or self._torn.offset != found.offset:
            self._torn, self.torn_since, self._torn_told = found, now, False

    def _tell_torn(self, now: float) -> bool:
        return not self._torn_told and self.torn_since is not None and now - self.torn_since >= TORN_AFTER_S

    def _step(self, found: Directory, metadata: Metadata | None, ahead: int, *, whole: bool) -> Step:
        number = self.frames + ahead
        sighting = Sighting(
            source=SOURCE,
            uri=frame_uri(self.path, number),
            path=self.path,
            relative=frame_relative(self.relative, number),
            size_bytes=found.end - found.offset,
            mtime_ns=self._stamp_ns(metadata, whole),
        )
        return Step(sighting, found, whole)

    def _stamp_ns(self, metadata: Metadata | None, whole: bool) -> int:
        # A torn frame has the stamp 0: once it is whole its stamp differs, and it is looked at again.
        if not whole:
            return TORN_STAMP_NS
        return UNREADABLE_STAMP_NS if metadata is None else stamp_ns(metadata.found, metadata.raw)
