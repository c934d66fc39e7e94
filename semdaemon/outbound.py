"""What leaves the daemon for each frame: messages, previews, and the sinks of other distributions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog

from semdaemon.advice import Advice, advice_header
from semdaemon.errors import SemdaemonError
from semdaemon.focus import VERDICTS, FocusMap, picture
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.metrics import Metrics
from semdaemon.plugs import Sink
from semdaemon.settings import Publish
from semdaemon.wire.messages import NamedArray, NamedBlob, frame_header
from semdaemon.worker import WorkerAnswer

REFOCUSED_BADGE = "refocused by network"
_log = structlog.get_logger("semdaemon.outbound")


class Publishes(Protocol):
    """What `semdaemon.wire.Publisher` does here."""

    def publish(
        self,
        event: str,
        header: dict[str, Any],
        arrays: Sequence[NamedArray] = (),
        blobs: Sequence[NamedBlob] = (),
    ) -> None: ...


class Outbound:
    """Turns results into messages and hands them on; never raises for a receiver's sake.

    Parameters
    ----------
    publisher
        None publishes nothing (``publish.endpoint = ""``).
    """

    def __init__(
        self, settings: Publish, publisher: Publishes | None, sinks: Sequence[Sink], metrics: Metrics
    ) -> None:
        self._settings, self._publisher = settings, publisher
        self._sinks, self._metrics = list(sinks), metrics

    def score(
        self,
        frame: Frame,
        focus: FocusMap,
        *,
        redelivered: bool = False,
        aperture_rad: float | None = None,
    ) -> None:
        """Events ``score`` and ``preview``; with the beam's half angle, tilts are told in degrees too."""
        header = {
            "frame": frame_header(frame),
            "tile_px": focus.tile_px,
            "area": focus.area.as_list(),
            "verdicts": {str(code): word for code, word in enumerate(VERDICTS)},
            "scorer": focus.scorer,
            "counts": focus.counts(),
            "median_sigma_px": focus.median_sigma_px(),
            "redelivered": redelivered,
            "warnings": list(frame.warnings),
            **focus.survey.as_json(aperture_rad),
        }
        arrays = (
            ("sigma_px", focus.sigma_px.astype(np.float32)),
            ("score", focus.score.astype(np.float32)),
            ("verdict", focus.verdict.astype(np.uint8)),
            ("sigma_relative_sd", focus.sigma_relative_sd.astype(np.float32)),
        )
        self._send("score", header, arrays)
        self._preview(frame, frame.pixels, refocused=False)
        self._tell(lambda sink: sink.scored(header, focus))

    def advice(self, frame: Frame, advice: Advice, *, redelivered: bool = False) -> None:
        """Event ``advice``."""
        header = {
            "frame": frame_header(frame),
            **advice_header(advice, frame.pixel_size_m),
            "redelivered": redelivered,
        }
        self._send("advice", header)

    def refocused(
        self,
        frame: Frame,
        answer: WorkerAnswer,
        provenance: dict[str, Any],
        path: Path,
        *,
        redelivered: bool = False,
    ) -> None:
        """Events ``frame`` and ``preview``."""
        header = {
            "frame": frame_header(frame),
            "refocused_by": "network",
            "weights": answer.weights,
            "regions": answer.regions,
            "original_sha256": frame.content_sha256,
            "settings_fingerprint": provenance["settings"]["fingerprint"],
            "seconds": answer.seconds,
            "rung": answer.rung,
            "output": path.resolve().as_uri(),
            "redelivered": redelivered,
        }
        self._send("frame", header, (("refocused", answer.pixels), ("mask", answer.mask)))
        self._preview(frame, answer.pixels, refocused=True)
        self._tell(lambda sink: sink.refocused(header, str(path)))

    def reload(self, settings: Publish) -> None:
        """Make previews by these settings from the next one on."""
        self._settings = settings

    def part_fault(self, error: SemdaemonError, *, part: str) -> None:
        """Event ``fault`` of a part of the daemon, about no frame: when it begins, and when it is over."""
        known = {"code": error.code, "message": error.message, "remedy": error.remedy}
        self._send("fault", {"frame": None, "part": part, **known})

    def fault(self, row: Row, error: SemdaemonError, *, frame: Frame | None = None) -> None:
        """Event ``fault``."""
        about = (
            frame_header(frame)
            if frame is not None
            else {"id": row.frame_id or None, "source": row.source, "uri": row.uri}
        )
        header = {
            "frame": about,
            "code": error.code,
            "message": error.message,
            "remedy": error.remedy,
            "redelivered": row.attempts > 0 or row.redelivered,
        }
        self._send("fault", header)
        self._tell(lambda sink: sink.failed(header, error.code, error.message))

    def close(self) -> None:
        """Close the sinks."""
        self._tell(lambda sink: sink.close())

    def _preview(self, frame: Frame, pixels: np.ndarray[Any, Any], *, refocused: bool) -> None:
        settings = self._settings
        if not settings.preview or self._publisher is None:
            return
        small = picture.preview(pixels, frame.image_area, settings.preview_px)
        image = picture.badge(small, REFOCUSED_BADGE) if refocused else small
        header = {"frame": frame_header(frame), "refocused": refocused}
        self._send("preview", header, (), (("preview", "image/jpeg", picture.encode(image, "jpeg")),))

    def _send(
        self,
        event: str,
        header: dict[str, Any],
        arrays: Sequence[NamedArray] = (),
        blobs: Sequence[NamedBlob] = (),
    ) -> None:
        if self._publisher is not None:
            self._publisher.publish(event, header, arrays, blobs)

    def _tell(self, call: Callable[[Sink], None]) -> None:
        for sink in self._sinks:
            try:
                call(sink)
            except Exception:  # noqa: BLE001 - foreign code must not hinder a frame; logged and counted
                self._metrics.faults.labels("sink_exception").inc()
                _log.exception("sink failed", sink=type(sink).__name__)
