"""The NoGAN schedules by name. Rates, epochs and fractions of `artistic`, `stable` and `video` are DeOldify's."""

from dataclasses import replace

from .errors import UsageError
from .schedule import (
    Augment,
    CriticStage,
    Degradation,
    EncoderStage,
    Gan,
    Generate,
    GeneratorStage,
    HintStage,
    Loss,
    Networks,
    Postprocess,
    Schedule,
)


def _deoldify(name: str, *, generator: str, batches: tuple[int, int, int], gan: Gan, cycles: int) -> Schedule:
    "DeOldify's schedule; its three models differ in network, batch and GAN phase."
    return Schedule(
        preset=name,
        cycles=cycles,
        gan=gan,
        networks=Networks(generator=generator, encoder=""),
        generator_stages=(
            GeneratorStage("64-frozen", 64, batches[0], 1e-3, 1e-4, pct_start=0.8, frozen=True),
            GeneratorStage("64", 64, batches[0], 3e-4, 3e-7, pct_start=0.01),
            GeneratorStage("128", 128, batches[1], 1e-4, 1e-7, pct_start=0.01),
            GeneratorStage("192", 192, batches[2], 5e-5, 5e-8, pct_start=0.01, fraction=0.5),
        ),
        critic_stages=(
            CriticStage("128", 128, 64, 1e-3, epochs=6, first_cycle_only=True),
            CriticStage("192", 192, 16, 1e-4, epochs=4),
        ),
    )


def _presets() -> dict[str, Schedule]:
    lite = Schedule(
        preset="lite",
        # ImageNet weights of EfficientNet-Lite2 are 12 MB and it costs a quarter of ResNet34.
        networks=Networks(encoder="tf_efficientnet_lite2", critic_width=64),
        # VGG16 without BatchNorm has activations some ten times as large as with it.
        loss=Loss(network="vgg16", pixel=1.5, features=(0.5, 1.0, 2.0), chroma_weight=1.0),
        augment=Augment(rotate=5.0, saturation=0.1),
        degradation=Degradation(probability=0.5),
        # Most of what there is to learn from some ten thousand photos is which thing has which colour; pixels teach
        # that at three times the speed of features.
        generator_stages=(
            GeneratorStage("64-frozen", 64, 32, 2e-3, 1e-4, pct_start=0.3, epochs=0.5, frozen=True, features=0.0),
            GeneratorStage("64-pixels", 64, 32, 1e-3, 1e-4, pct_start=0.2, epochs=2.0, features=0.0),
            GeneratorStage("64", 64, 32, 5e-4, 5e-5, pct_start=0.1),
            GeneratorStage("96", 96, 16, 3e-4, 3e-5, pct_start=0.1, epochs=0.75),
            GeneratorStage("128", 128, 16, 3e-4, 3e-5, pct_start=0.1, epochs=1.5, window=0.5),
            # Colourful pixels count for more, so that saturation needs less calibration in the end.
            GeneratorStage(
                "128-chroma", 128, 16, 1e-4, 1e-5, pct_start=0.1, epochs=0.34, window=0.5, chroma_weight=5.0
            ),
        ),
        critic_stages=(CriticStage("96", 96, 32, 5e-4, epochs=4.0),),
        gan=Gan(
            size=96,
            batch=16,
            lr=5e-5,
            fraction=0.12,
            max_critic_steps=4,
            save_every=20,
            ema=0.95,
            feature_weight=1.0,
            chroma_weight=5.0,
        ),
        postprocess=Postprocess(interpolation=0.35, batchnorm_photos=512, colorfulness=0.66),
    )
    # On from `lite`, on more photos than it had: borders without zeros, sources in balance, features compared as LPIPS
    # compares them, a critic on pretrained features, whose part in the generator's gradient is set.
    projected = replace(
        lite,
        preset="projected",
        networks=replace(lite.networks, init_from="lite", padding="replicate", critic="projected", critic_width=64),
        loss=replace(lite.loss, features=(0.8,) * 5, normalized=True, saturation=1.2),
        generator_stages=(
            GeneratorStage(
                "128", 128, 16, 3e-4, 3e-5, pct_start=0.05, epochs=1.0, window=0.5, chroma_weight=2.0, ema=0.999
            ),
        ),
        generate=Generate(fraction=0.05),
        critic_stages=(CriticStage("128", 128, 16, 5e-4, epochs=1.4),),
        gan=replace(
            lite.gan,
            size=128,
            fraction=0.06,
            critic_threshold=1.6,
            adversarial_ratio=0.5,
            window=0.5,
            chroma_weight=2.0,
            ema=0.99,
            save_every=30,
        ),
        postprocess=Postprocess(
            average_last=0.65, interpolation=0.35, smooth=True, cast=0.85, magenta=0.3, colorfulness=0.782
        ),
        balance=0.5,
    )
    return {
        "artistic": _deoldify(
            "artistic",
            generator="deep",
            batches=(88, 22, 11),
            cycles=5,
            gan=Gan(batch=9, lr=1e-5, adversarial_weight=1, feature_weight=2),
        ),
        "stable": _deoldify(
            "stable",
            generator="wide",
            batches=(80, 20, 8),
            cycles=3,
            gan=Gan(batch=5, lr=2e-5, adversarial_weight=1, feature_weight=1.5),
        ),
        "video": _deoldify(
            "video",
            generator="wide",
            batches=(80, 20, 8),
            cycles=1,
            gan=Gan(batch=5, lr=5e-6, adversarial_weight=1, feature_weight=1.5),
        ),
        "lite": lite,
        "resnet34": replace(
            lite,
            preset="resnet34",
            networks=Networks(encoder="resnet34", critic_width=64),
            # For a machine that has ImageNet weights of EfficientNet-Lite2 and none of ResNet34.
            encoder_stages=(EncoderStage("64", "tf_efficientnet_lite2", 64, 64, 1e-3, epochs=2.0),),
            generator_stages=(
                GeneratorStage("64-pixels", 64, 32, 1e-3, 3e-4, pct_start=0.2, epochs=1.5, features=0.0),
                GeneratorStage("64", 64, 32, 5e-4, 1e-4, pct_start=0.1, epochs=0.75, window=0.75),
                GeneratorStage("96", 96, 16, 3e-4, 5e-5, pct_start=0.1, epochs=0.5, window=0.5),
            ),
            critic_stages=(CriticStage("96", 96, 32, 5e-4, epochs=4.0),),
            gan=replace(lite.gan, window=0.5, chroma_weight=1.0),
            # Its colours are wrong more often than those of `lite`: more saturation costs more than it gives.
            postprocess=replace(lite.postprocess, colorfulness=0.5),
        ),
        "projected": projected,
        "finetune": Schedule(
            preset="finetune",
            # Few photos, say 50 to 500, cannot teach which thing has which colour; weights that know it can learn from
            # them how these photos differ. So: their network, low rates, no stage that is frozen or small. BatchNorm
            # would forget within some steps what many photos look like, and the colours with it.
            networks=Networks(
                encoder="tf_efficientnet_lite2",
                padding="replicate",
                smooth=True,
                cast=0.85,
                magenta=0.3,
                init_from="lite",
                frozen_statistics=True,
                critic_width=64,
            ),
            loss=Loss(network="vgg16", pixel=1.5, features=(0.5, 1.0, 2.0), chroma_weight=1.0),
            augment=Augment(zoom=1.5, saturation=0.1),  # every photo is seen a dozen times, never twice the same
            degradation=Degradation(probability=0.5),
            generator_stages=(
                GeneratorStage("128", 128, 8, 8e-5, 8e-6, pct_start=0.1, epochs=12.0, window=0.5),  # at 50, 70 steps
            ),
            generate=Generate(fraction=1.0, batch=8),
            critic_stages=(CriticStage("128", 128, 8, 3e-4, epochs=8.0),),
            # A critic soon knows so few photos by heart. The phase is one pass over them; the inflection point may
            # well be its very beginning.
            gan=Gan(
                size=128,
                window=0.5,
                batch=8,
                lr=2e-5,
                fraction=1.0,
                max_critic_steps=4,
                save_every=5,
                ema=0.9,
                feature_weight=1.0,
            ),
            validation=0.1,  # a fiftieth of 50 would be a single photo
        ),
        "restore": Schedule(
            preset="restore",
            networks=Networks(generator="restorer", encoder="tf_efficientnet_lite0", critic_width=48),
            loss=Loss(network="vgg16", pixel=1.0, features=(0.1, 0.15, 0.2), mask=4.0, fill=2.0),
            augment=Augment(zoom=1.75, rotate=10.0),
            degradation=Degradation(probability=0.6, grain=0.05, blur=1.0, jpeg=0.08),
            # Where damage is, and the tone beneath it, pixels teach; texture, features.
            generator_stages=(
                GeneratorStage("128-pixels", 128, 8, 2e-3, 2e-3, pct_start=0.05, epochs=1.2, features=0.0),
                GeneratorStage("128", 128, 16, 5e-4, 5e-4, pct_start=0.1, epochs=0.08, window=0.5, ema=0.99),
            ),
            generate=Generate(fraction=0.05),
            critic_stages=(CriticStage("128", 128, 16, 5e-4, epochs=1.4),),
            gan=Gan(
                size=128,
                batch=16,
                lr=5e-5,
                fraction=0.05,
                max_critic_steps=4,
                adversarial_ratio=0.3,
                feature_weight=1.0,
                window=0.5,
                ema=0.97,
                save_every=40,
            ),
            postprocess=Postprocess(clean_masked=0.002),
            balance=0.5,
        ),
        # Of a finished generator, which stays as it is; its branch for hints alone is trained.
        "hints": Schedule(
            preset="hints",
            networks=Networks(encoder="tf_efficientnet_lite2", init_from="lite"),
            generator_stages=(),
            critic_stages=(),
            cycles=0,
            hint_stages=(HintStage("128", 128, 16, 1.5e-3),),
            # Between absolute and squared error, in which PSNR counts.
            loss=Loss(network="vgg16", features=(0.5, 1.0, 2.0), smooth_l1=0.3),
            augment=lite.augment,
            degradation=lite.degradation,
            balance=0.5,
        ),
        "smoke": Schedule(
            preset="smoke",
            networks=Networks(encoder="test_resnet", pretrained=False, critic_width=8),
            loss=Loss(network="untrained"),
            degradation=Degradation(probability=0.5),
            generator_stages=(
                GeneratorStage("32-frozen", 32, 4, 1e-3, 1e-4, frozen=True),
                GeneratorStage("32", 32, 4, 1e-3, 1e-4, epochs=4.0),
                GeneratorStage("64", 64, 4, 1e-3, 1e-4, epochs=2.0),
            ),
            generate=Generate(fraction=1.0, batch=4),
            critic_stages=(CriticStage("64", 64, 4, 1e-3, epochs=2),),
            gan=Gan(size=64, batch=4, fraction=1.0, max_critic_steps=3, save_every=2, score_photos=4, ema=0.9),
            validation=0.2,
        ),
    }


PRESETS = tuple(_presets())


def preset(name: str) -> Schedule:
    """A schedule by name: lite, resnet34, projected, finetune, smoke, or DeOldify's artistic, stable and video; hints
    trains a branch for hints, restore a restorer.

    Raises:
        ValueError: no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"preset {name!r} is unknown; choose {', '.join(PRESETS)}")
    return _presets()[name]
