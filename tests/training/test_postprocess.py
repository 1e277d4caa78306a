"""Postprocessing after the GAN phase: interpolated weights, BatchNorm statistics, saturation."""

import json
from dataclasses import replace

import pytest
import torch

from deoldify_lite import color
from deoldify_lite.metrics.image import colorfulness
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import load_generator, read_safetensors, save_weights
from deoldify_lite.schedule import Postprocess
from deoldify_lite.sources import spread
from deoldify_lite.training.degradation import grayscale_input
from deoldify_lite.training.inflection import saved_at
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.postprocess import LARGEST_GAIN, check, interpolate, postprocess, scale_to_colorfulness


def generator(seed: int, head: float = 1.0) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = build_generator("lite", "test_efficientnet").eval()
    network.scale_chroma(head)
    return network


@pytest.fixture
def two(run):
    """Weights before and after a GAN phase, in the run's folder."""
    paths = run.folder / "before.safetensors", run.gan_stage(1).weights
    paths[1].parent.mkdir(parents=True)
    for seed, path in enumerate(paths):
        save_weights(generator(seed), path)
    return paths


def postprocessed(run, two, **spec) -> tuple[torch.nn.Module, dict]:
    run.schedule = replace(run.schedule, postprocess=Postprocess(**spec))
    done = postprocess(run, two[0], run.gan_stage(1))
    save_weights(None, run.folder / "out.safetensors", config=done.config, state=done.state)
    return load_generator(run.folder / "out.safetensors"), done.report


def test_by_default_it_is_what_the_gan_phase_gave(run, two):
    before, after = (read_safetensors(path)[1] for path in two)
    state = postprocess(run, two[0], run.gan_stage(1)).state
    assert state.keys() == after.keys() and all(torch.equal(v, after[k]) for k, v in state.items())
    assert any(not torch.equal(v, before[k]) for k, v in state.items())


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_weights_lie_between_before_and_after(fraction):
    ends = {"w": torch.zeros(3), "count": torch.tensor(5)}, {"w": torch.full((3,), 2.0), "count": torch.tensor(9)}
    mixed = interpolate(*ends, fraction)
    assert mixed["w"].tolist() == [2 * fraction] * 3 and int(mixed["count"]) == 9


def test_weights_are_the_mean_of_the_last_part(run, two):
    networks = {step: generator(step) for step in (0, 20, 40, 60)}
    for step, network in networks.items():
        save_weights(network, saved_at(run.gan_stage(1), step))
    mean, report = postprocessed(run, two, average_last=0.34)
    assert report["steps"] == [40, 60]
    for name, parameter in mean.named_parameters():
        ends = [networks[step].get_parameter(name) for step in (40, 60)]
        torch.testing.assert_close(parameter, (ends[0] + ends[1]) / 2)
    assert postprocessed(run, two, average_last=0.01)[1]["steps"] == [60]


def test_batch_norms_are_measured_again(run, two):
    """The decoder's give what they see a mean of 0 and a variance of 1 again; the encoder's are left alone."""
    size, photos = run.schedule.generator_stages[-1].size, run.pack(run.schedule.generator_stages[-1].size)
    members = run.split(photos).train
    count = min(len(members), 16)
    renewed, report = postprocessed(run, two, batchnorm_photos=count)
    assert report["batchnorm_photos"] == count
    plain = load_generator(two[1])
    for old, new in zip(plain.encoder.buffers(), renewed.encoder.buffers()):
        assert torch.equal(old, new)
    seen = []
    norm = renewed.layers[1]
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output - module.bias[:, None, None]))
    target = photos.crops(members[spread(count, len(members))], size, None, torch.Generator())
    with torch.inference_mode():
        renewed.chroma(grayscale_input(target))
    spread_by = seen[0].transpose(0, 1).flatten(1)
    assert spread_by.mean(1).abs().max() < 1e-3
    assert spread_by.std(1).sub(norm.weight).abs().median() < 0.05
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), renewed.parameters()))


def test_saturation_is_calibrated_to_a_fraction_of_real_photos(run, two):
    """By the network itself: what the file gives is as colourful as was asked for, by a gain within the limit."""
    grays, target = run.fixed_batch(run.schedule.generator_stages[-1].size, run.schedule.gan.score_photos)

    def mean_colorfulness(network):
        with torch.inference_mode():
            return float(colorfulness(color.merge(color.luma(target), network.chroma(grays)).clamp(0, 1)).mean())

    plain = mean_colorfulness(load_generator(two[1]))
    fraction = 1.2 * plain / float(colorfulness(target).mean())
    calibrated, report = postprocessed(run, two, colorfulness=fraction)
    assert 1 < report["gain"] < LARGEST_GAIN
    assert mean_colorfulness(calibrated) == pytest.approx(1.2 * plain, rel=0.01)
    assert report["colorfulness"] == pytest.approx(mean_colorfulness(calibrated), rel=1e-3)


def test_saturation_is_never_lowered_nor_raised_beyond_the_limit(run, two):
    save_weights(generator(1, head=0.01), two[1])
    _, report = postprocessed(run, two, colorfulness=0.9)
    assert report["gain"] == pytest.approx(LARGEST_GAIN, abs=0.01)
    save_weights(generator(1, head=50.0), two[1])
    _, report = postprocessed(run, two, colorfulness=0.01)
    assert report["gain"] == 1.0


def test_predictions_are_made_duller_where_that_is_asked_for(run):
    grays, target = run.fixed_batch(run.schedule.generator_stages[-1].size, 4)
    with torch.inference_mode():
        bright = generator(1, head=5.0).eval()
        report = scale_to_colorfulness(bright, grays, target, 1e3)
        assert report["gain"] == pytest.approx(LARGEST_GAIN, abs=0.01)
        dull = scale_to_colorfulness(bright, grays, target, 0.7 * report["colorfulness"], (0.1, 1.0))
    assert dull["gain"] < 1
    assert dull["colorfulness"] == pytest.approx(0.7 * report["colorfulness"], rel=0.02)


def test_smoothing_and_a_weaker_cast_are_recorded_with_the_weights(run, two):
    """... which stay as they are, and the saturation is that of what comes out."""
    after, report = postprocessed(run, two, smooth=True, cast=0.5)
    plain = load_generator(two[1])
    assert after.config == plain.config | {"smooth": True, "cast": 0.5} and report["cast"] == 0.5
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in after.state_dict().items())
    grays, _ = run.fixed_batch(run.schedule.generator_stages[-1].size, 2)
    with torch.inference_mode():
        means = [network.raw(grays).mean((2, 3)) for network in (plain, after)]
    torch.testing.assert_close(means[1], means[0] / 2, rtol=0.05, atol=1e-3)  # smoothing counts borders twice
    calibrated, again = postprocessed(run, two, smooth=True, cast=0.5, colorfulness=0.8)
    assert calibrated.config == after.config and again["gain"] > 1


@pytest.mark.parametrize(
    ("spec", "network", "message"),
    [
        ({"interpolation": 1.5}, "lite", "postprocess.interpolation is a fraction"),
        ({"colorfulness": -0.1}, "lite", "postprocess.colorfulness is a fraction"),
        ({"average_last": 2}, "lite", "postprocess.average_last is a fraction"),
        ({"batchnorm_photos": -1}, "lite", "postprocess.batchnorm_photos is a number of photos"),
        ({"colorfulness": 0.7}, "lite-rgb", "not lite-rgb"),
        ({"cast": 1.1}, "lite", "postprocess.cast is a fraction"),
        ({"magenta": -1}, "lite", "postprocess.magenta is a fraction"),
        ({"magenta": 0.5}, "lite-rgb", "not lite-rgb"),
        ({"smooth": True}, "lite-rgb", "not lite-rgb"),
    ],
)
def test_what_cannot_be_is_refused_before_training(run, spec, network, message):
    networks = replace(run.schedule.networks, generator=network)
    run.schedule = replace(run.schedule, postprocess=Postprocess(**spec), networks=networks)
    with pytest.raises(ValueError, match=message):
        check(run.schedule)
    with pytest.raises(ValueError, match=message):
        run_nogan(run)
    assert not run.folder.exists()


def test_a_finished_run_can_be_postprocessed_otherwise(finished_copy):
    """The setting belongs to no stage, so nothing is trained again."""
    run = finished_copy
    result = run.folder / "generator.safetensors"
    trained = {p: p.stat().st_mtime_ns for p in run.folder.rglob("weights.safetensors")}
    run.schedule = replace(run.schedule, postprocess=Postprocess(interpolation=0.0))
    assert run_nogan(run) == result
    last = run.schedule.generator_stages[-1].name
    before = load_generator(run.folder / f"generator/{len(run.schedule.generator_stages)}-{last}/weights.safetensors")
    ours = load_generator(result).state_dict()
    assert json.loads((run.folder / "postprocess.json").read_text())["interpolation"] == 0
    assert all(torch.equal(v.half(), ours[k].half()) for k, v in before.state_dict().items() if v.is_floating_point())
    assert trained == {p: p.stat().st_mtime_ns for p in run.folder.rglob("weights.safetensors")}
