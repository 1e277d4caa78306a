"The benchmarks of exported networks and of the site in the browser, with a tiny network."

import json
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks.run import benchmark
from deoldify_lite.cli.common import Command
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import save_weights
from deoldify_lite.samples import sample_photos
from deoldify_lite.web.runtime import RuntimeUnavailable, find_runtime
from helpers.browser import CHROMIUM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = build_generator("lite", "test_resnet")
        torch.nn.init.normal_(generator.layers[-1].weight, std=0.2)
    save_weights(generator, path)
    return path


def measured(tmp_path: Path, *arguments: str | Path) -> dict[str, dict[str, float]]:
    "The medians by title and what was measured."
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command(cls=Command)(benchmark)
    options = [*arguments, "--device=cpu", "--repeats=1", "--json", tmp_path / "results.json"]
    ended = CliRunner().invoke(program, [*map(str, options)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    found = {}
    for result in json.loads((tmp_path / "results.json").read_text())["results"]:
        found.setdefault(result["title"], {})[result["what"]] = result["median"]
    return found


def test_what_fewer_bits_cost(tiny, lpips, tmp_path):
    photos = [word for path in sample_photos().values() for word in ("--scored-photos", path)]
    found = measured(tmp_path, "stored", *photos, "--weights", tiny, "--scored=2")
    assert len(found) == 4
    exact, half, int8, static = found.values()
    assert exact["above float32, mean"] == 0 and abs(half["above float32, mean"]) < abs(static["above float32, mean"])
    assert half["within 2 levels of float32, mean"] > 99
    assert exact["file"] > half["file"] >= int8["file"]


def test_the_site_in_a_browser(tiny, tmp_path):
    pytest.importorskip("playwright")
    if not CHROMIUM:
        pytest.skip("the page is tested in a browser: apt-get install chromium")
    try:
        find_runtime()
    except RuntimeUnavailable as error:
        pytest.skip(str(error))
    found = measured(tmp_path, "browser", "--weights", tiny, "--megapixels=0.05")
    ((title, values),) = found.items()
    assert title.startswith("browser: tiny, Chromium ")
    assert values["0.05 megapixels, JPEG to JPEG"] > 0
    assert 0.05 < values["0.05 megapixels, JPEG to JPEG: memory of the whole browser, peak"] < 20
