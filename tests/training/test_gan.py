"""The GAN phase, and each point in which fastai's own GANLearner goes wrong: here it goes right.

The numbers are those of the list in CONTRIBUTING.md.
"""

import copy
import json
import shutil
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn
from tqdm import tqdm

from deoldify_lite.modeling.critic import Critic
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.layers import add_spectral_norm, plain_state
from deoldify_lite.modeling.weights import save_weights
from deoldify_lite.presets import preset
from deoldify_lite.training import callbacks, stages
from deoldify_lite.training.checkpoint import load_checkpoint
from deoldify_lite.training.ema import Ema
from deoldify_lite.training.errors import StageMissing, TrainingDiverged, WrongCheckpoint
from deoldify_lite.training.fingerprints import first_difference
from deoldify_lite.training.gan import gan_learner, shifted, train_gan
from deoldify_lite.training.inflection import read_rows, saved_at, saved_steps, use_step
from deoldify_lite.training.learner import StageLearner
from deoldify_lite.training.log import read_log
from deoldify_lite.training.losses import GAN_LOSSES
from deoldify_lite.training.run import Run, open_run
from deoldify_lite.training.stages import generator_learner, pretrain_generator
from deoldify_lite.training.turns import Turns


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def moved(before: dict, module: nn.Module) -> list[str]:
    return [k for k, v in module.state_dict().items() if not torch.equal(v, before[k])]


@pytest.fixture
def learn(run) -> StageLearner:
    """The Learner of a GAN phase from untrained networks."""
    return gan_learner(run, 1, None, None)


class Snapshots(Callback):
    """Of both networks before each step, with whose step it was."""

    run_valid = False
    order = 56

    def before_train(self):
        self.taken = []

    def before_batch(self):
        model = self.learn.model
        self.taken.append((model.turn, snapshot(model.predictor.generator), snapshot(model.critic)))


def pairs_of_steps(learn: StageLearner):
    """Fit; then, for each step but the last: whose it was, and what of generator and of critic it changed."""
    learn.fit(1, cbs=(snapshots := Snapshots()))
    for (turn, *before), (_, *after) in pairwise(snapshots.taken):
        yield turn, *([k for k in b if not torch.equal(b[k], a[k])] for b, a in zip(before, after))


@pytest.fixture
def start(run, tmp_path):
    """Weights for `train_gan` to start from."""
    torch.manual_seed(0)
    generator, critic = build_generator("lite", run.schedule.networks.encoder), Critic(8)
    save_weights(generator, tmp_path / "generator.safetensors")
    save_weights(None, tmp_path / "critic.safetensors", config=critic.config, state=critic.state_dict())
    return tmp_path / "generator.safetensors", tmp_path / "critic.safetensors"


@pytest.mark.parametrize("critic", ["patch", "projected"])
def test_1_the_other_network_stands_still(run, critic):
    """Momentum, weight decay, BatchNorm and power iteration included: not a bit of it moves. Nor does the encoder, nor
    the projected critic's backbone."""
    changes = {"gan.fraction": "1.5", "networks.critic": critic, "networks.critic_backbone": "test_efficientnet"}
    run.schedule = run.schedule.override(changes | {"networks.critic_width": "8"})
    turns = set()
    for turn, generator, critic_changes in pairs_of_steps(gan_learner(run, 1, None, None)):
        turns.add(turn)
        moved_network, still = (generator, critic_changes) if turn == "generator" else (critic_changes, generator)
        assert moved_network and not still
        assert not [k for k in generator if k.startswith("layers.0.")], "the encoder is frozen"
        assert not [k for k in critic_changes if k.startswith(("backbone", "mix", "smooth"))]
    assert turns == {"generator", "critic"}


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


def test_3_the_critics_rate_is_the_factor_times_the_generators(learn, run):
    """Also where fastai sets the rate of the moment, as in one cycle."""
    assert [h["lr"] for h in learn.opt.hypers] == pytest.approx([run.schedule.gan.lr, 5 * run.schedule.gan.lr])
    seen = []

    class Rates(Callback):
        order = 61

        def before_batch(self):
            seen.append([h["lr"] for h in self.opt.hypers])

    learn.fit_one_cycle(1, 1e-3, cbs=Rates())
    assert len({rates[0] for rates in seen}) > 1
    assert all(critic == pytest.approx(5 * generator) for generator, critic in seen)


def test_a_second_fit_by_hand_trains_again(learn):
    learn.fit(1)
    before = snapshot(learn.model.critic)
    learn.fit(1)
    assert moved(before, learn.model.critic)
    assert learn.model.turns.generator_steps == learn.dls.train.steps


def test_4_the_critic_keeps_its_turn_until_it_is_good_enough_but_not_for_ever():
    turns = Turns(threshold=0.65, max_critic_steps=3)
    turns.after_step(0.7)
    assert turns.critic_trains
    turns.after_step(0.6)
    assert not turns.critic_trains
    turns.after_step(9.0)
    assert turns.critic_trains and turns.generator_steps == 1
    for _ in range(2):
        turns.after_step(float("nan"))
        assert turns.critic_trains
    turns.after_step(9.0)
    assert not turns.critic_trains, "the cap ends a turn that leads nowhere"
    assert turns.all_steps == 6


def test_5_a_checkpoint_holds_all_of_the_phase(run, start):
    """Networks, optimisers, average, whose turn it is, where: a phase begun from it ends with the same bits."""
    run.checkpoint_seconds = 0
    run.schedule = run.schedule.override({"gan.fraction": "2"})
    whole = train_gan(run, 1, *start).read_bytes()
    folder = run.gan_stage(1).folder
    critic = (folder / "critic.safetensors").read_bytes()
    shutil.rmtree(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Turns, "after_step", _stops_after(5, Turns.after_step))
        with pytest.raises(KeyboardInterrupt):
            train_gan(run, 1, *start)
    assert (folder / "checkpoint.pt").exists() and not (folder / "weights.safetensors").exists()
    assert train_gan(run, 1, *start).read_bytes() == whole
    assert (folder / "critic.safetensors").read_bytes() == critic


def _stops_after(count, step):
    calls = []

    def stops(self, loss):
        calls.append(loss)
        if len(calls) > count:
            raise KeyboardInterrupt
        step(self, loss)

    return stops


def test_6_only_what_ran_is_recorded(run, start):
    """A generator's step says nothing of the critic's loss, and the other way round."""
    train_gan(run, 1, *start)
    rows = read_log(run.folder, "cycle-1/gan")
    names = {bool(row["generator_trains"]): {k for k in row if k.startswith(("generator/", "critic/"))} for row in rows}
    assert names[False] == {"critic/loss", "critic/accuracy_real", "critic/accuracy_fake"}
    wanted = {"generator/loss", "generator/adversarial", "generator/feature_loss", "generator/pixel"}
    assert wanted <= names[True] and not any(name.startswith("critic/") for name in names[True])


@pytest.mark.slow
def test_7_bfloat16_without_cuda_and_the_same_twice(run, start):
    """The phase runs in bfloat16 on the CPU; two runs of it give the same bits."""
    run.precision = torch.bfloat16
    first = train_gan(run, 1, *start).read_bytes()
    shutil.rmtree(run.gan_stage(1).folder)
    assert train_gan(run, 1, *start).read_bytes() == first


def test_the_adversarial_gradient_has_the_ratio(run):
    """At the prediction, whatever the scales of the two losses; and the loss's value is the weighted sum."""
    run.schedule = run.schedule.override({"gan.adversarial_ratio": "0.5", "gan.feature_weight": "3"})
    learn = gan_learner(run, 1, None, None)
    loss, model = learn.loss_func, learn.model
    model.turns.critic_trains = False
    model.take_turns()
    *inputs, target = learn.dls.train.batch(0)
    predicted = model(*inputs)
    predicted.retain_grad()
    value = loss(predicted, target)
    value.backward()
    picture = predicted.detach().requires_grad_()
    feature = torch.autograd.grad(3 * loss.feature_loss(picture, target), picture)[0]
    adversarial = predicted.grad - feature
    assert adversarial.norm() == pytest.approx(0.5 * float(feature.norm()), rel=1e-3)
    parts = {k: float(v) for k, v in loss.parts.items()}
    assert float(value) == pytest.approx(parts["adversarial_weight"] * parts["adversarial"] + 3 * parts["feature_loss"])


def test_the_projected_critic_sees_pictures_from_other_places():
    """... mirrored and moved, all of a batch alike, with colours as they are."""
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 16, 16)
    views = [shifted(picture.repeat(2, 1, 1, 1)) for _ in range(40)]
    assert all(torch.equal(*view) for view in views)
    assert all(view.shape == (2, 3, 16, 16) for view in views)
    assert len({view.sum().item() for view in views}) > 10
    colors = {tuple(c) for c in picture[0].flatten(1).T.tolist()}
    assert all({tuple(c) for c in view[0].flatten(1).T.tolist()} <= colors for view in views)


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
    with pytest.raises(TrainingDiverged, match=r"after 5 generator steps; the best generator before that.* copy it"):
        train_gan(run_longer(run), 1, *start)
    folder = run.folder / "cycle-1" / "gan"
    assert (folder / "weights.safetensors").exists()
    assert [json.loads(line)["step"] for line in (folder / "scores.jsonl").read_text().splitlines()] == [0, 2, 4]


def test_a_nan_in_pretraining_stops_as_well(run, monkeypatch):
    """... before the optimiser sees it: the weights stay finite."""
    from deoldify_lite.training import precision, stages

    generators = []
    real = stages.trainable_generator
    monkeypatch.setattr(stages, "trainable_generator", lambda *a: generators.append(real(*a)) or generators[-1])
    monkeypatch.setattr(
        precision.LossInPrecision, "__call__", lambda self, predicted, target: predicted.sum() * float("nan")
    )
    with pytest.raises(TrainingDiverged, match=r"^the loss became nan .* lower learning rate"):
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
    stage = run.gan_stage(1)
    assert use_step(stage, other).read_bytes() != chosen
    with pytest.raises(ValueError, match="there are 0, 2"):
        use_step(stage, 999)


def test_of_an_attempt_that_no_checkpoint_goes_on_nothing_is_averaged(run, start):
    """Its saved generators would count as the last ones of a shorter phase."""
    stage = run.gan_stage(1)
    left = saved_at(stage, 50)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of an earlier attempt")
    train_gan(run, 1, *start)
    assert saved_steps(stage) == [row["step"] for row in read_rows(stage.folder / "scores.jsonl")] and not left.exists()


@pytest.fixture
def bars(monkeypatch) -> list[tqdm]:
    """The progress bars that were shown."""
    shown = []
    monkeypatch.setattr(
        callbacks, "tqdm", lambda **options: shown.append(tqdm(**options | {"disable": False})) or shown[-1]
    )
    return shown


def test_the_bar_shows_how_much_is_done(run, bars, monkeypatch):
    """Also where a run was killed after its last step, and none is left to do."""
    monkeypatch.setattr(run, "checkpoint_seconds", 0)
    with monkeypatch.context() as killed:
        killed.setattr(stages, "save_weights", _killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain_generator(run)
    pretrain_generator(run)
    steps = json.loads((run.generator_stage(0).folder / "done.json").read_text())["steps"]
    assert [(bar.n, bar.total) for bar in bars[:2]] == [(steps, steps)] * 2
    assert all(bar.n == bar.total for bar in bars) and len(bars) == 3


def _killed(*_, **__):
    raise KeyboardInterrupt


def test_the_bar_of_the_gan_phase_counts_the_generators_steps(run, start, bars):
    """... although the critic's are steps too."""
    train_gan(run, 1, *start)
    (bar,) = bars
    done = json.loads((run.gan_stage(1).folder / "done.json").read_text())
    assert bar.n == bar.total == done["generator_steps"] < done["all_steps"]


def test_a_generated_picture_is_as_large_as_the_critic_wants(finished_run):
    """... or else they are of another schedule."""
    larger = finished_run.schedule.override({"critic_stages.0.size": "96"})
    with pytest.raises(WrongCheckpoint, match="size was 64 and is now 96"):
        _ = Run(finished_run.folder, larger, device="cpu").generate_stage(1).is_done


def test_changed_recipes_are_noticed():
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "a.1.b was 2 and is now 3"
    assert first_difference({"gone": 1}, {}) == "gone was 1 and is now None"
    assert first_difference({}, {"new": 1}) is None, "came after it was stored"


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


def test_networks_under_spectral_norm_can_be_copied(learn):
    generator = learn.model.predictor.generator
    assert moved(snapshot(generator), copy.deepcopy(generator)) == []
