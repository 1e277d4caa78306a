"""The branch for hints: nothing without hints, colour where hints want it, and its weights belong to one generator."""

import pytest
import torch

from deoldify_lite import color
from deoldify_lite.files import sha256
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.hint_branch import HintBranch, hinted_chroma, see
from deoldify_lite.modeling.weights import (
    BadWeights,
    load_generator,
    load_hint_branch,
    save_hint_branch,
    save_weights,
)
from deoldify_lite.models import hint_branch_file
from helpers.networks import excited

SIZE = 96, 64


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return excited(build_generator("lite", "test_efficientnet")).requires_grad_(False)


@pytest.fixture(scope="module")
def branch(generator) -> HintBranch:
    """With weights everywhere, as after training."""
    torch.manual_seed(1)
    branch = HintBranch.of(generator).eval()
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return branch


@pytest.fixture(scope="module")
def gray() -> torch.Tensor:
    luma = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(2))
    return color.normalize(luma.expand(-1, 3, -1, -1))


def hints_at(*places, count: int = 2, size=SIZE) -> torch.Tensor:
    "A hint of 2 x 2 pixels at each of some (picture, row, column, Cb, Cr)."
    hints = torch.zeros(count, 3, *size)
    for picture, row, column, cb, cr in places:
        hints[picture, :, row : row + 2, column : column + 2] = torch.tensor([cb, cr, 1.0])[:, None, None]
    return hints


@torch.no_grad()
def test_without_hints_the_prediction_is_the_same_bit_for_bit(generator, branch, gray):
    seen, plain = see(generator, gray), generator.chroma(gray)
    assert torch.equal(seen.chroma, plain)
    assert torch.equal(hinted_chroma(generator, branch, seen, hints_at()), plain)
    hinted = hinted_chroma(generator, branch, seen, hints_at((1, 10, 20, 0.3, -0.2)))
    assert torch.equal(hinted[0], plain[0]), "a hint for one picture is none for another"
    assert not torch.allclose(hinted[1], plain[1], atol=1e-3)


@torch.no_grad()
def test_an_untrained_branch_moves_a_place_towards_its_hint(generator, gray):
    seen = see(generator, gray)
    wanted = torch.tensor([0.1, -0.1]) + seen.chroma[0, :, 40:42, 30:32].mean((1, 2))
    hints = hints_at((0, 40, 30, *wanted.tolist()))
    before, after = (
        (chroma[0, :, 40:42, 30:32].mean((1, 2)) - wanted).norm()
        for chroma in (seen.chroma, hinted_chroma(generator, HintBranch.of(generator), seen, hints))
    )
    assert after < before / 2


@torch.no_grad()
def test_hints_in_one_cell_count_as_one_and_in_smaller_cells_apart(generator, branch, gray):
    seen = see(generator, gray)
    two = hints_at((0, 16, 16, 0.3, 0.0), (0, 20, 20, -0.3, 0.0))
    assert not torch.allclose(
        hinted_chroma(generator, branch, seen, two, cell=8), hinted_chroma(generator, branch, seen, two, cell=2)
    )


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (50, 71), (33, 64)])
def test_any_size_and_every_pixel_hinted(generator, branch, size):
    x = color.normalize(torch.rand(1, 1, *size).expand(-1, 3, -1, -1))
    seen = see(generator, x)
    everything = torch.cat([torch.full((1, 2, *size), 0.2), torch.ones(1, 1, *size)], 1)
    for hints in (torch.zeros_like(everything), everything):
        chroma = hinted_chroma(generator, branch, seen, hints)
        assert chroma.shape == (1, 2, *size) and chroma.isfinite().all()
    assert torch.equal(hinted_chroma(generator, branch, seen, torch.zeros_like(everything)), seen.chroma)


@torch.no_grad()
def test_parts_of_the_places_at_a_time_change_nothing(generator, branch, gray, monkeypatch):
    seen, hints = see(generator, gray), hints_at((0, 16, 16, 0.3, 0.0), (1, 20, 20, -0.3, 0.0))
    whole = hinted_chroma(generator, branch, seen, hints)
    monkeypatch.setattr("deoldify_lite.modeling.hint_branch.QUERIES_AT_ONCE", 100)
    assert torch.allclose(hinted_chroma(generator, branch, seen, hints), whole, atol=1e-6)


def test_it_has_gradients_everywhere_and_the_generator_none(generator, branch, gray):
    with torch.no_grad():
        seen = see(generator, gray)
    hints = hints_at((0, 16, 16, 0.3, 0.0), (1, 20, 20, -0.3, 0.1))
    hinted_chroma(generator, branch, seen, hints).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in branch.parameters())
    assert all(p.grad.abs().sum() > 0 for p in branch.parameters())
    branch.zero_grad()
    assert all(p.grad is None for p in generator.parameters())


def test_it_is_small():
    branch = HintBranch.of(build_generator("lite", "tf_efficientnet_lite2"))
    assert sum(p.numel() for p in branch.parameters()) < 2e6


@pytest.fixture
def saved(tmp_path, generator, branch):
    "A generator's file with its branch beside it."
    save_weights(generator, tmp_path / "mine.safetensors")
    digest = sha256(tmp_path / "mine.safetensors")
    save_hint_branch(branch, hint_branch_file(tmp_path / "mine.safetensors"), digest)
    return tmp_path / "mine.safetensors"


def test_a_branch_lies_beside_its_generator(saved, branch):
    assert hint_branch_file(saved).name == "mine_hints.safetensors"
    loaded = load_hint_branch(saved)
    assert loaded.config == branch.config
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in branch.state_dict().items())


def test_no_branch_is_no_mistake(saved):
    hint_branch_file(saved).unlink()
    assert load_hint_branch(saved) is None


def test_a_branch_of_other_weights_is_refused(saved, generator):
    state = {k: v * 1.01 if v.is_floating_point() else v for k, v in generator.state_dict().items()}
    save_weights(generator, saved, state=state)
    with pytest.raises(BadWeights, match=r"mine_hints\.safetensors: trained for other weights than .*mine\.safet"):
        load_hint_branch(saved)


def test_a_generator_in_place_of_a_branch_is_refused_and_the_other_way_round(saved, generator):
    with pytest.raises(BadWeights, match="not a generator"):
        load_generator(hint_branch_file(saved))
    save_weights(generator, hint_branch_file(saved))
    with pytest.raises(BadWeights, match="holds no branch for hints"):
        load_hint_branch(saved)
