"""The benchmarks: each on tiny inputs, their arithmetic on given numbers, DeOldify's process on a stand-in."""

import importlib.util
import json
import re
from contextlib import closing
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from benchmarks import configuration, deoldify, engine, folder, process
from benchmarks.configuration import Configuration
from benchmarks.deoldify import DeOldify, DeOldifyFailed
from benchmarks.folder import Times
from benchmarks.results import Result, ratio, table
from benchmarks.run import benchmark
from deoldify_lite.cli.common import Command
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import BadWeights, load_generator
from deoldify_lite.samples import write_pieces

TINY = {"render-factor": 2, "repeats": 1, "megapixels": 0.02, "photos": 2, "scan": 0.03, "precision": "float32"}


def run(*arguments: str):
    "Run the command within this process."
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command(cls=Command)(benchmark)
    tiny = [f"--{name}={value}" for name, value in TINY.items()]
    return CliRunner().invoke(program, [*tiny, "--device=cpu", *map(str, arguments)], catch_exceptions=False)


# The command


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(engine, "CONVOLUTIONS", ((8, 16), (16, 8)))
    monkeypatch.setattr(process, "FOLDERS", (1,))


@pytest.mark.slow
def test_every_benchmark_but_deoldify_and_training_measures_something(weights, quick, tmp_path):
    ended = run("engine", "network", "folder", "startup", "memory", "--weights", weights, "--json", tmp_path / "a.json")
    assert ended.exit_code == 0, ended.output
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["cores"] >= 1 and report["threads"] == 1 and report["versions"]["torch"] == torch.__version__
    parts = {}
    for result in report["results"]:
        parts.setdefault(re.split(r"[:, ]", result["title"])[0], {})[result["what"].strip()] = result
        assert result["n"] == 1 and result["min"] == result["median"] == result["max"] == result["values"][0]
        assert result["title"] in ended.output
    assert parts.keys() == {"peak", "engine", "network", "folder", "start-up", "memory"}
    assert parts["peak"].keys() == {"bfloat16", "float32"}

    speed, percent = parts["engine"]["one by one"], parts["engine"]["one by one, of the peak in float32"]
    assert speed["about"]["network_size"] == [32, 32] and speed["about"]["weights"] == "tiny"
    flops = speed["about"]["flop_a_photo"]
    assert percent["median"] == pytest.approx(
        100 * speed["median"] * flops / (parts["peak"]["float32"]["median"] * 1e12), rel=1e-3
    )

    ratio = parts["folder"]["end to end / floor"]["median"]
    by_clock, floor = parts["folder"]["end to end, a photo"], parts["folder"]["floor, a photo"]
    assert ratio == pytest.approx(by_clock["median"] / floor["median"])
    assert all(parts["folder"][f"{part} alone"]["median"] > 0 for part in ("network", "decoding", "encoding"))

    moments = [parts["start-up"][what]["median"] for what in process.MOMENTS.values()]
    assert moments[0] > 0 and moments == sorted(moments)
    assert "without fastai" in ended.output
    memory = parts["memory"].values()
    assert [result["about"]["format"] for result in memory] == ["jpg", "jpg", "tif"]
    assert all(0.05 < result["median"] < 50 for result in memory)


@pytest.mark.slow
def test_training_is_measured_with_and_without_loading(tmp_path):
    photos = write_pieces(tmp_path / "photos")
    chosen = ["--preset", "smoke", "--stage", "32", "--steps", "1"]
    ended = run("training", "--training-photos", photos, *chosen)
    assert ended.exit_code == 0, ended.output
    for what in ("real photos", "one batch made beforehand", "real photos / one batch made beforehand"):
        assert what in ended.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["engine", "speed"], 2, "there is no benchmark speed"),
        (["deoldify"], 2, "--deoldify CHECKOUT"),
        (["training"], 2, "--training-photos PATH"),
        (["--precision", "float64", "engine"], 2, "float64"),
        (["--weights", "nothing", "engine"], 3, "no such file"),
        (["training", "--training-photos", ".", "--stage", "x"], 2, "no generator stage 'x'"),
        (["deoldify", "--deoldify", "nowhere"], 3, "nowhere: not a checkout of github.com/jantic/DeOldify"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, code, message):
    ended = run(*arguments)
    assert ended.exit_code == code
    errors = [line for line in ended.stderr.splitlines() if line]
    assert len(errors) == 1 and message in errors[0]


# The arithmetic

TIMES = Times(
    end_to_end_by_clock=0.18,
    end_to_end=0.3,
    network_by_clock=0.11,
    network=0.2,
    decoding=0.06,
    encoding=0.04,
    reading=0.03,
    merging=0.02,
    writing=0.05,
)


def test_the_floor_divides_processor_time_by_the_cores():
    assert TIMES.floor(cores=1) == pytest.approx(0.3)
    assert TIMES.floor(cores=2) == pytest.approx(0.15)
    assert TIMES.floor(cores=2, network_elsewhere=True) == pytest.approx(0.11)  # the GPU takes longer than the cores
    assert TIMES.floor(cores=1, network_elsewhere=True) == pytest.approx(0.11)
    slow_codecs = Times(**vars(TIMES) | {"decoding": 0.5})
    assert slow_codecs.floor(cores=2, network_elsewhere=True) == pytest.approx(0.27)  # now the cores do


def test_folder_results_are_medians_over_the_runs():
    slower = Times(**vars(TIMES) | {"end_to_end_by_clock": 0.36})
    slowest = Times(**vars(TIMES) | {"end_to_end_by_clock": 0.6})
    results = {r.what.strip(): r for r in folder.folder_results("title", [slower, TIMES, slowest], 2, False, {})}
    assert results["end to end"].middle == pytest.approx(1 / 0.36)
    assert results["floor, a photo"].middle == pytest.approx(150)
    assert results["end to end / floor"].middle == pytest.approx(2.4)
    assert results["end to end / floor"].spread == pytest.approx((1.2, 4))
    assert results["in processor time"].middle == pytest.approx(1)
    assert results["the rest, less the network"].middle == pytest.approx(0)
    unused = results["cores not used"]
    assert unused.spread == pytest.approx((100 * (1 - 0.3 / 0.36), 75))


def test_every_input_gets_its_own_output_whatever_it_was_batched_with(weights, monkeypatch):
    tiny = Configuration("tiny", weights, "cpu", "float32", 2)
    inputs = [Image.new("L", size, level) for level, size in enumerate([(32, 32), (64, 32)] * 3)]
    monkeypatch.setattr(Configuration, "predict", lambda _self, batch: [(x.size, x.getpixel((0, 0))) for x in batch])
    for most in (1, 2, 16):
        assert folder._predict(tiny, inputs, most) == [(x.size, level) for level, x in enumerate(inputs)]


def test_ratio_is_that_of_the_medians_and_its_spread_that_of_the_pairs():
    result = ratio("title", "what", [4.0, 6.0, 20.0], [2.0, 1.0, 4.0])
    assert result.middle == 3 and result.spread == (2, 6)


def test_table_has_median_spread_and_n():
    lines = table(
        [Result("a title", "one", "s", [3.0, 1.0, 1234.5]), Result("another", "two", "x", [0.12345])]
    ).splitlines()
    assert lines[0] == "a title" and "another" in lines
    assert lines[2].split() == ["one", "3", "s", "1", "-", "1234" if "1234 " in lines[2] else "1235", "3"]
    assert lines[-1].split() == ["two", "0.123", "x", "0.123", "-", "0.123", "1"]


# Weights


def test_an_untrained_network_stands_in_for_deoldifys_and_for_no_other(monkeypatch, tmp_path):
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path / "none here"))
    monkeypatch.setattr(configuration, "build_generator", lambda name: build_generator("lite", "resnet18"))
    state = torch.get_rng_state()
    name, path = configuration.find_or_make("deep", tmp_path)
    assert "untrained" in name
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        assert load_generator(path)(torch.randn(1, 3, 64, 64)).isfinite().all()
    with pytest.raises(BadWeights):
        configuration.find_or_make("deeper", tmp_path)


# DeOldify, of which nothing is here but its shape: a grey filter in its place that makes everything red.

FAKE = {
    "fastai/vision/__init__.py": "",
    "deoldify/__init__.py": """
        class device:
            def set(chosen): print("DeOldify talks")
    """,
    "deoldify/device_id.py": """
        class DeviceId:
            CPU = GPU0 = None
    """,
    "deoldify/filters.py": """
        class ColorizerFilter:
            def __init__(self, learner): self.learner = learner
        class MasterFilter:
            def __init__(self, filters, render_factor): pass
            def filter(self, photo, same, render_factor):
                if render_factor == 13: raise RuntimeError("an unlucky number")
                return photo.point([255] * 256 + [0] * 512)
    """,
    "deoldify/generators.py": """
        import torch
        def get_dummy_databunch(): return None
        def gen_learner_deep(data, gen_loss, arch):
            class learner: model = torch.nn.Conv2d(3, 3, 1)
            return learner
    """,
}


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name, code in FAKE.items():
        file = tmp_path / "checkout" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(line[8:] for line in code.splitlines()))
    return tmp_path / "checkout"


@pytest.fixture
def no_packages_needed(monkeypatch):
    monkeypatch.setattr(deoldify, "NEEDED", {"cv2": "opencv-python-headless"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


@pytest.mark.slow
def test_deoldifys_process_answers_photo_by_photo_and_keeps_the_checkout_clean(checkout, tmp_path):
    pytest.importorskip("cv2")
    photo, saved, made = tmp_path / "photo.jpg", tmp_path / "saved.png", tmp_path / "made.pth"
    Image.new("RGB", (20, 10)).save(photo)
    before = sorted(checkout.rglob("*"))
    with closing(DeOldify(checkout, made, "cpu", 1, tmp_path)) as original:
        assert original.colorize(photo, 2) > 0
        assert not saved.exists()
        assert original.colorize(photo, 2, save=saved) > 0
        with pytest.raises(DeOldifyFailed, match="died: RuntimeError: an unlucky number"):
            original.colorize(photo, 13)
    assert original.process.returncode is not None
    assert Image.open(saved).getpixel((5, 5)) == (255, 0, 0)
    assert torch.load(made, weights_only=True).keys() == {"weight", "bias"}
    assert sorted(checkout.rglob("*")) == before


def test_a_checkout_that_is_none_is_told_from_one(checkout, tmp_path, no_packages_needed):
    deoldify.check(checkout)
    (checkout / "deoldify" / "filters.py").unlink()
    with pytest.raises(DeOldifyFailed, match=r"not a checkout of .*: it has no deoldify/filters.py"):
        deoldify.check(checkout)
    with pytest.raises(DeOldifyFailed, match="no such folder"):
        deoldify.check(tmp_path / "nowhere")


def test_weights_of_another_generator_are_refused(checkout, weights, no_packages_needed):
    with pytest.raises(DeOldifyFailed, match="artistic"):
        deoldify.check(checkout, weights)
    with pytest.raises(BadWeights):
        deoldify.check(checkout, Path("nowhere.pth"))


def test_missing_packages_are_named_with_how_to_install_them(checkout, monkeypatch):
    monkeypatch.setattr(deoldify, "NEEDED", {"json": "python", "not_here": "it", "nor_this": "that"})
    with pytest.raises(DeOldifyFailed, match=r"needs not_here, nor_this, .*: pip install it that$"):
        deoldify.check(checkout)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import not_here.either", "pip install not_here"),
        ("raise OSError('full moon')", "process died: OSError: full moon"),
    ],
)
def test_a_process_that_does_not_start_says_why(checkout, tmp_path, no_packages_needed, code, message):
    (checkout / "deoldify" / "__init__.py").write_text(code)
    with pytest.raises(DeOldifyFailed, match=message):
        DeOldify(checkout, tmp_path / "made.pth", "cpu", 1, tmp_path)
