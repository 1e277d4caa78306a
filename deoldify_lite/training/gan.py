"""The GAN phase of NoGAN: short, at a low rate, generator and critic in turns.

The critic learns five times as fast as the generator (two time scales, Heusel et al. 2017, arXiv:1706.08500) and keeps
its turn until its loss is under a threshold, so that the generator always learns from a critic that knows it.

Each batch is a step of one network. The Learner's model gives a prediction, its loss asks the critic about it, and
`TakeTurns` says which of the two networks has gradients.
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.optimizer import Optimizer, adam_step, average_grad, average_sqr_grad, step_stat, weight_decay
from torch import Tensor, nn

from ..modeling.weights import save_weights
from ..schedule import Gan
from . import distributed
from .batches import GanBatches, NoValidation, channels_last
from .callbacks import AverageWeights, FrozenStatistics, Records
from .errors import TrainingDiverged
from .inflection import SaveAndScore, choose_inflection
from .learner import StageLearner, fit_stage, make_learner
from .losses import GAN_LOSSES, feature_loss
from .networks import Predictor, load_critic, make_predictor, trainable_generator
from .precision import InPrecision, LossInPrecision
from .run import Run
from .turns import Turns


class GanModel(nn.Module):
    """Generator and critic: (grayscale input, luma of the target) -> prediction, normalised RGB (N, 3, H, W).

    The network whose turn it is trains, the other stands still: no gradients, no BatchNorm statistics, no power
    iteration. The encoder stands still in both turns, since what it learned from ImageNet must not drift.
    """

    def __init__(self, predictor: Predictor, critic: nn.Module, turns: Turns):
        super().__init__()
        self.predictor, self.critic, self.turns = predictor, critic, turns
        predictor.generator.encoder.requires_grad_(False)
        self.trained = {
            "generator": [p for p in predictor.parameters() if p.requires_grad],
            "critic": [p for p in critic.parameters() if p.requires_grad],
        }

    @property
    def turn(self) -> str:
        return "critic" if self.turns.critic_trains else "generator"

    @property
    def generator_trains(self) -> bool:
        return not self.turns.critic_trains

    def take_turns(self) -> None:
        "Put both networks into the modes of this turn."
        self.predictor.train(self.generator_trains)
        self.predictor.generator.encoder.eval()
        self.critic.train(not self.generator_trains)
        for network, parameters in self.trained.items():
            for parameter in parameters:
                parameter.requires_grad_(network == self.turn)

    def forward(self, gray: Tensor, luma: Tensor) -> Tensor:
        return channels_last(self.predictor(gray, luma))


class GanLoss:
    """The loss of the network whose turn it is, of predictions and targets, normalised RGB (N, 3, S, S), in which
    a restorer's have more channels that only the feature loss sees.

    The generator's is the feature loss and, weighted, the adversarial one. With `spec.adversarial_ratio` the weight is
    what brings the adversarial gradient to that ratio of the feature loss's, where both begin: at the prediction
    (VQGAN, Esser et al. 2021, arXiv:2012.09841, does so at the last layer). `parts` are the terms of the last step.
    """

    def __init__(self, model: GanModel, feature_loss: LossInPrecision, kind: str, spec: Gan, precision: torch.dtype):
        self.model, self.feature_loss, self.spec = model, feature_loss, spec
        self.critic_loss, self.adversarial_loss = GAN_LOSSES[kind]
        self.shifts = kind == "projected"  # DeOldify's critic sees pictures as they are
        self.critic = InPrecision(model.critic, precision)
        self.parts: dict[str, Tensor] = {}

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        return (self._of_generator if self.model.generator_trains else self._of_critic)(predicted, target)

    def _of_critic(self, predicted: Tensor, target: Tensor) -> Tensor:
        real, fake = self._logits(torch.cat([target[:, :3], predicted[:, :3].detach()])).chunk(2)
        self.parts = {"accuracy_real": (real > 0).float().mean(), "accuracy_fake": (fake < 0).float().mean()}
        return self.critic_loss(real, fake)

    def _of_generator(self, predicted: Tensor, target: Tensor) -> Tensor:
        picture = predicted.detach().requires_grad_()
        adversarial = self.adversarial_loss(self._logits(picture[:, :3]))
        feature = self.feature_loss(picture, target)
        gradients = [torch.autograd.grad(part, picture)[0] for part in (adversarial, feature)]
        weight = self._adversarial_weight(*gradients)
        total = weight * adversarial.detach() + self.spec.feature_weight * feature.detach()
        self.parts = {
            "adversarial": adversarial.detach(),
            "adversarial_weight": torch.as_tensor(weight),
            "feature_loss": feature.detach(),
            **self.feature_loss.parts,
        }
        gradient = weight * gradients[0] + self.spec.feature_weight * gradients[1]
        # The value of the loss, and the gradient that was just worked out, which is not worked out again.
        surrogate = (predicted * gradient).sum()
        return total + surrogate - surrogate.detach()

    def _adversarial_weight(self, of_adversarial: Tensor, of_feature: Tensor) -> Tensor | float:
        "The weight of the adversarial loss, from the gradients of both losses at the prediction."
        if not self.spec.adversarial_ratio:
            return self.spec.adversarial_weight
        squares = torch.stack([g[:, :3].float().square().sum() for g in (of_feature, of_adversarial)])
        distributed.average_([squares])
        feature, adversarial = squares.sqrt()
        return self.spec.adversarial_ratio * self.spec.feature_weight * feature / (adversarial + 1e-12)

    def _logits(self, pictures: Tensor) -> Tensor:
        return self.critic(channels_last(shifted(pictures) if self.shifts else pictures))


def shifted(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, S, S) mirrored or not and moved by up to an eighth, the border repeated; one draw for all.

    So the critic learns no place by heart; colours stay as they are (after Zhao et al. 2020, arXiv:2006.10738). Draws
    from torch's own generator.
    """
    size = pictures.shape[-1]
    most = size // 8
    mirrored, top, left = (int(torch.randint(count, ())) for count in (2, 2 * most + 1, 2 * most + 1))
    padded = F.pad(pictures.flip(-1) if mirrored else pictures, (most,) * 4, mode="replicate")
    return padded[..., top : top + size, left : left + size]


class TwoTimeScale(Optimizer):
    """Adam for two networks, a parameter group each: the critic's rate is `factor` times the generator's.

    Gradients are None after each step, not zero: so the network whose turn it is not has no momentum and no weight
    decay either.
    """

    def __init__(
        self, params: Any, lr: float, factor: float = 1.0, mom: float = 0.0, sqr_mom: float = 0.9, wd: float = 0.01
    ):
        steps = [weight_decay, partial(average_grad, dampening=True), average_sqr_grad, step_stat, adam_step]
        self.factor = factor
        super().__init__(params, steps, lr=lr, mom=mom, sqr_mom=sqr_mom, eps=1e-8, wd=wd)

    def set_hyper(self, k: str, v: Any) -> None:
        super().set_hyper(k, v)
        if k == "lr":
            for critic in self.hypers[1:]:
                critic["lr"] = self.factor * self.hypers[0]["lr"]

    def zero_grad(self) -> None:
        for parameter, *_ in self.all_params(with_grad=True):
            parameter.grad = None


class TakeTurns(Callback):
    "The two-time-scale switch: sets the modes of each turn, and decides by the loss of all processes whose is next."

    order = 52
    run_valid = False

    def before_fit(self):
        model = self.learn.model
        if not hasattr(self.learn, "checkpoint") and model.turns.generator_steps >= self.dls.train.steps:
            model.turns.restart()  # another fit by hand, after one that ended

    def before_batch(self):
        self.learn.model.take_turns()

    def after_batch(self):
        loss = self.learn.loss.detach()
        self.learn.model.turns.after_step(distributed.mean(float(loss), loss.device))

    @property
    def state(self) -> dict[str, Any]:
        return asdict(self.learn.model.turns)

    def load_state(self, state: dict[str, Any]) -> None:
        vars(self.learn.model.turns).update(state)


def gan_learner(run: Run, cycle: int, generator_weights: Path | None, critic_weights: Path | None) -> StageLearner:
    "The Learner of a cycle's GAN phase, from a pretrained generator and critic: what `train_gan` fits."
    stage, schedule, spec = run.gan_stage(cycle), run.schedule, run.schedule.gan
    stage.seed_globally(-1)
    turns = Turns(spec.critic_threshold, spec.max_critic_steps)
    generator, critic = trainable_generator(run, generator_weights), load_critic(run, critic_weights)
    model = GanModel(make_predictor(generator, run.precision), critic, turns)
    feature = feature_loss(run, spec.size, window=spec.window, chroma_weight=spec.chroma_weight)
    learn = make_learner(
        stage,
        GanBatches(stage, spec, schedule, turns),
        NoValidation(),
        model,
        GanLoss(model, feature, schedule.networks.critic, spec, run.precision),
        TakeTurns(),
        *([FrozenStatistics()] if schedule.networks.frozen_statistics else []),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm,
        lr=spec.lr,
        opt_func=partial(TwoTimeScale, factor=spec.critic_lr_factor),
        splitter=lambda m: list(m.trained.values()),
        wd_bn_bias=True,
    )
    learn.generator = generator
    return learn


def train_gan(run: Run, cycle: int, generator_weights: Path, critic_weights: Path) -> Path:
    """The GAN phase of a cycle and the choice of its inflection point. Returns the chosen generator's weights.

    Raises:
        TrainingDiverged: the loss became NaN. What was saved until then is kept, and the best of it chosen.
    """
    stage, spec = run.gan_stage(cycle), run.schedule.gan
    if stage.is_done:
        return stage.weights
    learn = gan_learner(run, cycle, generator_weights, critic_weights)
    stage, model = learn.stage, learn.model
    averaged = AverageWeights(learn.generator, spec.ema)
    scores = SaveAndScore(run, averaged.ema)
    records = Records(stage, None, ("decoder", "critic"), every=1)
    try:
        fit_stage(learn, [averaged, records, scores])
    except TrainingDiverged as error:
        kept = choose_inflection(stage)
        raise TrainingDiverged(
            f"{error}. It was after {model.turns.generator_steps} generator steps; the best generator before that, of "
            f"step {kept}, is {stage.weights}: copy it before you delete anything"
        ) from error
    chosen = choose_inflection(stage)
    save_weights(None, critic_after(run, cycle), config=model.critic.config, state=model.critic.state_dict())
    stage.finish(
        generator_steps=model.turns.generator_steps,
        all_steps=model.turns.all_steps,
        batch=learn.dls.train.batch_size,
        chosen_step=chosen,
        **stage.throughput(model.turns.all_steps * learn.dls.train.batch_size),
    )
    return stage.weights


def critic_after(run: Run, cycle: int) -> Path:
    "Where a GAN phase leaves its critic, for the next cycle to go on with."
    return run.gan_stage(cycle).folder / "critic.safetensors"
