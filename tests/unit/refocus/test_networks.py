from __future__ import annotations

import pytest
import torch

from semdaemon.refocus import networks
from semdaemon.refocus.networks import LIGHT, PUBLISHED, NetworkSpec


def test_published_networks_have_the_published_number_of_parameters() -> None:
    assert networks.parameters_of(networks.build_srn(PUBLISHED)) == 3_383_553
    assert networks.parameters_of(networks.build(PUBLISHED)) == 10_153_939


@pytest.mark.parametrize("spec", [LIGHT, NetworkSpec(filters=4, blocks=1)])
def test_each_scale_has_its_size(spec: NetworkSpec) -> None:
    with torch.inference_mode():
        y4, y2, y1 = networks.build(spec)(torch.rand(2, 1, 32, 48))
    assert y1.shape == (2, 1, 32, 48)
    assert y2.shape == (2, 1, 16, 24)
    assert y4.shape == (2, 1, 8, 12)


def test_a_fresh_residual_network_is_close_to_the_identity() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        y = networks.build(LIGHT)(x)[-1]
    assert (y - x).abs().mean() < 0.15


@pytest.mark.parametrize(
    "spec", [NetworkSpec(filters=4, blocks=2, unshuffle=2, residual=True), NetworkSpec(4, 2)]
)
def test_the_radius_says_how_far_one_pixel_reaches(spec: NetworkSpec) -> None:
    torch.manual_seed(0)
    net = networks.SRN(spec).double()
    x = torch.rand(1, 1, 96, 96, dtype=torch.float64)
    changed = x.clone()
    changed[0, 0, 48, 48] += 0.5
    with torch.inference_mode():
        reach = (net(x) != net(changed))[0, 0].nonzero() - 48
    assert reach.abs().max() <= spec.radius_px
    assert reach.abs().max() >= spec.radius_px - spec.unshuffle


def test_tiles_of_the_finest_scale_with_that_halo_are_exact() -> None:
    torch.manual_seed(0)
    spec = NetworkSpec(filters=4, blocks=1, kernel=3, unshuffle=2, residual=True)
    net = networks.SRN(spec).double()
    x = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    halo = spec.radius_px + spec.radius_px % spec.unshuffle
    with torch.inference_mode():
        whole = net(x)
        tile = net(x[:, :, 24 - halo : 40 + halo, 24 - halo : 40 + halo])
    torch.testing.assert_close(tile[:, :, halo:-halo, halo:-halo], whole[:, :, 24:40, 24:40])


@pytest.mark.parametrize("detach", [True, False])
def test_gradient_crosses_scales_only_where_joint(detach: bool) -> None:
    net = networks.build(NetworkSpec(filters=4, blocks=1, kernel=3, residual=True, detach=detach))
    net(torch.rand(1, 1, 16, 16))[-1].sum().backward()
    assert (net.coarse.head.weight.grad is None) == detach


def test_a_spec_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="no network"):
        NetworkSpec(kernel=4)
