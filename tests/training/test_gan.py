"""The GAN phase, and each point in which fastai's own GANLearner goes wrong: here it goes right.

The numbers are those of the list in CONTRIBUTING.md.
"""

import copy
import json
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from deoldify_lite.modeling.critic import Critic
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.layers import add_spectral_norm, plain_state
from deoldify_lite.modeling.weights import save_weights
from deoldify_lite.presets import preset
from deoldify_lite.training.checkpoint import first_difference, load_checkpoint, save_checkpoint
from deoldify_lite.training.ema import Ema
from deoldify_lite.training.errors import StageMissing, TrainingDiverged, TrainingError, WrongCheckpoint
from deoldify_lite.training.gan import GanPhase, Switcher, train_gan, use_step
from deoldify_lite.training.losses import GAN_LOSSES
from deoldify_lite.training.run import Run, open_run
from deoldify_lite.training.stages import generator_learner, trainable_generator


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def moved(before: dict, module: nn.Module) -> list[str]:
    return [k for k, v in module.state_dict().items() if not torch.equal(v, before[k])]


@pytest.fixture
def phase(run) -> GanPhase:
    torch.manual_seed(0)
    return GanPhase(run.stage("gan", {}), trainable_generator(run, None), Critic(8))


@pytest.fixture
def start(run, tmp_path):
    """Weights for `train_gan` to start from."""
    torch.manual_seed(0)
    generator, critic = build_generator("lite", run.schedule.networks.encoder), Critic(8)
    save_weights(generator, tmp_path / "generator.safetensors")
    save_weights(None, tmp_path / "critic.safetensors", config=critic.config, state=critic.state_dict())
    return tmp_path / "generator.safetensors", tmp_path / "critic.safetensors"


def test_1_the_other_network_stands_still(phase):
    """Momentum, weight decay, BatchNorm and power iteration included: not a bit of it moves."""
    for _ in range(2):
        phase.switcher.critics_turn = True
        before = snapshot(phase.generator)
        critic_before = snapshot(phase.critic)
        phase.step()
        assert moved(before, phase.generator) == []
        assert moved(critic_before, phase.critic)

        phase.switcher.critics_turn = False
        before = snapshot(phase.critic)
        generator_before = snapshot(phase.generator)
        phase.step()
        assert moved(before, phase.critic) == []
        changed = moved(generator_before, phase.generator)
        assert changed
        assert not [k for k in changed if k.startswith("layers.0.")], "the encoder is frozen"


def test_2_a_frozen_stage_keeps_every_parameter_in_its_optimiser(run):
    """... so that thawing needs no new optimiser; what is frozen does not move."""
    learn = generator_learner(run, 0)
    generator = learn.model.generator
    registered = {id(p) for group in learn.opt.param_lists for p in group}
    assert registered == {id(p) for p in generator.parameters()}
    before = snapshot(generator.encoder)
    learn.fit(1, lr=1e-3)
    left = [k for k in moved(before, generator.encoder) if "bn" not in k]
    assert left == [], "of a frozen encoder only BatchNorm learns"
    assert [k for k in moved(before, generator.encoder) if "bn" in k]


def test_3_the_critics_rate_is_the_factor_times_the_generators(phase, run):
    assert {g["lr"] for g in phase.generator_opt.param_groups} == {run.schedule.gan.lr}
    assert {g["lr"] for g in phase.critic_opt.param_groups} == {run.schedule.gan.lr * 5}
    phase.step()
    assert {g["lr"] for g in phase.critic_opt.param_groups} == {run.schedule.gan.lr * 5}


def test_4_the_critic_keeps_its_turn_until_it_is_good_enough_but_not_for_ever():
    switcher = Switcher(threshold=0.65, most=3)
    switcher.after_critic(0.7)
    assert switcher.critics_turn
    switcher.after_critic(0.6)
    assert not switcher.critics_turn
    switcher.after_generator()
    for _ in range(2):
        switcher.after_critic(float("nan"))
        assert switcher.critics_turn
    switcher.after_critic(9.0)
    assert not switcher.critics_turn, "the cap ends a turn that leads nowhere"


def test_5_a_checkpoint_holds_all_of_the_phase(phase, run, tmp_path):
    """Networks, optimisers, average, whose turn it is, where: a phase begun from it does the same next steps."""
    for _ in range(3):
        phase.step()
    save_checkpoint(tmp_path / "c.pt", {"phase": phase.state})
    twin = GanPhase(run.stage("gan", {}), trainable_generator(run, None), Critic(8))
    twin.load_state(load_checkpoint(tmp_path / "c.pt")["phase"])
    for _ in range(4):
        assert phase.step().keys() == twin.step().keys()
    assert moved(snapshot(phase.generator), twin.generator) == []
    assert moved(snapshot(phase.critic), twin.critic) == []
    assert all(torch.equal(v, twin.ema.state[k]) for k, v in phase.ema.state.items())


def test_6_only_what_ran_is_reported(phase):
    """A generator's step says nothing of the critic's loss, and the other way round."""
    assert set(phase.step()) == {"critic/loss", "critic/accuracy_real", "critic/accuracy_fake"}
    phase.switcher.critics_turn = False
    second = set(phase.step())
    assert {"generator/loss", "generator/adversarial", "generator/feature_loss", "generator/pixel"} <= second
    assert not any(name.startswith("critic/") for name in second)


def test_7_bfloat16_without_cuda_and_the_same_twice(run):
    """The phase runs in bfloat16 on the CPU; two runs of it give the same bits."""
    run.precision = torch.bfloat16
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        phase = GanPhase(run.stage("gan", {}), trainable_generator(run, None), Critic(8))
        for _ in range(4):
            phase.step()
        results.append(phase.ema.state)
    assert all(torch.equal(v, results[1][k]) for k, v in results[0].items())


def test_8_several_processes_are_refused(run, monkeypatch):
    """... instead of training that drifts apart or stands still."""
    from deoldify_lite.training.nogan import run_nogan

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="one process"):
        run_nogan(run)
    assert not run.folder.exists()


def test_10_the_average_is_of_weights_not_of_power_iteration_vectors():
    """The mean of normalised weights, under their plain names, which a plain network takes strictly."""
    torch.manual_seed(0)
    network = add_spectral_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    first = {k: v.clone() for k, v in plain_state(network).items()}
    ema = Ema(network, decay=0.75)
    network.train()
    with torch.no_grad():
        network[0].parametrizations.weight.original.mul_(3).add_(0.1)
        network(torch.randn(2, 3, 8, 8))
    second = plain_state(network)
    ema.update(network)
    for key in ("0.weight", "1.running_mean"):
        assert torch.allclose(ema.state[key], 0.75 * first[key] + 0.25 * second[key], atol=1e-6)
    assert not [k for k in ema.state if k.endswith((".u", ".v"))]
    assert ema.state["1.num_batches_tracked"] == 1
    nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).load_state_dict(ema.state, strict=True)


def test_a_nan_stops_before_it_reaches_the_weights(run, start, monkeypatch):
    """What was saved before is kept and the best of it chosen; the message says so."""
    real = GAN_LOSSES["patch"][1]
    calls = []

    def poisoned(fake):
        calls.append(1)
        return real(fake) * (float("nan") if len(calls) > 5 else 1)

    monkeypatch.setitem(GAN_LOSSES, "patch", (GAN_LOSSES["patch"][0], poisoned))
    with pytest.raises(TrainingDiverged, match="after 5 generator steps; the best generator before that"):
        train_gan(run_longer(run), 1, *start)
    folder = run.folder / "cycle-1" / "gan"
    assert (folder / "weights.safetensors").exists()
    assert [json.loads(line)["step"] for line in (folder / "scores.jsonl").read_text().splitlines()] == [0, 2, 4]


def test_a_nan_in_pretraining_stops_as_well(run, monkeypatch):
    """... before the optimiser sees it: the weights stay finite."""
    from deoldify_lite.training import learner, stages

    generators = []
    real = stages.trainable_generator
    monkeypatch.setattr(stages, "trainable_generator", lambda *a: generators.append(real(*a)) or generators[-1])
    monkeypatch.setattr(learner.LossInPrecision, "__call__", lambda self, painted, truth: painted.sum() * float("nan"))
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        stages.pretrain_generator(run)
    assert all(torch.isfinite(p).all() for p in generators[0].parameters())


def run_longer(run: Run) -> Run:
    run.schedule = run.schedule.override({"gan.fraction": "3"})
    return run


def test_the_rule_chooses_and_the_user_may_choose_another(run, start):
    weights = train_gan(run, 1, *start)
    stage_folder = weights.parent
    report = json.loads((stage_folder / "inflection.json").read_text())
    assert report["chosen"] in [row["step"] for row in report["rows"]]
    assert (stage_folder / "inflection.png").exists()
    chosen = weights.read_bytes()
    assert chosen == (stage_folder / f"step-{report['chosen']:06}.safetensors").read_bytes()
    other = next(row["step"] for row in report["rows"] if row["step"] != report["chosen"])
    stage = run.stage("cycle-1/gan", {})
    assert use_step(stage, other).read_bytes() != chosen
    with pytest.raises(ValueError, match="there are 0, 2"):
        use_step(stage, 999)


def test_changed_recipes_are_noticed():
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "a.1.b was 2 and is now 3"
    assert "was None" in first_difference({}, {"new": 1})


def test_a_recipe_from_before_a_field_came_has_its_default():
    """... so that a new field with the old behaviour as its default leaves finished runs as they are."""
    now = preset("smoke").gan
    stored = json.loads(json.dumps(asdict(now)))
    before = {k: v for k, v in stored.items() if k != "window"}
    assert first_difference({"gan": stored}, {"gan": now}) is None
    assert first_difference({"gan": before}, {"gan": now}) is None
    assert first_difference({"gan": before}, {"gan": replace(now, window=0.5)}) == "gan.window was 1.0 and is now 0.5"
    assert first_difference({"gans": [before]}, {"gans": (now,)}) is None
    gone = first_difference({"gan": stored | {"removed": 3}}, {"gan": now})
    assert gone == "gan.removed was 3 and is now None"


def test_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK half a file")
    with pytest.raises(WrongCheckpoint, match=r"checkpoint\.pt: damaged"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert load_checkpoint(tmp_path / "none.pt") is None


def test_a_run_remembers_and_refuses_another_preset(tmp_path, photos):
    run = open_run(tmp_path, [photos], "smoke", ["gan.lr=3e-5"], None)
    assert run.schedule.gan.lr == 3e-5
    run.keep()
    again = open_run(tmp_path, [], None, [], 4)
    assert again.schedule.gan.lr == 3e-5 and again.schedule.cycles == 4 and again.photos == (photos.resolve(),)
    with pytest.raises(ValueError, match="begun with preset 'smoke'"):
        open_run(tmp_path, [], "lite", [], None)
    with pytest.raises(ValueError, match="FIELD=VALUE"):
        open_run(tmp_path, [], None, ["gan.lr"], None)


def test_stages_say_what_is_missing(run):
    from deoldify_lite.training.nogan import choose_step, run_nogan

    for stage in ("generate", "critic", "gan"):
        with pytest.raises(StageMissing, match="run --stage generator first"):
            run_nogan(run, stage)
    with pytest.raises(StageMissing, match="run --stage gan first"):
        choose_step(run, 3)


def test_networks_under_spectral_norm_can_be_copied_for_the_average(phase):
    twin = copy.deepcopy(phase.generator)
    assert moved(snapshot(phase.generator), twin) == []
