from __future__ import annotations

from semdaemon.sources.schedule import Schedule


def test_everything_is_due_at_first() -> None:
    schedule = Schedule()
    assert schedule.scan_due
    assert schedule.quick_due
    assert schedule.redelivery_due
    assert schedule.pause_s(polling=True) == 0


def test_a_scan_that_took_long_is_followed_by_a_long_pause() -> None:
    schedule = Schedule()
    schedule.scanned(10.0, every_s=30.0, polling=False, redelivered=False)
    assert 189 < schedule.pause_s(polling=False) <= 190  # scans take a twentieth of the time
    assert schedule.redelivery_due
    schedule.scanned(0.01, every_s=30.0, polling=False, redelivered=True)
    assert 29 < schedule.pause_s(polling=False) <= 30
    assert not schedule.redelivery_due


def test_quick_scans_lie_between_long_ones_while_polling() -> None:
    schedule = Schedule()
    schedule.scanned(10.0, every_s=1.0, polling=True, redelivered=True)
    assert 29 < schedule.pause_s(polling=False) <= 30  # scans take a quarter of the time
    assert 0.5 < schedule.pause_s(polling=True) <= 1
    schedule.scanned_quickly(2.0, every_s=1.0)
    assert 7 < schedule.pause_s(polling=True) <= 8
    assert not schedule.scan_due


def test_a_scan_within_a_time_is_never_put_off() -> None:
    schedule = Schedule()
    schedule.scan_after(5.0)
    schedule.scan_within(60.0)
    assert schedule.pause_s(polling=False) <= 5
    schedule.scan_within(0.5)
    assert schedule.pause_s(polling=False) <= 0.5
    schedule.scan_now()
    assert schedule.scan_due
