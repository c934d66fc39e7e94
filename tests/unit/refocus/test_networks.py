from __future__ import annotations

import pytest
import torch
from torch import nn

from semdaemon.refocus import networks
from semdaemon.refocus.networks import LIGHT, PUBLISHED, NetworkSpec


def layers_of(net: nn.Module) -> list[str]:
    """The layers in the order in which a picture passes them, as the description writes them."""
    said: list[str] = []

    def told(module: nn.Module, _inputs: object, _output: object) -> None:
        if isinstance(module, nn.Conv2d):
            bias = ", bias" if module.bias is not None else ""
            assert module.stride == (1, 1)
            assert module.padding == (module.kernel_size[0] // 2,) * 2
            said.append(f"conv{module.kernel_size[0]}({module.in_channels} -> {module.out_channels}{bias})")
        elif isinstance(module, nn.PReLU):
            assert bool((module.weight == 0).all())  # the slopes start at 0
            said.append(f"PReLU({module.num_parameters})")

    for module in net.modules():
        module.register_forward_hook(told)
    with torch.inference_mode():
        net(torch.rand(1, 1, 16, 16))
    return said


def srn_of_the_paper(inputs: int) -> list[str]:
    block = ["conv5(64 -> 64)", "PReLU(64)", "conv5(64 -> 64)"]
    head = [f"conv5({inputs} -> 64, bias)", "PReLU(64)"]
    return [*head, *block * 16, "conv5(64 -> 64)", "conv5(64 -> 1, bias)"]


def test_the_published_srn_has_the_layers_of_its_description_in_their_order() -> None:
    assert layers_of(networks.build_srn(PUBLISHED)) == srn_of_the_paper(1)


def test_the_published_mrn_is_three_srns_coarse_to_fine_with_two_enlargements_between() -> None:
    up = ["conv3(1 -> 4, bias)"]
    expected = [*srn_of_the_paper(1), *up, *srn_of_the_paper(2), *up, *srn_of_the_paper(2)]
    assert layers_of(networks.build(PUBLISHED)) == expected


def test_no_layer_normalises_and_no_weight_is_shared() -> None:
    net = networks.build(PUBLISHED)
    kinds = {type(module).__name__ for module in net.modules()} - {"MRN", "SRN", "Up2x", "_Block"}
    assert kinds == {"Conv2d", "PReLU", "Sequential"}
    counts = [networks.parameters_of(part) for part in (net.coarse, net.mid, net.fine)]
    assert counts == [3_383_553, 3_385_153, 3_385_153]
    assert networks.parameters_of(net.up4to2) + networks.parameters_of(net.up2to1) == 80
    assert len({id(p) for p in net.parameters()}) == len(list(net.parameters()))


def test_the_published_output_is_a_sigmoid_with_a_long_skip_and_no_residual() -> None:
    net = networks.build_srn(PUBLISHED)
    x = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        h0 = net.act(net.head(x))
        h = h0
        for block in net.blocks:
            h = h + block.second(block.act(block.first(h)))
        y = torch.sigmoid(net.out(net.tail(h) + h0))
        torch.testing.assert_close(net(x), y)


def test_each_scale_sees_the_enlarged_result_of_the_coarser_one_before_its_own_picture() -> None:
    net = networks.build(NetworkSpec(filters=4, blocks=1))
    x = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        x1, x2, x4 = net.pyramid(x)
        y4 = net.coarse(x4)
        y2 = net.mid(torch.cat([torch.relu(torch.pixel_shuffle(net.up4to2.conv(y4), 2)), x2], 1))
        y1 = net.fine(torch.cat([torch.relu(torch.pixel_shuffle(net.up2to1.conv(y2), 2)), x1], 1))
        for found, expected in zip(net(x), (y4, y2, y1), strict=True):
            torch.testing.assert_close(found, expected)


def test_our_mrn_has_the_published_width_and_depth() -> None:
    ours, published = networks.MRN_OURS.as_dict(), PUBLISHED.as_dict()
    assert {key for key in ours if ours[key] != published[key]} == {"residual", "detach"}
    assert networks.parameters_of(networks.build(networks.MRN_OURS)) == 10_153_939


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
