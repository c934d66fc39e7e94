"""One job in the worker process: a frame, or the probe's test picture, by the same path."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semdaemon.errors import SemdaemonError
from semdaemon.focus.map import FocusMap
from semdaemon.refocus import probe
from semdaemon.refocus.discriminative import Refocused, Refocuses, refocus_frame
from semdaemon.refocus.trust import Trust, from_card
from semdaemon.settings import Refocus
from semdaemon.worker.faults import ends_the_process, kind_of
from semdaemon.worker.ladder import Ladder, Rung
from semdaemon.worker.memory import TileCost, job_bytes, room_lacking
from semdaemon.worker.shared import Attached, Layout

if TYPE_CHECKING:
    from semdaemon.refocus.engine import Engine
    from semdaemon.refocus.weights import WeightsCard

Send = Callable[[dict[str, Any]], None]
_LEAST_PAUSE_S = 0.2


class Progress:
    """Tiles done of those known so far, over all calls of the engine; told a few times a second at most."""

    def __init__(self, send: Send, job: int) -> None:
        self._send, self._job = send, job
        self._before = self._done = self._total = 0
        self._told_at = 0.0

    def tile(self, done: int, total: int) -> None:
        """One tile more; ``done`` starts again at 1 with each call of the engine."""
        if done <= self._done:
            self._before += self._done
        self._done, self._total = done, total
        self.alive()

    def alive(self) -> None:
        """Something was done that is no tile."""
        now = time.monotonic()
        if now - self._told_at < _LEAST_PAUSE_S:
            return
        self._told_at = now
        done, total = self._before + self._done, self._before + self._total
        self._send({"kind": "progress", "job": self._job, "tiles_done": done, "tiles_total": total})


@dataclass
class Bench:
    """What a worker process has at hand for its jobs."""

    engine: Engine
    card: WeightsCard
    refocus: Refocus
    ladder: Ladder
    tile_cost: TileCost
    attached: Attached
    send: Send
    trust: Trust | None = None

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """Do one job; whatever it raises becomes an answer of kind ``failed``."""
        started = time.monotonic()
        try:
            result, rung = self._run(job)
        except SemdaemonError as error:
            return {**self._failed(job), **said(error)}
        except Exception as error:  # noqa: BLE001 - the process edge: told to the parent, which judges and counts
            traceback.print_exc(file=sys.stderr)
            return {**self._failed(job), **_told(error), "ends": ends_the_process(error)}
        return {
            "kind": "done",
            "job": job["job"],
            "regions": [report.as_dict() for report in result.regions],
            "levels": list(result.levels),
            "rung": rung.as_dict(),
            "seconds": round(time.monotonic() - started, 4),
            "ends": self.ladder.tainted,
        }

    def _failed(self, job: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "failed", "job": job["job"], "ends": self.ladder.tainted}

    def _run(self, job: dict[str, Any]) -> tuple[Refocused, Rung]:
        layout = Layout((job["shape"][0], job["shape"][1]), job["dtype"], job["focus_bytes"])
        memory = self.attached.open(job["memory"])
        pixels, refocused, mask = layout.arrays(memory)
        focus = FocusMap.from_bytes(layout.focus(memory))
        progress = Progress(self.send, job["job"])
        settings = probe.SETTINGS if job.get("probe") else self.refocus
        if job.get("everywhere"):
            settings = settings.model_copy(update={"everywhere": True})

        def run(engine: Refocuses) -> Refocused:
            return refocus_frame(
                pixels,
                focus,
                engine,
                settings,
                sigma_max_px=self.card.sigma_max_px,
                alive=progress.alive,
                trust=None if job.get("probe") else self.trust,
            )

        if job.get("probe"):
            # The ladder is for frames: a device that has no room for this picture is no device.
            result, rung = run(self.engine), self.ladder.rungs()[0]
        else:
            result, rung = self._down_the_ladder(job, run, focus.area.height * focus.area.width, progress)
        refocused[...] = result.pixels
        mask[...] = result.mask
        return result, rung

    def _down_the_ladder(
        self, job: dict[str, Any], run: Callable[[Refocuses], Refocused], pixels: int, progress: Progress
    ) -> tuple[Refocused, Rung]:
        def told(rung: Rung, why: str) -> None:
            self.send({"kind": "step", "job": job["job"], "rung": str(rung), "why": why})

        def lacking(rung: Rung) -> str:
            on_host = rung.device == "cpu"
            return room_lacking(job_bytes(pixels, rung.tile_px, self.tile_cost, on_host=on_host))

        return self.ladder.run(
            run,
            pixels=pixels,
            frugal=bool(job.get("frugal")),
            lacking=lacking,
            told=told,
            watch=progress.tile,
        )


def make_bench(settings: dict[str, Any], send: Send) -> Bench:
    """Engine, weights and ladder from the settings sections ``refocus`` and ``worker``."""
    from semdaemon.refocus.engines import make_engine
    from semdaemon.refocus.networks import NetworkSpec
    from semdaemon.refocus.windows import Windowed

    refocus, worker = settings["refocus"], settings["worker"]
    engine, card = make_engine(refocus, worker)

    def on_cpu() -> Engine:
        # By path: 'auto' would choose other weights for another device.
        named = {**refocus, "weights": str(card.path)}
        return make_engine(named, {**worker, "device": "cpu"})[0]

    spec = NetworkSpec(**card.spec)

    def windowed(inner: Engine) -> Refocuses:
        return Windowed(inner, margin_px=spec.frame_radius_px, multiple=spec.multiple)

    allowed = worker["cpu_fallback"] and engine.device != "cpu"
    ladder = Ladder(engine, windowed=windowed, on_cpu=on_cpu if allowed else None)
    cost = TileCost(4 * spec.filters / spec.unshuffle**2, spec.radius_px)
    trust = from_card(card.trust)
    return Bench(engine, card, Refocus(**refocus), ladder, cost, Attached(), send, trust)


def said(error: SemdaemonError) -> dict[str, str]:
    """An error of ours as it travels."""
    return {"code": error.code, "message": error.message, "remedy": error.remedy}


def _told(error: Exception) -> dict[str, str]:
    remedies = {
        "out_of_memory": 'Lower worker.tile_px, or set worker.device = "cpu".',
        "accelerator_fault": "Its process is replaced. Look at the driver's log where this comes again.",
        "worker_exception": "The log has the traceback; 'semdaemon requeue' tries the frame again.",
    }
    code = kind_of(error)
    return {
        "code": code,
        "message": f"The worker raised {type(error).__name__}: {error}.",
        "remedy": remedies[code],
    }
