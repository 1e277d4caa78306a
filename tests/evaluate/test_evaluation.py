"""From photos to scores and report: what is measured, what is kept, and what happens to bad input."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

from deoldify_lite.errors import UsageError
from deoldify_lite.evaluate import methods
from deoldify_lite.evaluate.evaluation import Evaluation, evaluate
from deoldify_lite.evaluate.grids import choose_grids
from deoldify_lite.evaluate.methods import find_methods, split_name
from deoldify_lite.evaluate.output import as_json, write_all
from deoldify_lite.evaluate.protocol import Protocol
from deoldify_lite.evaluate.records import BadRecords, Records
from deoldify_lite.evaluate.references import find_references
from deoldify_lite.evaluate.scores import summarize
from deoldify_lite.metrics.sets import frechet_distance, inception_score, kernel_distance
from deoldify_lite.sources import NoPhotos

pytestmark = pytest.mark.usefixtures("networks")


@pytest.fixture
def score(photos, weights, tmp_path):
    """An evaluation of the small network, or of other generators and folders, on some photos, at 64 pixels."""

    def run(generators=None, folders=(), where: Path = photos, size: int = 64) -> Evaluation:
        return evaluate(
            [where],
            [f"tiny={weights}"] if generators is None else generators,
            folders,
            tmp_path / "out" / "records.sqlite",
            protocol=Protocol(size=size),
            device="cpu",
            precision="float32",
            render_factor=4,
        )

    return run


def values(evaluation: Evaluation, name: str) -> dict[str, float | None]:
    row = next(row for row in evaluation.rows if row.method.name == name)
    return {metric: evaluation.score(row, metric).value for metric in evaluation.metrics}


def copy(photos: Path, folder: Path, change=lambda image: image) -> Path:
    """The photos, or what `change` makes of them, as PNG."""
    for reference in find_references([photos])[0]:
        (folder / reference.name).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(reference.file) as image:
            change(image.convert("RGB")).save((folder / reference.name).with_suffix(".png"))
    return folder


def test_a_copy_of_the_photos_is_perfect_and_grayscale_is_not(score, photos, tmp_path):
    found = score([], [f"copy={copy(photos, tmp_path / 'copy')}"])
    perfect = {"psnr": math.inf, "ab_histogram": 0, "ab_histogram_pooled": 0, "colorfulness_gap": 0, "kid_vgg16": 0}
    for name in ("copy", "ground truth"):
        of_name = values(found, name)
        assert {k: of_name[k] for k in perfect} == perfect
        assert of_name["ssim"] == pytest.approx(1) and of_name["fd_vgg16"] == pytest.approx(0, abs=1e-6)
    gray = values(found, "grayscale input")
    assert gray["colorfulness"] == pytest.approx(0, abs=1e-4) and gray["psnr"] < 40
    assert gray["colorfulness_gap"] == pytest.approx(values(found, "ground truth")["colorfulness"], abs=1e-4)
    assert gray["fd_vgg16"] > 0 and gray["ab_histogram"] > 0.1
    assert not found.problems


def test_a_folder_of_gray_pictures_scores_as_the_grayscale_input(score, photos, tmp_path):
    """The same scores, whether the pictures are made here or read from files."""
    found = score([], [f"theirs={copy(photos, tmp_path / 'gray', lambda p: ImageOps.grayscale(p).convert('RGB'))}"])
    theirs, gray = values(found, "theirs"), values(found, "grayscale input")
    for name in ("psnr", "ssim", "colorfulness_gap", "ab_histogram", "fd_vgg16"):
        assert theirs[name] == pytest.approx(gray[name], rel=0.02), name


def test_networks_that_are_not_available_leave_a_reason(score):
    found = score()
    scores = as_json(found)["methods"][2]["scores"]
    for name, network in (("lpips_alex", "alexnet"), ("fid", "inception"), ("inception_score", "inception")):
        assert scores[name]["value"] is None and scores[name]["reason"] == f"{network} is not here"
    assert scores["fd_vgg16"]["value"] > 0


@pytest.mark.parametrize("n", [12, 6])
def test_inceptions_outputs_become_fid_kid_and_inception_score(n):
    draw = torch.Generator().manual_seed(0)
    common = {"ab": torch.full((n, 529), 1 / 529)} | dict.fromkeys(
        ("psnr", "colorfulness", "colorfulness_abs"), torch.ones(n, 1)
    )
    ours, true = (common | {"inception": torch.randn(n, 2048 + 1008, generator=draw)} for _ in range(2))
    found = summarize(ours, true)
    features = ours["inception"][:, :2048], true["inception"][:, :2048]
    assert found["fid"].value == frechet_distance(*features) > 0
    assert found["kid"].value == kernel_distance(*features)
    if n < 10:
        assert found["inception_score"].value is None and "at least 10" in found["inception_score"].reason
    else:
        assert found["inception_score"].value == inception_score(ours["inception"][:, 2048:]) > 1
    same = summarize(true, true)
    assert same["fid"].value == pytest.approx(0, abs=1e-6) and same["kid"].value == 0


def test_each_score_carries_what_it_depends_on(score, weights):
    tiny = as_json(score())["methods"][2]
    assert (tiny["name"], tiny["kind"]) == ("tiny", "generator")
    for name, score in tiny["scores"].items():
        about = score["depends_on"]
        assert about.keys() >= {"n", "photos_sha256", "size", "crop", "protocol", "device", "versions"}
        assert (about["n"], about["size"], about["render_factor"], about["precision"]) == (6, 64, 4, "float32")
        assert re.fullmatch("[0-9a-f]{64}", about["sha256"]) and about["versions"].keys() >= {"torch", "deoldify_lite"}
        assert ("network_sha256" in about) == name.endswith("vgg16"), name


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_where_it_was(score, monkeypatch):
    """Stopped in the middle, it measures only what is missing, and gets the same scores."""
    made = []
    colorize = methods.Colorizer.colorize

    def counting(self, image):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(image)
        return colorize(self, image)

    monkeypatch.setattr(methods.Colorizer, "colorize", counting)
    with pytest.raises(KeyboardInterrupt):
        score()
    monkeypatch.setattr(methods.Colorizer, "colorize", lambda self, image: made.append(image) or colorize(self, image))
    first = score()
    assert len(made) == 5 + 2, "four of six were kept, one was lost"
    again = score()
    assert len(made) == 5 + 2
    assert values(first, "tiny") == values(again, "tiny")


@pytest.mark.slow
def test_records_are_not_mixed_up(score, photos, weights, tmp_path):
    """Other weights under the same name, another size, other photos under the same names: all are measured again."""
    folder = copy(photos, tmp_path / "moving")
    file = tmp_path / "changing.safetensors"
    file.write_bytes(weights.read_bytes())
    before = score([f"it={file}"], where=folder)
    with_other_size = score([f"it={file}"], where=folder, size=80)
    state = {k: v * (0.5 if k.startswith("layers.12") else 1) for k, v in load_file(file).items()}
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    last = [k for k in state if k.endswith("weight")][-1]
    save_file(state | {last: state[last] * 0.1}, file, metadata)
    with_other_weights = score([f"it={file}"], where=folder)
    copy(folder, folder, ImageOps.mirror)
    with_other_photos = score([f"it={file}"], where=folder)
    seen = [values(found, "it")["psnr"] for found in (before, with_other_size, with_other_weights, with_other_photos)]
    assert len(set(seen)) == 4


def test_a_broken_photo_is_reported_and_the_rest_is_scored(score, photos):
    (photos / "bad.jpg").write_text("Dear grandmother")
    found = score()
    assert [len(row.references) for row in found.rows] == [6, 6, 6]
    assert len(found.problems) == 1 and found.problems[0].startswith("bad.jpg is left out: not a photo")


def test_results_that_do_not_match_are_reported_and_the_rest_is_scored(score, photos, tmp_path):
    folder = copy(photos, tmp_path / "results")
    (folder / "china.png").unlink()
    Image.new("RGB", (30, 30)).save(folder / "flower.png")
    (folder / "grace_hopper.png").write_bytes(b"no picture")
    found = score([], [f"theirs={folder}"])
    theirs = found.methods[0]
    assert len(theirs.references) == 3 and len(found.ground_truth.references) == 6
    assert values(found, "theirs")["psnr"] > 30, "scored on the photos that it has"
    missing, size, damaged = found.problems
    assert "1 of 6 photos have no picture" in missing and "china.png" in missing
    assert size == "theirs: flower.png is left out: the picture has 30 x 30 pixels, the photo 100 x 80"
    assert damaged.startswith("theirs: grace_hopper.png is left out: ")


def test_results_of_which_none_can_be_used(score, photos, tmp_path):
    folder = copy(photos, tmp_path / "results", lambda image: image.resize((30, 30)))
    found = score([], [f"theirs={folder}"])
    assert set(values(found, "theirs").values()) == {None}
    assert len(found.problems) == 6
    write_all(found, tmp_path / "out")


def test_one_photo_has_scores_but_no_distances_of_sets(score, photos, tmp_path):
    found = score(where=photos / "china.png")
    assert values(found, "tiny")["psnr"] > 0
    scores = as_json(found)["methods"][2]["scores"]
    for name in ("fd_vgg16", "kid_vgg16"):
        assert scores[name]["value"] is None and "at least two" in scores[name]["reason"]
    assert "standard_error" not in scores["psnr"]
    write_all(found, tmp_path / "out")


def test_no_photo_can_be_read(score, photos):
    (photos / "bad.jpg").write_text("Dear grandmother")
    with pytest.raises(NoPhotos, match="none of the 1 photos"):
        score(where=photos / "bad.jpg")


def test_weights_that_are_not_finite_or_missing_are_reported(score, weights, tmp_path):
    from safetensors import safe_open

    with safe_open(weights, "pt") as opened:
        metadata = opened.metadata()
    state = load_file(weights)
    name = next(k for k, v in state.items() if v.is_floating_point())
    save_file(state | {name: torch.full_like(state[name], math.nan)}, tmp_path / "nan.safetensors", metadata)
    found = score(
        [f"broken={tmp_path / 'nan.safetensors'}", f"gone={tmp_path / 'gone.safetensors'}", f"tiny={weights}"]
    )
    assert [row.method.name for row in found.rows] == ["ground truth", "grayscale input", "tiny"]
    assert "broken is left out" in found.problems[0] and "NaN" in found.problems[0]
    assert "gone is left out" in found.problems[1] and "no such file" in found.problems[1]


def test_two_methods_of_one_name_are_refused(photos, weights):
    references, _ = find_references([photos])
    with pytest.raises(UsageError, match="give them names"):
        find_methods([f"a={weights}", f"a={weights}"], [], references, references, 64, "cpu")


def test_names_of_methods():
    assert split_name("lite") == ("lite", "lite")
    assert split_name("before the GAN=runs/a/b.safetensors") == ("before the GAN", "runs/a/b.safetensors")
    assert split_name("runs/lr=1/generator.safetensors") == ("runs/lr=1/generator", "runs/lr=1/generator.safetensors")


def test_the_report_stands_alone_and_shows_everything(score, photos, weights, tmp_path):
    odd = "<b>&it"
    results = copy(photos, tmp_path / "copy")
    (photos / "bad.jpg").write_text("Dear grandmother")
    found = score([f"tiny={weights}"], [f"{odd}={results}"])
    out = tmp_path / "out"
    metrics = write_all(found, out)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert metrics["methods"][0]["scores"]["psnr"]["value"] == "Infinity"
    page = (out / "report.html").read_text()
    assert "<script" not in page and odd not in page and "&lt;b&gt;&amp;it" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", page)
    assert page.count("data:image/jpeg") == 1 + 2 * 2, "all methods, and the best and worst photos of two of them"
    assert "bad.jpg is left out" in page and "inception is not here" in page
    grids = sorted(path.name for path in out.glob("*.png"))
    assert grids == ["best-b-it.png", "best-tiny.png", "grid.png", "worst-b-it.png", "worst-tiny.png"]
    with Image.open(out / "grid.png") as grid:
        assert grid.width > 4 * 192 and grid.height > 6 * 192
    assert not list(out.glob(".tmp*"))


def test_names_that_make_one_file_name_keep_their_grids_apart(score, weights):
    found = score([f"a b={weights}", f"a-b={weights}"])
    grids = choose_grids(found, "psnr")
    assert [grid.columns[1].method.name for grid in grids.values()][1:] == ["a b", "a b", "a-b", "a-b"]


def test_records_survive_and_damage_is_reported(tmp_path):
    path = tmp_path / "new" / "records.sqlite"
    records = Records(path)
    records.add("me", ["a", "b"], {"m": torch.tensor([1.0, math.inf]), "n": torch.arange(6.0).reshape(2, 3)})
    records.add("other", ["a"], {"m": torch.tensor([5.0])})
    again = Records(path)
    assert again.photos("me", "m") == {"a", "b"} and again.photos("me", "x") == set()
    assert again.read("me", "n", ["b", "a"]).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert again.read("me", "m", ["b"]).tolist() == [[math.inf]]
    path.write_bytes(b"no database, that is for sure" * 100)
    with pytest.raises(BadRecords, match="delete it"):
        Records(path)
    with pytest.raises(BadRecords):
        Records(path / "below a file")
