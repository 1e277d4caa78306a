"""Training that goes on from existing weights."""

import json

import pytest
import torch
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.layers import add_spectral_norm
from deoldify_lite.modeling.weights import BadWeights, load_generator, save_weights
from deoldify_lite.presets import preset
from deoldify_lite.training.errors import WrongCheckpoint
from deoldify_lite.training.init_from import init_networks
from deoldify_lite.training.networks import trainable_generator, untrained_generator
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.run import Run, open_run


@pytest.fixture
def weights(tmp_path):
    """A generator as training leaves it, of another encoder than the smoke preset's."""
    torch.manual_seed(3)
    network = build_generator("lite", "test_efficientnet")
    for part in network.spectral:
        add_spectral_norm(part)
    save_weights(network, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def open_small(folder, photos, init_from="", **settings) -> Run:
    small = ["generator_stages=[{name: a, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4}]", "gan.fraction=0.3"]
    return open_run(folder, [photos], "smoke", small, init_from=str(init_from), device="cpu", **settings)


def test_it_begins_with_those_weights_and_their_network(tmp_path, photos, weights):
    run = open_small(tmp_path / "run", photos, weights)
    assert run.schedule.networks.encoder == "test_efficientnet"
    ours = trainable_generator(run, None).eval()
    theirs = load_generator(weights)
    gray = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        # Spectral norm estimates anew the largest singular value that the weights were divided by.
        assert (ours(gray) - theirs(gray)).abs().mean() < 0.1 * theirs(gray).std()
    assert all(torch.equal(v, theirs.encoder.state_dict()[k]) for k, v in ours.encoder.state_dict().items())


def test_the_head_trains_without_what_postprocessing_will_set(tmp_path, weights):
    """Else the network would learn to undo it. What no postprocessing sets, it has as in the file."""
    options = {"smooth": True, "cast": 0.85, "magenta": 0.3}
    save_weights(build_generator("lite", "test_efficientnet", **options), weights)
    later, never = preset("projected"), preset("finetune")
    assert later.postprocess.head == options and not never.postprocess.head
    for schedule, expected in ((later, (False, 1.0, 1.0)), (never, (True, 0.85, 0.3))):
        networks = init_networks(str(weights), schedule, tmp_path / "run")
        assert (networks.smooth, networks.cast, networks.magenta) == expected


def test_what_is_set_outright_goes_before_what_the_file_says(tmp_path, weights):
    run = open_run(tmp_path / "run", changes=["networks.padding=replicate"], init_from=str(weights))
    assert load_generator(weights).config.get("padding", "zeros") == "zeros"
    assert run.schedule.networks.padding == "replicate"


@pytest.mark.slow
def test_a_run_goes_on_whatever_becomes_of_the_file(tmp_path, photos, weights):
    """It has a copy, and other weights are refused."""
    run_nogan(open_small(tmp_path / "run", photos, weights), "generator")
    done = json.loads((tmp_path / "run/generator/1-a/done.json").read_text())
    assert done["fingerprint"]["networks"]["init_from"] not in ("", str(weights)), "a hash of what is in the file"
    run_nogan(open_small(tmp_path / "run", photos, weights), "generator")

    save_weights(build_generator("lite", "test_efficientnet"), weights)
    with pytest.raises(ValueError, match="was begun from other weights than"):
        open_small(tmp_path / "run", photos, weights)
    with pytest.raises(ValueError, match="was begun from other weights than"):
        open_run(tmp_path / "run", changes=[f"networks.init_from={weights}"])
    weights.unlink()
    assert run_nogan(open_small(tmp_path / "run", photos)) == tmp_path / "run/generator.safetensors"


def test_what_began_from_imagenet_does_not_change_to_other_weights(tmp_path, photos, weights):
    run_nogan(open_small(tmp_path / "run", photos), "generator")
    with pytest.raises(WrongCheckpoint, match=r"networks\.\w+ was"):
        run_nogan(open_small(tmp_path / "run", photos, weights), "generator")
    assert not list((tmp_path / "run").glob("init_from.*"))


def test_a_copy_that_was_tampered_with_is_noticed(tmp_path, photos, weights):
    run_nogan(open_small(tmp_path / "run", photos, weights), "generator")
    save_weights(build_generator("lite", "test_efficientnet"), tmp_path / "run/init_from.safetensors")
    with pytest.raises(WrongCheckpoint, match=r"networks\.init_from was"):
        run_nogan(open_small(tmp_path / "run", photos), "generator")


def test_deoldifys_weights_do_as_well(tmp_path):
    torch.manual_seed(0)
    save_weights(build_generator("deep"), tmp_path / "deep.safetensors")
    run = open_run(tmp_path / "run", preset_name="finetune", init_from=str(tmp_path / "deep.safetensors"))
    assert (run.schedule.networks.generator, run.schedule.networks.encoder) == ("deep", "")
    with torch.device("meta"):
        assert untrained_generator(run.schedule.networks).config == {"architecture": "deep"}


def test_what_the_file_leaves_at_its_default_is_the_default(tmp_path, weights):
    """... and not what the schedule would have: the network trained without."""
    networks = init_networks(str(weights), preset("finetune"), tmp_path / "run")
    assert (networks.padding, networks.smooth, networks.cast, networks.magenta) == ("zeros", False, 1.0, 1.0)


def test_the_command(tmp_path, photos, weights):
    command = ["nogan", "--preset", "smoke", "--photos", str(photos), "--run", str(tmp_path / "run"), "--device", "cpu"]
    one = "--set=generator_stages=[{name: a, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4}]"
    result = CliRunner().invoke(program, [*command, one, "--init-from", str(weights), "--stage", "generator"])
    assert result.exit_code == 0, result.output
    assert load_generator(tmp_path / "run/generator.safetensors").config["encoder"] == "test_efficientnet"

    command[command.index("--run") + 1] = str(tmp_path / "other")
    result = CliRunner().invoke(program, [*command, "--init-from", "nowhere.safetensors"])
    assert result.exit_code == 3 and "'nowhere.safetensors': no such file" in result.output
    (tmp_path / "text.safetensors").write_text("no weights")
    result = CliRunner().invoke(program, [*command, "--init-from", str(tmp_path / "text.safetensors")])
    assert result.exit_code == 3 and "not a safetensors file" in result.output


def test_networks_of_another_kind_are_refused(tmp_path, weights):
    network = build_generator("lite", "test_efficientnet")
    save_weights(network, weights, config={"architecture": "critic", "width": 8})
    with pytest.raises(BadWeights):
        open_run(tmp_path / "run", init_from=str(weights))


@pytest.mark.slow
def test_frozen_statistics_stay_and_all_else_learns(tmp_path, photos, weights):
    """In the generator's stages and in the GAN phase: few photos tell less of the world than the start knows."""
    run = open_small(tmp_path / "run", photos, weights)
    run.schedule = run.schedule.override({"networks.frozen_statistics": "true"})
    run_nogan(run)
    before = load_generator(weights).state_dict()
    for file in ("generator/1-a/weights.safetensors", "cycle-1/gan/step-000001.safetensors"):
        after = load_generator(tmp_path / "run" / file).state_dict()
        moved = {k for k, v in after.items() if not torch.equal(v, before[k])}
        assert not [k for k in moved if "running_" in k or "num_batches" in k]
        assert {k for k in after if k.endswith(".bias")} <= moved, "BatchNorm's own weights included"


def test_the_finetune_preset_fits_the_weights_that_it_starts_from():
    networks = preset("finetune").networks
    config = load_generator(networks.init_from).config
    assert config == untrained_generator(networks).config


def test_finetuning_is_gentler_than_training():
    """Lower rates than any stage of the training that made the weights, and enough steps at fifty photos."""
    few, many = preset("finetune"), preset("lite")
    rates = [s.lr for s in many.generator_stages]
    assert max(s.lr for s in few.generator_stages) < min(rates) and few.gan.lr <= many.gan.lr
    photos = 50 * (1 - few.validation)
    assert sum(s.epochs * photos / s.batch for s in few.generator_stages) > 50
    assert photos * few.gan.fraction / few.gan.batch >= 5
