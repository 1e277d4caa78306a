"""The whole of NoGAN, stage by stage: what `deoldify-lite nogan` runs.

    generator   pretrain the generator on the feature loss, small crops first (and before it, where the schedule says
                so, its encoder)
    generate    colorize a fraction of the photos with it
    critic      pretrain the critic on real against generated
    gan         both against each other, briefly; choose the inflection point and postprocess the generator
    hints       train a branch that puts hints into the finished generator's predictions

Generate, critic and gan make a cycle, of which `schedule.cycles` are run. Most schedules have no `hints`, and the
preset `hints` has nothing else. Each stage leaves its result in the run folder and is skipped when that is there, so
the same command goes on after any interruption.
"""

import json
import logging
from pathlib import Path

import torch

from ..errors import UsageError
from ..files import write_atomically
from ..modeling.critic import SMALLEST
from ..modeling.weights import read_safetensors, save_weights
from ..models import hint_branch_file, usual_render_factor
from ..schedule import CriticStage, Gan, Schedule
from .errors import StageMissing
from .gan import critic_after, train_gan
from .hints import generator_for_hints, train_hints
from .inflection import use_step
from .init_from import keep_init_weights
from .losses import GAN_LOSSES, check_features
from .postprocess import Postprocessed, check, postprocess
from .run import Run
from .show import draw_curves
from .stage import Stage
from .stages import generate, generated_photos, pretrain_critic, pretrain_generator, pretrained_generator

log = logging.getLogger(__name__)
COUNTS = ("size", "batch", "save_every", "score_every", "score_photos")  # fields of stages that are at least 1


def run_nogan(run: Run, stage: str = "all") -> Path:
    """Run one stage, or all that are not done yet. Returns `generator.safetensors` in the run folder: the best so far.

    A single stage of a cycle means that of the first cycle whose GAN phase is not done. What all stages recorded so far
    is drawn into `curves.png` in the run folder.

    Raises:
        FolderInUse: another process trains in the run folder.
        StageMissing: the stage builds on one that was not run.
        UsageError: the schedule has no such stage.
    """
    stages = _check_all(run, stage)
    with run.lock():
        for each in stages:
            each.resume()  # a checkpoint of other settings is refused while their file still has them
        run.keep()
        keep_init_weights(run.folder, run.schedule.networks)
        try:
            _run_stages(run, stage)
        finally:  # most of all where a loss went wrong
            _draw_curves(run.folder / "curves.png")
    return result(run)


def _draw_curves(picture: Path) -> None:
    try:
        draw_curves(picture.parent, picture)
    except Exception as error:  # a picture must not decide what becomes of a training
        log.warning("%s could not be drawn: %s", picture, error)


def _run_stages(run: Run, stage: str) -> None:
    if stage in ("generator", "all") and run.schedule.generator_stages:
        pretrain_generator(run)
        if stage == "generator" or _last_gan(run) is None:
            _publish(run)
    if stage == "generator":
        return
    for cycle in _cycles(run, stage):
        before = _generator_before(run, cycle)
        trains_critic = bool(run.schedule.critics(cycle))
        if stage in ("generate", "all") and trains_critic:
            generate(run, cycle, before)
        if stage in ("critic", "all") and trains_critic:
            _require(run.generate_stage(cycle), "generate")
            pretrain_critic(run, cycle, generated_photos(run, cycle), _critic_before(run, cycle))
        if stage in ("gan", "all"):
            train_gan(run, cycle, before, _pretrained_critic(run, cycle))
            if cycle == _last_gan(run):  # of a run that is done, all others are older
                _publish(run)
    if stage in ("hints", "all") and run.schedule.hint_stages:
        _publish_hints(run, train_hints(run))


def _check_all(run: Run, stage: str) -> list[Stage]:
    """Refuse a stage or schedule that cannot be, or contradicts anything that is already done, before anything is
    touched. Returns all stages of the schedule."""
    schedule = run.schedule
    parts = {"generator": schedule.generator_stages, "hints": schedule.hint_stages, "all": True}
    if not parts.get(stage, schedule.cycles):
        raise UsageError(f"the schedule of {run.folder} (preset {schedule.preset}) has no stage {stage}")
    _check_schedule(schedule)
    stages = [run.encoder_stage(i) for i in range(len(run.schedule.encoder_stages))]
    stages += [run.generator_stage(i) for i in range(len(run.schedule.generator_stages))]
    for cycle in range(1, run.schedule.cycles + 1):
        critics = [run.critic_stage(cycle, spec.name) for spec in run.schedule.critics(cycle)]
        stages += [*critics, run.gan_stage(cycle)]
        if critics:
            stages.append(run.generate_stage(cycle))
    if schedule.hint_stages and (not schedule.generator_stages or result(run).is_file()):
        generator = generator_for_hints(run)
        stages += [run.hint_stage(i, generator) for i in range(len(schedule.hint_stages))]
    for each in stages:
        _ = each.is_done
    return stages


def _check_schedule(schedule: Schedule) -> None:
    if schedule.cycles and not (schedule.generator_stages and schedule.critic_stages):
        raise UsageError("a schedule with a GAN phase needs stages of generator and critic before it")
    if (critic := schedule.networks.critic) not in GAN_LOSSES:
        raise UsageError(f"networks.critic {critic!r} is unknown; choose {' or '.join(GAN_LOSSES)}")
    names = [stage.name for stage in schedule.critic_stages]
    if len(names) != len(set(names)):
        raise UsageError(f"critic stages have folders of their names: {', '.join(names)} are not all different")
    parts = {"generate": schedule.generate, "gan": schedule.gan}
    for kind in ("encoder_stages", "generator_stages", "critic_stages", "hint_stages"):
        parts |= {f"{kind}.{i}": stage for i, stage in enumerate(getattr(schedule, kind))}
    if schedule.cycles < 0:
        raise UsageError(f"cycles is at least 0, not {schedule.cycles}")
    check_features(schedule.loss)
    by_patches = (CriticStage, Gan) if schedule.cycles and critic == "patch" else ()
    for where, part in parts.items():
        for name in COUNTS:
            if (count := getattr(part, name, 1)) < 1:
                raise UsageError(f"{where}.{name} is at least 1, not {count}")
        if isinstance(part, by_patches) and part.size < SMALLEST:
            raise UsageError(f"{where}.size is at least {SMALLEST} for the patch critic, not {part.size}")
    check(schedule)


def result(run: Run) -> Path:
    "Where the newest generator lies, ready for `load_generator` and the colorizer."
    return run.folder / "generator.safetensors"


def choose_step(run: Run, step: int) -> Path:
    "Take the generator saved at `step` of the last GAN phase instead of the one that the rule chose."
    _check_schedule(run.schedule)
    last = _last_gan(run)
    if last is None:
        raise StageMissing(f"there was no GAN phase in {run.folder} yet: run --stage gan first")
    if run.schedule.postprocess.average_last:
        raise UsageError("the schedule takes the mean of many steps: --set postprocess.average_last=0 for one of them")
    with run.lock():
        use_step(run.gan_stage(last), step)
        run.keep()
        return _publish(run)


def _last_gan(run: Run) -> int | None:
    "The newest cycle whose GAN phase is done."
    return next((c for c in range(run.schedule.cycles, 0, -1) if run.gan_stage(c).is_done), None)


def _publish(run: Run) -> Path:
    """Make the newest generator the run's result, in half precision, which is all that a file needs.

    The newest, not the one that was asked for last: calling an early stage again must not undo a later one's work.
    """
    threshold = {}
    if done := postprocessed(run):
        config, state = done.config, done.state
        threshold = {k: v for k, v in done.report.items() if k == "threshold"}
        write_atomically(run.folder / "postprocess.json", json.dumps(done.report, indent=1) + "\n")
    else:
        config, state = read_safetensors(pretrained_generator(run))
    about = {"training_size": max(stage.size for stage in run.schedule.generator_stages)} | threshold
    if not run.schedule.restores:
        about["render_factor"] = usual_render_factor(config)
    save_weights(None, result(run), config=config, about=about, state=state, dtype=torch.float16)
    log.info("%s is the generator now", result(run))
    return result(run)


def _publish_hints(run: Run, weights: Path) -> Path:
    "Put the trained branch beside the run's result, which is the generator that it is for. Half precision is enough."
    generator = generator_for_hints(run)
    if generator != result(run):  # the run began with a finished one
        write_atomically(result(run), generator.read_bytes())
    path = hint_branch_file(result(run))
    config, state = read_safetensors(weights)
    save_weights(None, path, config=config, state=state, dtype=torch.float16)
    log.info("%s is the branch for hints now", path)
    return path


def postprocessed(run: Run) -> Postprocessed | None:
    "What the newest GAN phase gave, postprocessed as the schedule has it; None where none is done yet."
    if not (cycle := _last_gan(run)):
        return None
    return postprocess(run, _generator_before(run, cycle), run.gan_stage(cycle))


def _cycles(run: Run, stage: str) -> list[int]:
    "The cycles that a call with `stage` works on."
    cycles = list(range(1, run.schedule.cycles + 1))
    if stage in ("all", "hints"):
        return cycles if stage == "all" else []
    return [next((c for c in cycles if not run.gan_stage(c).is_done), cycles[-1])]


def _generator_before(run: Run, cycle: int) -> Path:
    "What a cycle starts from: the pretrained generator, or what the cycle before chose."
    return pretrained_generator(run) if cycle == 1 else _require(run.gan_stage(cycle - 1), "gan").weights


def _pretrained_critic(run: Run, cycle: int) -> Path:
    "What a cycle's GAN phase starts from: its last critic stage's weights, or those that the cycle before left."
    if specs := run.schedule.critics(cycle):
        return _require(run.critic_stage(cycle, specs[-1].name), "critic").weights
    return _critic_before(run, cycle)


def _critic_before(run: Run, cycle: int) -> Path | None:
    if cycle == 1:
        return None
    _require(run.gan_stage(cycle - 1), "gan")
    return critic_after(run, cycle - 1)


def _require(stage: Stage, name: str) -> Stage:
    if not stage.is_done:
        raise StageMissing(f"{stage.folder} is not finished yet: run --stage {name} first")
    return stage
