"""The faults of a file: one function a code, so that wording and remedies stand in one place.

Every message says what is wrong, with which file, and what was expected.
"""

from __future__ import annotations

from pathlib import Path

from semdaemon.errors import FrameError

KNOWN_CONTENTS = "TIFF, PNG, BMP or JPEG"
_WRITTEN_AGAIN = "If the microscope is still writing, wait; else save or copy the file again."


def not_found(path: Path) -> FrameError:
    return FrameError(
        "not_found",
        f"{path} does not exist.",
        remedy="It was moved, renamed or deleted: put it back, or ignore this.",
    )


def vanished(path: Path) -> FrameError:
    return FrameError(
        "vanished",
        f"{path} was there and went away while it was read.",
        remedy="It was moved or deleted, or the network share is gone: check it, then requeue the frame.",
    )


def permission_denied(path: Path) -> FrameError:
    return FrameError(
        "permission_denied",
        f"{path} may not be read by the user that runs semdaemon.",
        remedy="Give that user read permission on the file and its folder, then requeue the frame.",
    )


def sharing_violation(path: Path) -> FrameError:
    return FrameError(
        "sharing_violation",
        f"{path} is held by another program that lets nobody else read it.",
        remedy="Wait until the acquisition program lets go of it.",
        may_heal=True,
    )


def read_error(path: Path, error: OSError) -> FrameError:
    return FrameError(
        "read_error",
        f"{path} could not be read: {error.strerror or error}.",
        remedy="Check the disk or the network share.",
        may_heal=True,
    )


def is_directory(path: Path) -> FrameError:
    return FrameError(
        "is_directory",
        f"{path} is a folder; a file was expected.",
        remedy="Rename the folder, or add it to 'ignore'.",
    )


def not_a_file(path: Path, what: str) -> FrameError:
    return FrameError(
        "not_a_file",
        f"{path} is {what}; a regular file was expected.",
        remedy="Links, pipes and devices in an acquisition folder are never read: put the image there.",
    )


def empty_file(path: Path) -> FrameError:
    return FrameError(
        "empty_file", f"{path} has 0 bytes; an image was expected.", remedy=_WRITTEN_AGAIN, may_heal=True
    )


def changed(path: Path) -> FrameError:
    return FrameError(
        "changed_while_reading",
        f"{path} changed while it was read; a finished file was expected.",
        remedy=_WRITTEN_AGAIN,
        may_heal=True,
    )


def truncated(path: Path, what: str) -> FrameError:
    return FrameError("truncated", f"{path} is not complete: {what}.", remedy=_WRITTEN_AGAIN, may_heal=True)


def broken_ifd(path: Path, what: str) -> FrameError:
    # A half-written file often looks like this; waiting can help.
    return FrameError(
        "broken_ifd",
        f"{path} has a damaged TIFF directory: {what}.",
        remedy=_WRITTEN_AGAIN + " Files that went through a text-mode transfer look like this and are lost.",
        may_heal=True,
    )


def not_an_image(path: Path, start: bytes) -> FrameError:
    return FrameError(
        "not_an_image",
        f"{path} starts with {start[:8]!r}; {KNOWN_CONTENTS} was expected.",
        remedy="Save it as TIFF, or leave such names out with 'patterns' or 'ignore' in [folder].",
    )


def too_large(path: Path, what: str) -> FrameError:
    return FrameError(
        "too_large",
        f"{path} is too large: {what}.",
        remedy="If the size is real, raise max_pixels or max_file_bytes in [limits].",
    )


def zero_sized(path: Path, shape: tuple[int, int]) -> FrameError:
    return FrameError(
        "zero_sized",
        f"{path} says it has {shape[0]} x {shape[1]} pixels; at least one row and one column were expected.",
        remedy=_WRITTEN_AGAIN,
    )


def too_small(path: Path, shape: tuple[int, int], min_side_px: int) -> FrameError:
    return FrameError(
        "too_small",
        f"{path} has {shape[0]} rows and {shape[1]} columns; at least {min_side_px} on a side were expected.",
        remedy="Thumbnails belong in another folder; or lower min_side_px in [limits].",
    )


def true_colour(path: Path, what: str) -> FrameError:
    return FrameError(
        "true_colour",
        f"{path} is a colour picture ({what}); a grey image as the detector gave it was expected.",
        remedy="Save the grey detector signal, without colouring, overlay or annotation.",
    )


def unsupported_dtype(path: Path, what: str) -> FrameError:
    return FrameError(
        "unsupported_dtype",
        f"{path} holds {what}; 8, 16 or 32-bit integers or 32-bit floats were expected.",
        remedy="Save the image with 8 or 16 bits per pixel.",
    )


def unsupported_compression(path: Path, what: str) -> FrameError:
    return FrameError(
        "unsupported_compression",
        f"{path} is compressed in a way that is not read ({what}).",
        remedy="Save it uncompressed, or with LZW, deflate or zstd.",
    )


def nan_pixels(path: Path, count: int) -> FrameError:
    return FrameError(
        "nan_pixels",
        f"{path} has {count} pixels that are not finite (NaN or infinite); finite grey levels were expected.",
        remedy="Replace them where they are made; semdaemon does not invent values.",
    )


def constant(path: Path, value: object) -> FrameError:
    return FrameError(
        "constant",
        f"{path} has the one grey level {value} in all of its image area; a picture was expected.",
        remedy="Is the beam blanked, the detector off, or the contrast at its stop?",
    )


def no_such_page(path: Path, page: int, pages: int) -> FrameError:
    return FrameError(
        "no_such_page",
        f"{path} has {pages} page(s), counted from 0; page {page} was asked for.",
        remedy="The file may have been replaced by another one: requeue the frame.",
    )
