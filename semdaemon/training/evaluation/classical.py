"""What refocusing is measured against: classical methods that know more than the network does.

Each is told the probe and gets its own parameter chosen against the truth, frame by frame (an *oracle*), so
it stands for the best that its kind of method can do. The network is blind.
Where the probe varies over the crop they are told that as well: the crop is restored with each probe, and
each pixel takes its own share of the results.
Images are (h, w) float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy import ndimage

from semdaemon.training.evaluation import restoring
from semdaemon.training.evaluation.case import Degraded, Image, Method
from semdaemon.training.evaluation.restoring import Path, Prepared, prepare
from semdaemon.training.quality import psnr_db

__all__ = ["METHODS", "Degraded", "Method", "oracle_denoiser", "oracle_wiener"]

_PATIENCE = {"Wiener": 3, "Richardson-Lucy": 8, "total variation": 2}
"""So many pictures in a row that are no better end the search along a path: it has passed its peak."""


def oracle_denoiser(case: Degraded) -> Image:
    """Total variation or Gaussian smoothing, whichever and however much is best; undoes no blur."""
    smoothed = (ndimage.gaussian_filter(case.seen, s) for s in (0.0, 0.4, 0.6, 0.8, 1.1, 1.5, 2.0, 3.0))
    best = _best(smoothed, case.sharp)
    sd = restoring.noise_sd(case.seen)
    flattened = (restoring.denoised(case.seen, w * sd) for w in (0.3, 0.6, 1.0, 1.5, 2.2))
    return _best([best, _peak(flattened, case.sharp, 1)], case.sharp)


def oracle_wiener(case: Degraded) -> Image:
    """Wiener filter, weight and smoothness (|k|^2 or |k|^4) against the truth."""
    return _oracle("Wiener", case)


def oracle_richardson_lucy(case: Degraded) -> Image:
    """Richardson-Lucy, stopped where it is best."""
    return _oracle("Richardson-Lucy", case)


def oracle_total_variation(case: Degraded) -> Image:
    """Total variation deconvolution, weight against the truth."""
    return _oracle("total variation", case)


def oracle_unsharp(case: Degraded) -> Image:
    """Unsharp mask after a little smoothing or none, width and amount against the truth."""
    smooth = ndimage.gaussian_filter(case.seen, 1.0)
    starts = (case.seen, smooth)
    return _best(
        (
            restoring.unsharp(start, sigma_px, amount)
            for amount in (0.0, 0.3, 0.6, 1.0, 1.5, 2.5)
            for sigma_px in (1.5, 3.0)
            for start in starts
        ),
        case.sharp,
    )


METHODS: dict[str, Method] = {
    "oracle denoiser": oracle_denoiser,
    "oracle Wiener": oracle_wiener,
    "oracle Richardson-Lucy": oracle_richardson_lucy,
    "oracle total variation": oracle_total_variation,
    "oracle unsharp mask": oracle_unsharp,
}


def _oracle(name: str, case: Degraded) -> Image:
    peaks = (
        _peak(_pictures(case, path), case.sharp, _PATIENCE[name]) for path in restoring.DECONVOLUTIONS[name]
    )
    return _best(peaks, case.sharp)


def _pictures(case: Degraded, path: Callable[[Prepared], Path]) -> Iterator[Image]:
    """What a path makes of a crop, step by step; with a varying probe, the mixture of its parts."""
    if not case.parts:
        at = prepare(case.seen, case.kernel)
        yield from (at.cut(image) for image in path(at))
        return
    places = [prepare(case.seen, kernel) for kernel, _ in case.parts]
    shares = [share for _, share in case.parts]
    for images in zip(*(path(at) for at in places), strict=True):
        mixed = np.zeros_like(case.seen)
        for at, image, share in zip(places, images, shares, strict=True):
            mixed += share * at.cut(image)
        yield mixed


def _peak(pictures: Iterable[Image], sharp: Image, patience: int) -> Image:
    """The best picture before so many in a row were no better."""
    best, best_db, since = sharp, -np.inf, 0
    for picture in pictures:
        quality_db = psnr_db(picture, sharp)
        if quality_db > best_db:
            best, best_db, since = picture, quality_db, 0
            continue
        since += 1
        if since >= patience:
            break
    return best


def _best(candidates: Iterable[Image], sharp: Image) -> Image:
    return max(candidates, key=lambda image: psnr_db(image, sharp))
