"""The schedule: presets, DeOldify's figures, overrides, YAML."""

import pytest
import yaml

from deoldify_lite.presets import PRESETS, preset
from deoldify_lite.schedule import Schedule


@pytest.mark.parametrize("name", PRESETS)
def test_survives_yaml(name):
    schedule = preset(name)
    assert schedule.preset == name
    assert Schedule.from_yaml(schedule.to_yaml()) == schedule


def test_artistic_has_deoldifys_figures():
    schedule = preset("artistic")
    assert schedule.networks.generator == "deep"
    assert [(s.size, s.batch, s.lr, s.frozen) for s in schedule.generator_stages] == [
        (64, 88, 1e-3, True),
        (64, 88, 3e-4, False),
        (128, 22, 1e-4, False),
        (192, 11, 5e-5, False),
    ]
    assert [s.fraction for s in schedule.generator_stages] == [1, 1, 1, 0.5]
    assert [(s.size, s.lr, s.epochs, s.first_cycle_only) for s in schedule.critic_stages] == [
        (128, 1e-3, 6, True),
        (192, 1e-4, 4, False),
    ]
    gan = schedule.gan
    assert (gan.size, gan.lr, gan.critic_lr_factor, gan.critic_threshold, gan.fraction) == (192, 1e-5, 5, 0.65, 0.03)
    assert (gan.adversarial_weight, gan.feature_weight, schedule.cycles, schedule.generate.fraction) == (1, 2, 5, 0.085)
    assert [preset(n).gan.lr for n in ("stable", "video")] == [2e-5, 5e-6]
    assert [preset(n).gan.feature_weight for n in ("stable", "video")] == [1.5, 1.5]


def test_overrides_by_path():
    changes = {"gan.lr": "2e-5", "generator_stages.0.batch": "8", "generator_stages.96.epochs": "2"}
    schedule = preset("lite").override(changes | {"loss.features": "[1,2,3]"})
    assert schedule.gan.lr == 2e-5
    assert schedule.generator_stages[0].batch == 8
    assert schedule.generator_stages[3].epochs == 2.0
    assert schedule.loss.features == (1.0, 2.0, 3.0)
    assert preset("lite").gan.lr != 2e-5, "the preset itself stays"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("gan.speed", "1", "no field 'speed'"),
        ("generator_stages.9.batch", "1", "no entry '9'"),
        ("gan.batch", "many", "must be int"),
        ("gan.batch", "2.5", "must be int"),
        ("networks.pretrained", "1", "must be bool"),
        ("gan", "3", "must be a mapping"),
        ("generator_stages", "[{name: a", "is not YAML"),
        ("seed.x", "3", "no field 'x'"),
    ],
)
def test_wrong_overrides_are_refused(path, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        preset("lite").override({path: value})
    assert path in str(caught.value)


def test_wrong_yaml_is_refused():
    content = yaml.safe_load(preset("smoke").to_yaml())
    with pytest.raises(ValueError, match="'learning'"):
        Schedule.from_yaml(yaml.safe_dump(content | {"learning": 1}))
    with pytest.raises(ValueError, match="preset"):
        Schedule.from_yaml(yaml.safe_dump({k: v for k, v in content.items() if k != "preset"}))
    with pytest.raises(ValueError, match="not YAML"):
        Schedule.from_yaml("a: [")
    with pytest.raises(ValueError, match="mapping"):
        Schedule.from_yaml("3")
    with pytest.raises(ValueError, match="artistic"):
        preset("huge")
