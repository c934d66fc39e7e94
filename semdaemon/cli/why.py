"""``semdaemon why``: what became of one frame, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from semdaemon.advice.sentence import sentence
from semdaemon.cli.lookup import as_json as plain_values
from semdaemon.cli.lookup import frames_meant, open_journal, rfc3339, shown, span
from semdaemon.cli.options import config_option, json_option, settings_from, state_option
from semdaemon.cli.printable import printable
from semdaemon.focus.sentences import stored_sentences
from semdaemon.journal import Event, Row
from semdaemon.refocus.sentences import stored_sentences as region_sentences

_REASONS = {
    "beyond_repair": "too blurred to be refocused honestly",
    "came_back": "the file was gone and is there again",
    "changed_since": "the file was overwritten after it had been read",
    "duplicate_content": "the same bytes are in the journal under another name",
    "history_dropped": "its history was dropped after daemon.keep_days",
    "nothing_to_refocus": "no region was blurred",
    "page_of_file": "a later page of a file",
    "refocus_disabled": "refocusing is switched off in the settings",
    "refocused": "score and refocused frame were published",
    "requeued": "somebody asked for it again",
    "restarted": "the daemon stopped in the middle of it and took it up again",
    "settings_changed": "settings changed after it was scored; it is scored anew",
    "sharp": "everything is in focus",
    "sidecar_awaited": "waiting for the sidecar",
    "source_gone": "its folder cannot be reached; waiting for it to come back",
    "still_changing": "size or time changed a moment ago",
    "truncated": "its end is missing",
    "undecided": "sharp or blurred cannot be told: too little signal, or bad input",
    "uniform_tail": "its last rows are one constant: perhaps still being written",
    "vanished": "the file went away before it was read",
}


_LABELS = {
    "median_sigma_px": "blur (px)",
    "seconds": "took (s)",
    "noise_sd": "noise",
    "electrons_per_px": "electrons",
}
_SAID = ("artefacts", "plane", "astigmatism", "advice", "run", "regions")
"""Told in sentences, not as figures; what a run remembers is for the daemon alone."""


@click.command("why")
@click.argument("frame")
@config_option
@state_option
@json_option
def command(frame: str, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Tell the history of FRAME: its number, identity (or its first digits), path or file name."""
    with open_journal(settings_from(config, state=state)) as journal:
        told = [(row, journal.history(row.key)) for row in frames_meant(journal, frame)]
    for number, (row, events) in enumerate(told):
        if as_json:
            history = [_plain_event(event) for event in events]
            click.echo(json.dumps({**plain_values(row), "history": history}))
        else:
            click.echo(("\n" if number else "") + "\n".join(_story(row, events)))


def _plain_event(event: Event) -> dict[str, str]:
    return {"at": rfc3339(event.at), "state": event.state, "reason": event.reason, "detail": event.detail}


def _story(row: Row, events: list[Event]) -> Iterator[str]:
    page = f", page {row.page}" if row.page else ""
    yield click.style(
        f"Frame {row.key} is {row.state}{': ' if row.reason else ''}{row.reason}{_because(row.reason)}.",
        bold=True,
    )
    yield f"  file      {shown(row.path)}{page}"
    if row.frame_id:
        yield f"  identity  {row.frame_id}  (content {row.content_sha256[:12]}, settings {row.fingerprint})"
    if row.shape is not None:
        yield f"  image     {row.shape[0]} x {row.shape[1]} pixels, {row.dtype}{_scale(row)}"
    if row.output is not None:
        yield f"  output    {shown(row.output)}"
    known = {name: value for name, value in row.summary.items() if value not in (None, [], {})}
    plain = {_LABELS.get(name, name): _short(value) for name, value in known.items() if name not in _SAID}
    yield from (f"  {label:<9} {printable(text)}" for label, text in plain.items())
    yield from (f"  {'focus':<9} {printable(one.text)}" for one in stored_sentences(row.summary))
    yield from (f"  {'refocus':<9} {printable(one.text)}" for one in region_sentences(row.summary))
    if isinstance(advice := row.summary.get("advice"), Mapping):
        yield f"  {'advice':<9} {printable(sentence(advice))}"
    if row.dropped_at is not None:
        yield f"  history   dropped at {rfc3339(row.dropped_at)} with its focus map (daemon.keep_days)"
    yield from _steps(events)
    if row.detail and (not events or row.detail != events[-1].detail):
        yield f"  now       {printable(row.detail)}"
    if row.remedy:
        yield f"  to do     {printable(row.remedy)}"
    if not row.final:
        yield f"  waiting   for {span(time.time() - row.seen_at)}, not finished yet{_next_look(row)}"


def _steps(events: list[Event]) -> Iterator[str]:
    for event in events:
        after_s = event.at - events[0].at
        reason = f"  {event.reason}{_because(event.reason)}" if event.reason else ""
        yield f"  {rfc3339(event.at)}  {after_s:+10.3f} s  {event.state:<9}{reason}".rstrip()
        if event.detail:
            yield f"      {printable(event.detail)}"


def _because(reason: str) -> str:
    return f" ({_REASONS[reason]})" if reason in _REASONS else ""


def _scale(row: Row) -> str:
    if row.pixel_size_m is None:
        return ", pixel size unknown"
    return f", {row.pixel_size_m[1] * 1e9:.4g} nm a pixel"


def _short(value: object) -> str:
    if isinstance(value, dict):
        # What programs keep for themselves in there (a run's key, a weights' digest) helps nobody here.
        plain = {name: item for name, item in value.items() if not isinstance(item, (dict, list))}
        return ", ".join(f"{name} {_short(item)}" for name, item in plain.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        plain_items = len(value) < 5 and not any(isinstance(item, dict) for item in value)
        return "; ".join(str(item) for item in value) if plain_items else f"{len(value)} of them"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _next_look(row: Row) -> str:
    if row.state != "held" or row.check_at is None:
        return ""
    wait_s = row.check_at - time.time()
    return f"; next look in {wait_s:.1f} s" if wait_s > 0 else "; a look is due"
