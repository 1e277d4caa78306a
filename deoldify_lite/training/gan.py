"""The GAN phase of NoGAN: short, at a low rate, generator and critic in turns.

The critic learns five times as fast as the generator (two time scales, Heusel et al. 2017, arXiv:1706.08500) and keeps
its turn until its loss is under a threshold, so that the generator is always judged by a critic that knows it.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import color
from ..device import memory_in_use
from ..errors import UsageError
from ..files import write_atomically
from ..modeling.layers import freeze_statistics
from ..modeling.weights import read_safetensors, save_weights
from .data import jitter
from .ema import Ema
from .errors import TrainingDiverged
from .grey import make_grey
from .inflection import RULE, Scorer, choose, draw_curve, read_rows
from .learner import InPrecision, feature_loss
from .losses import GAN_LOSSES
from .run import Run, Stage, picture_grid
from .stages import Painter, channels_last, cycle_recipe, load_critic, trainable_generator, untrained_generator

log = logging.getLogger(__name__)


@dataclass
class Switcher:
    """Whose turn it is. One generator step, then the critic until its loss is under `threshold`.

    After `most` steps the critic's turn ends all the same: a critic that cannot get there would train for ever.
    """

    threshold: float
    most: int
    critic_steps: int = 0  # in this turn
    critics_turn: bool = True

    def after_critic(self, loss: float) -> None:
        self.critic_steps += 1
        if loss < self.threshold or self.critic_steps >= self.most:
            self.critics_turn, self.critic_steps = False, 0

    def after_generator(self) -> None:
        self.critics_turn = True


@contextmanager
def only_training(network: nn.Module, *others: nn.Module) -> Iterator[None]:
    """`network` in training mode, the others still: no gradients, no BatchNorm statistics, no power iteration.

    Each network has an optimiser of its own, so nothing about the others can move, momentum and weight decay included.
    """
    before = [[p.requires_grad for p in other.parameters()] for other in others]
    network.train()
    for other in others:  # after it, for one of them may be a part of it
        other.eval().requires_grad_(False)
    try:
        yield
    finally:
        for other, flags in zip(others, before):
            for parameter, flag in zip(other.parameters(), flags):
                parameter.requires_grad_(flag)


def shifted_views(pictures: Tensor) -> Tensor:
    """Each picture (N, 3, S, S) mirrored or not and moved by up to an eighth, its border repeated.

    What the critic sees, so that it knows no place by heart; colours stay as they are (after Zhao et al. 2020,
    arXiv:2006.10738). Draws from torch's own generator.
    """
    size = pictures.shape[-1]
    most = size // 8
    heads = torch.rand(len(pictures), 1, 1, 1, device=pictures.device) < 0.5
    mirrored = torch.where(heads, pictures.flip(-1), pictures)
    top, left = torch.randint(2 * most + 1, (2,)).tolist()
    return F.pad(mirrored, (most,) * 4, mode="replicate")[..., top : top + size, left : left + size]


class GanPhase:
    "Both networks, both optimisers, and one step of each."

    def __init__(self, stage: Stage, generator: nn.Module, critic: nn.Module):
        run, schedule = stage.run, stage.run.schedule
        self.stage, self.spec, self.schedule = stage, schedule.gan, schedule
        self.generator, self.critic = generator, critic
        self.painter = Painter(generator, run.precision)
        self.judge = InPrecision(critic, run.precision)
        self.feature_loss = feature_loss(run, self.spec.size, window=self.spec.window, vivid=self.spec.vivid)
        self.encoder = generator.encoder.requires_grad_(False)  # what it knows of ImageNet must not drift
        rate, betas, decay = self.spec.lr, (0.0, 0.9), schedule.weight_decay
        decoder = [p for p in generator.parameters() if p.requires_grad]
        self.generator_opt = torch.optim.AdamW(decoder, rate, betas, weight_decay=decay)
        heads = [p for p in critic.parameters() if p.requires_grad]
        self.critic_opt = torch.optim.AdamW(heads, rate * self.spec.critic_lr_factor, betas, weight_decay=decay)
        self.critic_loss, self.adversarial_loss = GAN_LOSSES[schedule.networks.critic]
        self.ema = Ema(generator, self.spec.ema)
        self.switcher = Switcher(self.spec.critic_threshold, self.spec.max_critic_steps)
        self.generator_steps = self.all_steps = 0
        self.photos = run.pack(self.spec.size)
        self.members = run.split(self.photos).train
        self.sampler = stage.sampler(self.photos, self.members)

    @property
    def rates(self) -> dict[str, float]:
        "Both learning rates, by the names that they have in the stages before."
        optimizers = {"decoder": self.generator_opt, "critic": self.critic_opt}
        return {f"rate/{name}": optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}

    @property
    def state(self) -> dict:
        "All that a step depends on besides the seed."
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "generator_opt": self.generator_opt.state_dict(),
            "critic_opt": self.critic_opt.state_dict(),
            "ema": self.ema.state,
            "critic_steps": self.switcher.critic_steps,
            "critics_turn": self.switcher.critics_turn,
            "generator_steps": self.generator_steps,
            "all_steps": self.all_steps,
        }

    def load_state(self, state: dict) -> None:
        for name in ("generator", "critic", "generator_opt", "critic_opt"):
            getattr(self, name).load_state_dict(state[name])
        for key, value in state["ema"].items():
            self.ema.state[key].copy_(value)
        self.switcher.critic_steps, self.switcher.critics_turn = state["critic_steps"], state["critics_turn"]
        self.generator_steps, self.all_steps = state["generator_steps"], state["all_steps"]

    def step(self) -> dict[str, float]:
        "One step of whichever network's turn it is. Returns its figures."
        self.stage.seed_globally(self.all_steps)
        draw = self.stage.seed("batch", self.all_steps)
        index = self.sampler.batch(self.all_steps, self.spec.batch)
        truth = self.photos.crops(index, self.spec.size, self.schedule.augment, draw).to(self.stage.run.device)
        truth = jitter(truth, self.schedule.augment, draw)
        grey = channels_last(make_grey(truth, self.schedule.grey, draw))
        figures = (self.critic_step if self.switcher.critics_turn else self.generator_step)(grey, truth)
        self.all_steps += 1
        return figures

    def critic_step(self, grey: Tensor, truth: Tensor) -> dict[str, float]:
        "The critic learns to tell `truth` (N, 3, S, S), in [0, 1], from what the generator makes of `grey`."
        with only_training(self.critic, self.generator):
            with torch.no_grad():
                painted = self.painter.paint(grey, truth)
            real, fake = self.judge(self._views(torch.cat([color.normalize(truth), painted]))).chunk(2)
            loss = self.critic_loss(real, fake)
            self._learn(loss, self.critic_opt, loss.backward)
        self.switcher.after_critic(float(loss.detach()))
        return {
            "critic/loss": loss.detach(),
            "critic/accuracy_real": (real > 0).float().mean(),
            "critic/accuracy_fake": (fake < 0).float().mean(),
        }

    def generator_step(self, grey: Tensor, truth: Tensor) -> dict[str, float]:
        "The generator learns to please the critic and the feature loss; its encoder stays as it is."
        with only_training(self.generator, self.critic, self.encoder):
            if self.schedule.networks.frozen_statistics:
                freeze_statistics(self.generator)
            painted = channels_last(self.painter.paint(grey, truth))
            # Both losses end at the picture, where their gradients can be weighed against each other.
            picture = painted.detach().requires_grad_()
            fooling = self.adversarial_loss(self.judge(self._views(picture)))
            feature = self.feature_loss(picture, color.normalize(truth))
            of_fooling, of_feature = (torch.autograd.grad(part, picture)[0] for part in (fooling, feature))
            weight = self._adversarial_weight(of_fooling, of_feature)
            loss = weight * fooling + self.spec.feature * feature
            gradient = weight * of_fooling + self.spec.feature * of_feature
            self._learn(loss, self.generator_opt, lambda: painted.backward(gradient))
        self.ema.update(self.generator)
        self.generator_steps += 1
        self.switcher.after_generator()
        parts = {f"generator/{name}": value for name, value in self.feature_loss.parts.items()}
        whole = {"generator/loss": loss, "generator/adversarial": fooling, "generator/feature_loss": feature}
        whole["generator/adversarial_weight"] = torch.as_tensor(weight)
        return {name: value.detach() for name, value in whole.items()} | parts

    def _adversarial_weight(self, of_fooling: Tensor, of_feature: Tensor) -> Tensor | float:
        """The weight of the adversarial loss: that of the schedule, or what brings its gradient to the ratio there.

        Takes the gradients of both losses at the picture (VQGAN, Esser et al. 2021, arXiv:2012.09841, weighs them so at
        the last layer).
        """
        if not self.spec.adversarial_ratio:
            return self.spec.adversarial
        return self.spec.adversarial_ratio * self.spec.feature * of_feature.norm() / (of_fooling.norm() + 1e-12)

    def _views(self, pictures: Tensor) -> Tensor:
        "What the critic sees of pictures (N, 3, S, S)."
        views = shifted_views(pictures) if self.schedule.networks.critic == "projected" else pictures
        return channels_last(views)

    def _learn(self, loss: Tensor, optimizer: torch.optim.Optimizer, backward: Callable[[], None]) -> None:
        if not math.isfinite(float(loss.detach())):
            raise TrainingDiverged(
                f"the loss became {float(loss.detach())} after {self.generator_steps} generator steps"
            )
        optimizer.zero_grad(set_to_none=True)
        backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.schedule.clip, error_if_nonfinite=False)
        optimizer.step()


def train_gan(run: Run, cycle: int, generator_weights: Path, critic_weights: Path) -> Path:
    """The GAN phase of a cycle and the choice of its inflection point. Returns the chosen generator's weights.

    Raises:
        TrainingDiverged: the loss became NaN. What was saved until then is kept, and the best of it chosen.
    """
    stage = run.stage(f"cycle-{cycle}/gan", cycle_recipe(run, cycle, "gan"))
    if stage.is_done:
        return stage.weights
    spec = run.schedule.gan
    stage.seed_globally(-1)
    phase = GanPhase(stage, trainable_generator(run, generator_weights), load_critic(run, critic_weights))
    if checkpoint := stage.resume():
        phase.load_state(checkpoint["phase"])

    steps = max(1, round(len(phase.members) * spec.share / spec.batch))
    stage.first_step = phase.all_steps
    contenders = Contenders(stage, phase)
    if phase.generator_steps == 0:
        contenders.save_and_score()
    saved = time.monotonic()
    stage.begin()
    bar = tqdm(total=steps, initial=phase.generator_steps, desc=stage.name, unit="step", disable=None)
    try:
        while phase.generator_steps < steps:
            is_generator, step_began = not phase.switcher.critics_turn, time.monotonic()
            figures = phase.step() | {"generator_trains": float(is_generator)} | phase.rates
            figures["samples_per_second"] = spec.batch / (time.monotonic() - step_began)
            stage.record(phase.all_steps, figures | memory_in_use(run.device))
            bar.update(is_generator)
            if is_generator and (phase.generator_steps % spec.save_every == 0 or phase.generator_steps == steps):
                contenders.save_and_score()
            if phase.all_steps % 200 == 0:
                contenders.show()
            if time.monotonic() - saved >= run.checkpoint_seconds:
                stage.save(phase=phase.state)
                saved = time.monotonic()
    except TrainingDiverged as error:
        kept = choose_inflection(stage)
        raise TrainingDiverged(
            f"{error}; the best generator before that, of step {kept}, is {stage.weights}"
        ) from error
    finally:
        bar.close()
    chosen = choose_inflection(stage)
    save_weights(None, critic_after(stage), config=phase.critic.config, state=phase.critic.state_dict())
    stage.finish(
        generator_steps=steps,
        all_steps=phase.all_steps,
        batch=spec.batch,
        chosen_step=chosen,
        **stage.pace(phase.all_steps * spec.batch),
    )
    return stage.weights


def critic_after(stage: Stage) -> Path:
    "Where a GAN phase leaves its critic, for the next cycle to go on with."
    return stage.folder / "critic.safetensors"


class Contenders:
    "The generators saved along the GAN phase, their scores, and the choice among them."

    def __init__(self, stage: Stage, phase: GanPhase):
        run, spec = stage.run, stage.run.schedule.gan
        self.stage, self.phase = stage, phase
        grey, truth = run.fixed_batch(spec.size, spec.score_photos)
        self.scorer = Scorer(channels_last(grey), truth, untrained=run.schedule.loss.network == "untrained")
        self.network = (
            untrained_generator(run.schedule.networks).to(run.device, memory_format=torch.channels_last).eval()
        )
        self.scores = stage.folder / "scores.jsonl"

    def _painter(self) -> Painter:
        "The averaged generator of this moment."
        self.network.load_state_dict(self.phase.ema.state)
        return Painter(self.network, self.stage.run.precision)

    def path(self, step: int) -> Path:
        return self.stage.folder / f"step-{step:06}.safetensors"

    def save_and_score(self) -> None:
        step = self.phase.generator_steps
        save_weights(None, self.path(step), config=self.network.config, state=self.phase.ema.state)
        scores = self.scorer(self._painter().paint)
        # A step that was scored before the run was killed is scored again, to the same figures.
        rows = [r for r in read_rows(self.scores) if r["step"] < step] + [{"step": step, **scores}]
        write_atomically(self.scores, "".join(json.dumps(r) + "\n" for r in rows))
        for name, value in scores.items():
            self.stage.board.add_scalar(f"inflection/{name}", value, step)
        self.show()
        log.info("%s: generator step %d: %s", self.stage.name, step, {k: round(v, 4) for k, v in scores.items()})

    def show(self) -> None:
        grey, truth = self.scorer.grey[:8], self.scorer.truth[:8]
        with torch.no_grad():
            painted = self._painter().paint(grey, truth)
        self.stage.board.add_image("grey_ours_truth", picture_grid(grey, painted, truth).numpy(), self.phase.all_steps)


def choose_inflection(stage: Stage) -> int:
    """The step of the best saved generator by the rule, which becomes the stage's weights. Draws the curve."""
    rows = read_rows(stage.folder / "scores.jsonl")
    best = rows[choose(rows)]["step"]
    figure = draw_curve(rows, best, stage.folder / "inflection.png")
    stage.board.add_figure("inflection", figure, rows[-1]["step"])
    content = {"rule": RULE, "chosen": best, "rows": rows}
    write_atomically(stage.folder / "inflection.json", json.dumps(content, indent=1))
    use_step(stage, best)
    return best


def use_step(stage: Stage, step: int) -> Path:
    """Make the generator that was saved at `step` the result of a GAN phase, say because your eye likes it better.

    Raises:
        ValueError: nothing was saved at that step; the message lists the steps.
    """
    path = stage.folder / f"step-{step:06}.safetensors"
    if not path.exists():
        steps = ", ".join(str(int(p.stem[5:])) for p in sorted(stage.folder.glob("step-*.safetensors")))
        raise UsageError(f"no generator was saved at step {step} of {stage.name}; there are {steps or 'none'}")
    config, state = read_safetensors(path)
    save_weights(None, stage.weights, config=config, state=state)
    return stage.weights
