"""Transfer, coherence and phase against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, ndimage, special

from semdaemon.training.evaluation.spectra import Measured, Spectra, Triple, measure, windows

Image = npt.NDArray[np.float32]


def textured(seed: int = 0, size_px: int = 256, slope: float = 1.0) -> Image:
    """Random phases, amplitude falling with ``|k|**-slope``, as pictures have; periodic at its border."""
    rng = np.random.default_rng(seed)
    k = np.hypot(fft.fftfreq(size_px)[:, None], fft.rfftfreq(size_px)[None])
    k[0, 0] = np.inf
    spectrum = fft.rfft2(rng.standard_normal((size_px, size_px))) * k**-slope
    picture = fft.irfft2(spectrum, (size_px, size_px))
    return np.asarray(0.5 + 0.1 * picture / picture.std(), np.float32)


def filtered(picture: Image, transfer: npt.NDArray[np.complexfloating] | npt.NDArray[np.float64]) -> Image:
    return np.asarray(fft.ifft2(fft.fft2(picture) * transfer).real, np.float32)


def grid(size_px: int = 256) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return fft.fftfreq(size_px)[:, None], fft.fftfreq(size_px)[None]


def of(restored: Image, sharp: Image, seen: Image | None = None) -> Spectra:
    return measure([Triple(sharp if seen is None else seen, restored, sharp)]).pooled()


def test_the_truth_itself_has_transfer_and_coherence_one_and_nothing_invented() -> None:
    sharp = textured()
    found = of(sharp, sharp)
    np.testing.assert_allclose(found.restored.transfer, 1, atol=1e-12)
    np.testing.assert_allclose(found.restored.coherence, 1, atol=1e-12)
    np.testing.assert_allclose(found.restored.phase_error_rad, 0, atol=1e-12)
    np.testing.assert_allclose(found.invented_share, 0, atol=1e-12)
    np.testing.assert_allclose(found.gain, 1)


def test_gain_and_offset_change_the_transfer_and_no_coherence() -> None:
    sharp = textured()
    found = of(np.asarray(0.5 * sharp + 0.2, np.float32), sharp)
    np.testing.assert_allclose(found.restored.transfer, 0.5, rtol=1e-5)
    np.testing.assert_allclose(found.restored.coherence, 1, rtol=1e-9)


def test_a_gaussian_filter_gives_its_own_transfer() -> None:
    sharp, sigma_px = textured(), 1.2
    soft = np.asarray(ndimage.gaussian_filter(sharp.astype(np.float64), sigma_px, mode="wrap"), np.float32)
    found = of(soft, sharp)
    k = found.cycles_per_px
    expected = np.exp(-2 * (np.pi * sigma_px * k) ** 2)
    # Averaged over a band, a curved function is not quite its value in the middle; leakage adds a little.
    np.testing.assert_allclose(found.restored.transfer, expected, atol=0.01)
    strong = expected > 0.05
    assert (found.restored.coherence[strong] > 0.99).all()


def test_the_gain_wanted_undoes_the_filter_that_the_input_went_through() -> None:
    sharp = textured(slope=0.5)
    soft = np.asarray(ndimage.gaussian_filter(sharp.astype(np.float64), 0.8, mode="wrap"), np.float32)
    found = of(sharp, sharp, seen=soft)
    np.testing.assert_allclose(found.gain, found.gain_wanted)
    k = found.cycles_per_px
    low = k < 0.3  # a narrow Gaussian that is sampled passes more above than a continuous one
    np.testing.assert_allclose(found.gain[low], np.exp(2 * (np.pi * 0.8 * k[low]) ** 2), rtol=0.03)


def test_added_noise_takes_the_coherence_that_the_signal_to_noise_ratio_leaves() -> None:
    noise_sd = 0.02
    triples = []
    for seed in range(4):
        sharp = textured(seed)
        noisy = sharp + noise_sd * np.random.default_rng(100 + seed).standard_normal(sharp.shape)
        triples.append(Triple(sharp, np.asarray(noisy, np.float32), sharp))
    found = measure(triples).pooled()
    snr = found.truth_power / noise_sd**2
    np.testing.assert_allclose(found.restored.coherence**2, snr / (1 + snr), atol=0.04)
    np.testing.assert_allclose(found.restored.transfer, 1, atol=0.1)
    # White noise of variance v has power v in every band, and all of it counts as invented.
    np.testing.assert_allclose(found.restored.invented_power, noise_sd**2, rtol=0.15)


def test_a_shift_turns_phases_and_averages_out_as_a_bessel_function_over_the_ring() -> None:
    shift_px = 2.0
    ky, _ = grid()
    sharp = textured()
    found = of(filtered(sharp, np.exp(-2j * np.pi * ky * shift_px)), sharp)
    k = found.cycles_per_px
    np.testing.assert_allclose(found.restored.coherence, special.j0(2 * np.pi * k * shift_px), atol=0.08)
    np.testing.assert_allclose(found.gain, 1, atol=0.03)
    assert found.restored.phase_error_rad[0] < 0.2


def test_contrast_turned_round_in_one_band_is_negative_there_and_only_there() -> None:
    k = np.hypot(*grid())
    sharp = textured()
    turned = (k > 0.2) & (k < 0.3)
    found = of(filtered(sharp, np.where(turned, -1.0, 1.0)), sharp)
    middle = found.cycles_per_px
    inside, outside = (middle > 0.22) & (middle < 0.28), (middle < 0.18) | (middle > 0.32)
    np.testing.assert_allclose(found.restored.coherence[inside], -1, atol=0.02)
    np.testing.assert_allclose(found.restored.phase_error_rad[inside], np.pi, atol=0.05)
    np.testing.assert_allclose(found.restored.coherence[outside], 1, atol=0.02)


def test_random_phases_are_a_right_angle_off_and_all_invented() -> None:
    sharp, other = textured(0), textured(1)
    found = of(other, sharp)
    assert np.abs(found.restored.coherence[5:]).max() < 0.25
    np.testing.assert_allclose(found.restored.phase_error_rad[5:], np.pi / 2, atol=0.25)
    np.testing.assert_allclose(found.restored.invented_power[5:], found.restored.power[5:], rtol=0.1)


def test_restored_and_invented_power_add_up() -> None:
    sharp = textured()
    rough = sharp + 0.05 * np.random.default_rng(5).standard_normal(sharp.shape).astype(np.float32)
    got = of(rough, sharp).restored
    np.testing.assert_allclose(got.restored_power + got.invented_power, got.power)


def test_a_bright_mean_does_not_leak_into_the_lowest_band() -> None:
    rng = np.random.default_rng(3)
    faint = np.asarray(0.9 + 1e-3 * rng.standard_normal((256, 256)), np.float32)
    found = of(faint, faint)
    np.testing.assert_allclose(found.truth_power, 1e-6, rtol=0.6)


def test_the_interval_of_pictures_that_differ_holds_the_pooled_curve_and_repeats_by_seed() -> None:
    triples = []
    for seed in range(6):
        sharp = textured(seed)
        noise = np.random.default_rng(seed).standard_normal(sharp.shape) * 0.01 * (1 + seed)
        triples.append(Triple(sharp, np.asarray(sharp + noise, np.float32), sharp))
    found = measure(triples)

    def coherence(spectra: Spectra) -> npt.NDArray[np.float64]:
        return spectra.restored.coherence

    low, high = found.interval(coherence, seed=1)
    middle = coherence(found.pooled())
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (high - low)[-1] > 0.01
    np.testing.assert_array_equal(low, found.interval(coherence, seed=1)[0])


def test_pictures_of_one_specimen_said_again_do_not_narrow_the_interval() -> None:
    triples = []
    for seed in range(6):
        sharp = textured(seed)
        noise = np.random.default_rng(seed).standard_normal(sharp.shape) * 0.01 * (1 + seed)
        triples.append(Triple(sharp, np.asarray(sharp + noise, np.float32), sharp))

    def coherence(spectra: Spectra) -> npt.NDArray[np.float64]:
        return spectra.restored.coherence

    once = measure(triples).interval(coherence, seed=1)
    again = measure([t for t in triples for _ in range(2)]).interval(
        coherence, groups=np.repeat(np.arange(6), 2), seed=1
    )
    np.testing.assert_allclose(again, once)


def test_bands_reach_nyquist_and_windows_stay_inside() -> None:
    found = of(textured(size_px=150), textured(size_px=150))
    assert 0.48 < found.cycles_per_px[-1] < 0.5
    squares = list(windows((300, 150), 128))
    assert len(squares) == 3
    assert all(rows.start >= 0 and rows.stop <= 300 and columns.stop <= 150 for rows, columns in squares)


def test_white_noise_has_its_variance_as_power_in_every_band() -> None:
    noise = np.random.default_rng(0).standard_normal((640, 640)).astype(np.float32)
    np.testing.assert_allclose(of(noise, noise).truth_power, 1, rtol=0.08)


@pytest.mark.parametrize(
    "triples",
    [
        [],
        [Triple(textured(), textured(), textured(size_px=128))],
        [Triple(*(textured(size_px=64),) * 3)],
    ],
    ids=["none", "of two shapes", "smaller than the window"],
)
def test_what_cannot_be_measured_is_said(triples: list[Triple]) -> None:
    with pytest.raises(ValueError, match=r"no pictures|one shape"):
        measure(triples)


def test_sums_of_pictures_are_kept_apart() -> None:
    found: Measured = measure([Triple(*(textured(seed),) * 3) for seed in range(3)])
    assert found.sums.shape == (3, 9, found.cycles_per_px.size)
