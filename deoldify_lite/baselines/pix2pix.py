"""pix2pix (Isola et al. 2017, arXiv:1611.07004) as a fastai Learner.

The Learner's model is the generator and the critic. Its loss is the generator's; `TrainCritic` gives the critic a step
with an optimizer group of its own before that, on the same prediction. A config without a GAN loss has no critic.
"""

from functools import partial
from typing import TYPE_CHECKING

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from ..device import autocast
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors
from ..training import distributed
from ..training.batches import NoValidation, TrainingBatches
from ..training.data import jitter
from ..training.degradation import grayscale_input
from ..training.gan import TwoTimeScale
from ..training.learner import StageLearner, make_learner
from ..training.show import show_rows
from .configs import GAN_LOSSES, PIXEL_LOSSES, BaselineConfig
from .networks import SPACES, UNETS, PatchGAN, Pix2Pix, init_normal_

if TYPE_CHECKING:
    from .run import BaselineRun


class Pix2PixModel(nn.Module):
    "Generator and critic: condition -> prediction, both in [-1, 1]. The critic has gradients only in its own step."

    turn, generator_trains = "pix2pix", True  # for the records: both networks train in every step

    def __init__(self, generator: Pix2Pix, critic: PatchGAN | None, precision: torch.dtype = torch.float32):
        super().__init__()
        self.generator, self.precision = generator, precision
        self.critic = critic
        if critic is not None:
            critic.requires_grad_(False)

    def forward(self, condition: Tensor) -> Tensor:
        with autocast(condition.device, self.precision):
            return self.generator.predict(condition)

    def logits(self, condition: Tensor, picture: Tensor) -> Tensor:
        "The critic's, for a prediction or a target."
        with autocast(condition.device, self.precision):
            return self.critic(torch.cat([condition, picture], 1))

    def colorize(self, gray: Tensor) -> Tensor:
        "Normalised RGB for normalised grayscale photos, both (N, 3, H, W)."
        with autocast(gray.device, self.precision):
            return self.generator(gray)

    @property
    def groups(self) -> list[list[nn.Parameter]]:
        "The parameters of each network."
        return [list(network.parameters()) for network in (self.generator, self.critic) if network is not None]


class Pix2PixLoss:
    "The losses of both networks. `parts` are all of the last step, named as in document 003."

    def __init__(self, model: Pix2PixModel, config: BaselineConfig):
        self.model, self.gan_loss = model, GAN_LOSSES.get(config.gan)
        self.pixel_loss, self.pixel_weight = PIXEL_LOSSES[config.pixel], config.pixel_weight
        self.pixel_name = f"loss_G_{config.pixel.upper()}"
        self.parts: dict[str, Tensor] = {}

    def of_critic(self, prediction: Tensor, condition: Tensor, target: Tensor) -> Tensor:
        "The critic tells the target from the prediction; both count a half."
        fake = self._gan(condition, prediction.detach(), real=False)
        real = self._gan(condition, target, real=True)
        loss = (fake + real) / 2
        self._keep(loss_D_fake=fake, loss_D_real=real, loss_D=loss)
        return loss

    def __call__(self, prediction: Tensor, condition: Tensor, target: Tensor) -> Tensor:
        "The generator passes as real and is close to the target."
        loss = pixel = self.pixel_weight * self.pixel_loss(prediction, target)
        if self.gan_loss:
            fooling = self._gan(condition, prediction, real=True)
            loss = fooling + pixel
            self._keep(loss_G_GAN=fooling)
        self._keep(**{self.pixel_name: pixel}, loss_G=loss)
        return loss

    def _gan(self, condition: Tensor, picture: Tensor, *, real: bool) -> Tensor:
        "The loss of the critic's logits if `picture` should pass as real, or as fake."
        logits = self.model.logits(condition, picture)
        return self.gan_loss(logits, torch.full_like(logits, float(real)))

    def _keep(self, **losses: Tensor) -> None:
        self.parts |= {name: loss.detach() for name, loss in losses.items()}


class TrainCritic(Callback):
    "The critic's step, before the generator's, as in 003."

    run_valid = False

    def after_pred(self):
        model, optimizer = self.learn.model, self.learn.opt
        model.critic.requires_grad_(True)
        loss = self.learn.loss_func.of_critic(self.learn.pred, *self.learn.yb)
        self.stop_on_nan.check(loss, "the critic's loss")
        loss.backward()
        distributed.average_(p.grad for p in model.critic.parameters())
        optimizer.step()  # the generator has no gradients yet
        optimizer.zero_grad()
        model.critic.requires_grad_(False)


class Pix2PixBatches(TrainingBatches):
    "Condition; condition again, for the critic, and target; all in [-1, 1]."

    def __init__(self, run: "BaselineRun", generator: Pix2Pix):
        config, self.generator = run.config, generator
        self.photos = run.pack(config.size)
        members = run.split(self.photos).train
        self.sampler = run.stage.sampler(self.photos, members)
        super().__init__(run.stage, config, config.own_samples_seen or config.epochs * len(members))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        config, draw = self.spec, self.stage.seed("batch", step)
        index = self.sampler.batch(step, self.batch_size)
        target = self.photos.crops(index, config.size, config.augment, draw).to(self.stage.run.device)
        target = jitter(target, config.augment, draw)
        condition = self.generator.condition(grayscale_input(target))
        return condition, condition, self.generator.target(target)

    def show_batch(self, b: tuple[Tensor, ...] | None = None, max_n: int = 8, **_) -> None:
        condition, _condition, target = (x[:max_n] for x in b or self.one_batch())
        show_rows({"input": self._gray(condition), "target": self.generator.to_rgb(condition, target)})

    def show_results(self, b: tuple[Tensor, ...], out: Tensor, max_n: int = 8, **_) -> None:
        condition, _condition, target = (x[:max_n] for x in b)
        pictures = {"prediction": out[:max_n], "target": target}
        rows = {name: self.generator.to_rgb(condition, picture) for name, picture in pictures.items()}
        show_rows({"input": self._gray(condition)} | rows)

    def _gray(self, condition: Tensor) -> Tensor:
        return ((condition + 1) / 2).expand(-1, 3, -1, -1)


def pix2pix_learner(run: "BaselineRun", initial: "BaselineRun | None" = None) -> StageLearner:
    "The Learner of a config, from the networks of the finished run `initial`, or new ones: what `train` fits."
    config = run.config
    run.stage.seed_globally(-1)
    model = Pix2PixModel(*_networks(run, initial), run.precision)
    learn = make_learner(
        run.stage,
        Pix2PixBatches(run, model.generator),
        NoValidation(),
        model,
        Pix2PixLoss(model, config),
        *([TrainCritic()] if model.critic is not None else []),
        weight_decay=0.0,
        lr=config.lr,
        opt_func=partial(TwoTimeScale, mom=config.betas[0], sqr_mom=config.betas[1]),
        splitter=lambda m: m.groups,
    )
    learn.generator = model.generator
    return learn


def _networks(run: "BaselineRun", initial: "BaselineRun | None") -> tuple[Pix2Pix, PatchGAN | None]:
    "Generator and critic, new or from a finished run."
    config = run.config
    options = ("network", "space", "size", "down", "width", "norm", "activation", "dropout")
    generator = Pix2Pix(**{name: getattr(config, name) for name in options})
    if initial is not None:
        load_strictly(generator, read_safetensors(initial.stage.weights)[1], initial.stage.weights)
    elif config.network in UNETS:
        init_normal_(generator, config.init)
    elif config.pretrained:
        load_pretrained_encoder(generator.body.encoder, config.network, run.encoder_weights)
    critic = None
    if config.gan != "none":
        critic = init_normal_(PatchGAN(sum(SPACES[config.space]), config.patch, config.width, config.norm), config.init)
        if initial is not None and initial.critic_weights.exists():
            load_strictly(critic, read_safetensors(initial.critic_weights)[1], initial.critic_weights)
        critic.to(run.device)
    return generator.to(run.device), critic
