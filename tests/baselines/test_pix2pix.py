"""The baselines: their configs are those of the documents; they train, resume after a kill, and colorize."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.baselines import configs, pix2pix, reports
from deoldify_lite.baselines import run as baseline_run
from deoldify_lite.baselines.configs import ALIASES, CONFIGS, BaselineConfig, config
from deoldify_lite.baselines.pix2pix import Pix2PixLoss, Pix2PixModel, pix2pix_learner
from deoldify_lite.baselines.run import BaselineRun, open_baseline, train
from deoldify_lite.cli import program
from deoldify_lite.colorize.colorizer import Colorizer
from deoldify_lite.modeling.weights import load_generator, read_safetensors
from deoldify_lite.samples import sample_photos
from deoldify_lite.training.errors import TrainingDiverged, WrongCheckpoint
from deoldify_lite.training.log import read_log

ROOT = Path(__file__).parents[2]
SEEDS = ROOT.parent / "shared" / "seeds"
SMALL = {"width": "4", "batch": "2", "pretrained": "false"}  # what makes any config small


def small(name: str, samples_seen: int = 12, **changes: str) -> BaselineConfig:
    chosen = config(name).sized(32)
    if not chosen.network.startswith(("isola", "linder")):
        changes = {"network": "test_resnet"} | changes
    return chosen.override(SMALL | {"samples_seen": str(samples_seen)} | changes)


@pytest.fixture
def folder(tmp_path, photos) -> Path:
    """Where baselines run, with the photos packed already."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/photos").symlink_to(photos / ".packs", target_is_directory=True)
    (photos / ".packs").mkdir(exist_ok=True)
    return tmp_path / "runs"


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """No curves, which take longer than a tiny training."""
    monkeypatch.setattr(reports, "_draw_curves", lambda rows, path: None)


def opened(folder: Path, photos: Path, chosen: BaselineConfig, **settings) -> BaselineRun:
    return open_baseline(folder, chosen, (photos,), device="cpu", precision="float32", **settings)


@pytest.fixture
def command(folder, photos):
    """The command, called with arguments."""

    def call(*arguments: str, with_photos: bool = True):
        where = ["--run", str(folder), "--device", "cpu", "--precision", "float32"]
        where += ["--photos", str(photos)] if with_photos else []
        return CliRunner().invoke(program, ["pix2pix", *where, *arguments])

    return call


# What each document says, in its own words.
QUOTES = [
    ("000", {"epochs": 100}, r"totally 100"),
    ("000", {"pixel_weight": 100.0, "gan": "lsgan", "pixel": "l1"}, r"MSE loss plus the pixel-wise loss time 100"),
    ("000", {"norm": "instance", "network": "lindernoren"}, r"nn\.InstanceNorm2d\(out_size\)"),
    ("000", {"dropout": 0.5, "down": 8}, r"self\.down8 = UNetDown\(512, 512, normalize=False, dropout=0\.5\)"),
    ("000", {"space": "rgb"}, r"inputting three-channels gray image"),
    ("000", {"picture_epochs": (1, 5, 40, 100)}, r"training 5 times[\s\S]*training 40 times[\s\S]*training 100 times"),
    ("002-unet-30", {"epochs": 30, "gan": "none"}, r"običnim L1 gubitkom[\s\S]*trenirali smo 30 epoha"),
    ("002-unet-30", {"network": "resnet18", "pretrained": True}, r"težinama preuzetim od ResNet18 mreže"),
    ("002-unet-30", {"batch": 16}, r"Veličina minigrupa u dataloaderima bila je 16"),
    ("002-unet-30", {"size": 256, "space": "lab"}, r"256x256 i pretvorene iz RGB formata u Lab"),
    ("002-unet-30", {"lr": 2e-4, "betas": (0.5, 0.99)}, r"= \(0\.5, 0\.99\)[\s\S]*2x10\^-4"),
    ("002-vanilla-20", {"epochs": 20, "init_from": "unet-resnet18"}, r"generatorom treniranim 30 epoha[\s\S]*20 epoha"),
    ("002-vanilla-20", {"gan": "vanilla"}, r'za gubitak odabrali "vanilla" opciju'),
    ("002-lsgan-20", {"epochs": 20, "gan": "lsgan", "init_from": "unet-resnet18"}, r"nn\.MSELoss[\s\S]*izvorno 20"),
    ("002-lsgan-30", {"epochs": 10, "gan": "lsgan", "init_from": "pix2pix-resnet18-lsgan"}, r"zatim još 10 epoha"),
    ("002-vanilla-20", {"pixel_weight": 100.0}, r"prethodna dva GAN-a iznosila je 100"),
    ("002-low-lambda-20", {"pixel_weight": 50.0, "gan": "vanilla", "epochs": 20}, r"a u ovom modelu 50"),
    ("002-low-lambda-20", {"patch": 70, "norm": "batch"}, r"70x70"),
    ("003", {"init": 0.02}, r"mean of 0\.0 and a standard deviation of 0\.02"),
    ("003", {"gan": "vanilla"}, r'which will be "vanilla" in our project'),
    ("003", {"pixel": "l1", "pixel_weight": 100.0}, r"100 in our case"),
    ("003", {"down": 8, "network": "isola", "size": 256}, r"eight layers down[\s\S]*256 by 256"),
    ("003", {"patch": 70, "norm": "batch"}, r"BatchNorm2d\(128[\s\S]*70 by 70"),
    ("003", {"epochs": 100, "table_every": 5}, r"\n5\t0\.52271[\s\S]*\n10\t[\s\S]*about 100 epochs"),
    ("003", {"space": "lab"}, r"\(1-channel image\) and produces a 2-channel image"),
    ("004-batch", {"norm": "batch", "epochs": 1500}, r"Batch Normalization Results[\s\S]*1500\+ epochs"),
    ("004-batch", {"batch": 32, "lr": 2e-4}, r"Batch size was 32\.[\s\S]*Learning rate 2e-4"),
    ("004-instance", {"norm": "instance", "batch": 32, "lr": 2e-4}, r"Instance Normalization Results"),
    ("004-instance", {"space": "rgb"}, r"ConvTranspose2d-51\t\[-1, 3, 256, 256\]"),
]  # fmt: skip


@pytest.mark.parametrize(("alias", "values", "quote"), QUOTES)
def test_configs_are_those_of_the_documents(alias, values, quote):
    chosen = config(alias)
    assert {field: getattr(chosen, field) for field in values} == values
    for field in values:
        assert chosen.document in chosen.sources[field], f"{field} should name its place in the document"


def test_quotes_are_in_the_documents():
    documents = {path.name[:3]: path.read_text() for path in SEEDS.glob("*.txt")}
    if not documents:
        pytest.skip("the documents are not on this machine")
    assert [quote for alias, _, quote in QUOTES if not re.search(quote, documents[alias[:3]])] == []


def test_every_value_has_a_source_and_every_config_its_place_in_the_docs():
    ours = {"name", "alias", "sources", "seed", "samples_seen", "picture_epochs", "table_every"}
    page = (ROOT / "docs" / "baselines.md").read_text()
    for chosen in CONFIGS.values():
        lacking = vars(chosen).keys() - chosen.sources.keys() - ours
        assert lacking <= ({"init_from", "pretrained"} if not chosen.init_from else set()), chosen.name
        assert f"| `{chosen.name}` | {chosen.alias} |" in page


def test_a_number_of_the_documents_is_an_alias():
    assert config("003") is config("pix2pix-lab")
    assert len(ALIASES) == len(CONFIGS) == 9


@pytest.mark.parametrize("name", ["pix2pix-rgb", "pix2pix-lab", "pix2pix-rgb-batchnorm", "pix2pix-rgb-instancenorm"])
@pytest.mark.slow
def test_a_tiny_run_leaves_everything(name, command, folder):
    """Weights for the colorizer, curves, a table of losses, pictures, metrics; then the same command does nothing."""
    arguments = [f"--set={k}={v}" for k, v in SMALL.items()]
    arguments += [
        "--config",
        name,
        "--size",
        "32",
        "--samples-seen",
        "40",
        "--set=epochs=10",
        "--set=picture_epochs=[1, 5]",
    ]
    result = command(*arguments)
    assert result.exit_code == 0, result.output
    place = folder / f"{name}@40"
    assert result.stdout.strip() == str(place / "generator.safetensors")
    done = json.loads((place / "train/done.json").read_text())
    assert (done["steps"], done["samples_seen"]) == (20, 40)
    assert sorted(p.name for p in (place / "samples").iterdir()) == [f"epoch-00{e}.png" for e in ("01", "05", "10")]
    with Image.open(place / "samples/epoch-0001.png") as picture:
        assert picture.height >= 3 * 32
    table = [line.split("|")[1:-1] for line in (place / "losses.md").read_text().splitlines()]
    assert [cell.strip() for cell in table[0]] == [
        *("epoch", "samples_seen", "loss_D_fake", "loss_D_real", "loss_D", "loss_G_GAN", "loss_G_L1", "loss_G")
    ]
    assert [[int(cell) for cell in row[:2]] for row in table[2:]] == [[5, 20], [10, 40]]
    for row in table[2:]:
        fake, real, critic, fooling, pixel, generator = map(float, row[2:])
        assert critic == pytest.approx((fake + real) / 2, abs=1e-4)
        assert generator == pytest.approx(fooling + pixel, abs=1e-3)
    assert (place / "losses.png").exists() and list((place / "train").glob("events.*"))
    before = (place / "generator.safetensors").stat().st_mtime_ns
    photos_remembered = command(*arguments, with_photos=False)
    assert photos_remembered.exit_code == 0, photos_remembered.output
    assert (place / "generator.safetensors").stat().st_mtime_ns == before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_the_five_generators_of_document_002(folder, photos):
    """`samples_seen` is divided by epochs among all configs in the chain; finished ones are used again."""
    for name in ("lsgan-long", "lsgan", "", "l1x50"):
        name = f"pix2pix-resnet18-{name}".rstrip("-")
        train(opened(folder, photos, small(name, 60 if name.endswith("long") else 50, batch="5")))
    done = {path.parents[1].name: json.loads(path.read_text()) for path in folder.glob("*/train/done.json")}
    seen = {name: metrics["samples_seen"] for name, metrics in done.items()}
    budget = {"unet-resnet18@30": 30, "pix2pix-resnet18-lsgan@50": 20, "pix2pix-resnet18-lsgan-long@60": 10}
    assert seen == budget | {"pix2pix-resnet18@50": 20, "pix2pix-resnet18-l1x50@50": 20}
    assert not (folder / "unet-resnet18@30/train/critic.safetensors").exists()
    losses = (folder / "unet-resnet18@30/losses.md").read_text()
    assert "loss_G_L1" in losses and "loss_D" not in losses


@pytest.mark.usefixtures("undrawn")
def test_a_gan_goes_on_from_both_networks(folder, photos):
    """With a rate of 0 nothing moves but BatchNorm's statistics."""
    train(opened(folder, photos, small("pix2pix-resnet18-lsgan-long", 12, lr="0")))
    for file in ("weights.safetensors", "critic.safetensors"):
        before = read_safetensors(folder / "pix2pix-resnet18-lsgan@10/train" / file)[1]
        after = read_safetensors(folder / "pix2pix-resnet18-lsgan-long@12/train" / file)[1]
        assert all(torch.equal(v, after[k]) for k, v in before.items() if "running_" not in k and "num_b" not in k)
    first = read_safetensors(folder / "unet-resnet18@6/train/weights.safetensors")[1]
    last = read_safetensors(folder / "pix2pix-resnet18-lsgan@10/train/weights.safetensors")[1]
    assert any(not torch.equal(v, last[k]) for k, v in first.items() if k.endswith("weight")), (
        "at its own rate it moved"
    )


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "steps", "kill"), [("pix2pix-rgb", 6, 6), ("pix2pix-resnet18", 6, 6), ("pix2pix-lab", 40, 20)]
)
def test_killed_and_begun_again_gives_the_same_bits(name, steps, kill, folder, photos, monkeypatch):
    """Dropout, Adam's moments, the critic, the order of the photos, half of the steps between two records."""
    chosen = small(name, 2 * steps, epochs="2" if steps > 6 else str(config(name).epochs))
    train(opened(folder, photos, chosen))
    loss, calls = Pix2PixLoss.__call__, []

    def killed(self, *tensors):  # between the critic's step and the generator's
        calls.append(tensors)
        if len(calls) == kill:
            raise KeyboardInterrupt
        return loss(self, *tensors)

    monkeypatch.setattr(Pix2PixLoss, "__call__", killed)
    other = folder / "killed"
    with pytest.raises(KeyboardInterrupt):
        train(opened(other, photos, chosen, checkpoint_seconds=0))
    place = f"{name}@{2 * steps}"
    assert (other / place / "train/checkpoint.pt").exists()
    train(opened(other, photos, chosen, checkpoint_seconds=0))
    assert len(calls) == steps + 1, "each step is made once, but for the one that was killed"
    for path in ("generator.safetensors", "train/critic.safetensors", "losses.md"):
        whole, again = (base / place / path for base in (folder, other))
        assert whole.read_bytes() == again.read_bytes(), path
    assert not list(other.rglob("checkpoint.pt"))


def test_the_table_of_losses_is_about_this_training_alone(tmp_path):
    """... though the log tells of one before it, too, and has a line that a kill cut off."""
    rows = [{"step": 1, "loss_G_L2": 9.0}, {"step": 7, "loss_G_L2": 8.0}, {"step": 2, "loss_G_L1": 1.0}]
    rows = [{"stage": "train"} | row for row in rows]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 3, "loss')
    assert read_log(tmp_path, "train") == [rows[0], rows[2]]


def test_a_nan_stops_before_it_reaches_the_weights(folder, photos, monkeypatch):
    calls, learners = [], []
    l1 = configs.PIXEL_LOSSES["l1"]

    def poisoned(prediction, target):
        calls.append(prediction)
        return l1(prediction, target) * (float("nan") if len(calls) == 4 else 1)

    def kept(*arguments):
        learners.append(pix2pix_learner(*arguments))
        return learners[-1]

    monkeypatch.setitem(configs.PIXEL_LOSSES, "l1", poisoned)
    monkeypatch.setattr(baseline_run, "pix2pix_learner", kept)
    run = opened(folder, photos, small("pix2pix-lab"), checkpoint_seconds=0)
    with pytest.raises(TrainingDiverged, match=r"the loss became nan at step 3; .*learning rate"):
        train(run)
    assert all(torch.isfinite(p).all() for p in learners[0].generator.parameters())
    assert torch.load(run.stage.checkpoint, weights_only=True)["step"] == 3


def test_nan_in_weights_stops_at_once(folder, photos, monkeypatch):
    monkeypatch.setattr(pix2pix, "init_normal_", lambda network, std: torch.nn.init.constant_(
        next(network.parameters()), float("nan")) is None or network)  # fmt: skip
    with pytest.raises(TrainingDiverged, match="the critic's loss became nan at step 0"):
        train(opened(folder, photos, small("pix2pix-rgb-batchnorm")))


def test_each_network_learns_from_its_own_loss_alone(folder, photos):
    learn = pix2pix_learner(opened(folder, photos, small("pix2pix-lab")))
    model, loss = learn.model, learn.loss_func
    condition, *rest = learn.dls.train.batch(0)

    def have_gradients(network):
        return {p.grad is not None for p in network.parameters()}

    model.critic.requires_grad_(True)
    loss.of_critic(model(condition), *rest).backward()
    assert have_gradients(model.generator) == {False} and have_gradients(model.critic) == {True}
    learn.opt.zero_grad()
    model.critic.requires_grad_(False)
    loss(model(condition), *rest).backward()
    assert have_gradients(model.generator) == {True} and have_gradients(model.critic) == {False}


def test_both_networks_train(folder, photos):
    """Each by its own step of Adam, the first of which is as large as the learning rate, whatever the gradient."""
    learn = pix2pix_learner(opened(folder, photos, small("pix2pix-lab", 2)))
    before = [[p.detach().clone() for p in group] for group in learn.model.groups]
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    for old, new in zip(before, learn.model.groups, strict=True):
        steps = torch.cat([(b - a).abs().flatten() for a, b in zip(old, new)])
        assert float(steps.max().detach()) == pytest.approx(2e-4, rel=0.01)


@pytest.mark.parametrize(("gan", "undecided", "sure"), [("vanilla", 0.6931, 0.0), ("lsgan", 0.5, 0.0)])
def test_gan_losses_of_known_logits(gan, undecided, sure, monkeypatch):
    """Of a critic that says 0 to everything, and of one that is right about all (logits far off, or 1 and 0)."""
    model = Pix2PixModel(torch.nn.Identity(), None)
    loss = Pix2PixLoss(model, small("pix2pix-lab", gan=gan))
    right = {"vanilla": (50.0, -50.0), "lsgan": (1.0, 0.0)}[gan]
    condition, target, prediction = torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    for (real, fake), expected in (((0.0, 0.0), undecided), (right, sure)):
        monkeypatch.setattr(
            model, "logits", lambda _condition, x, real=real, fake=fake: torch.where(x[:, :1] > 0, real, fake)
        )
        assert float(loss.of_critic(prediction, condition, target)) == pytest.approx(expected, abs=1e-4)


def test_what_a_fastai_user_tries(folder, photos):
    """`show_batch`, `show_results`, `lr_find`, `fit_one_cycle`, `predict`, `export`, and no mark on the run."""
    run = opened(folder, photos, small("pix2pix-lab", 4))
    learn = pix2pix_learner(run)
    with learn.no_bar(), learn.no_logging():
        learn.lr_find(num_it=30, show_plot=False)
        learn.fit_one_cycle(1, 1e-3)
        learn.dls.show_batch()
        learn.show_results(ds_idx=0)
    with Image.open(sample_photos()["flower.jpg"]) as photo:
        assert learn.predict(photo.convert("L").resize((40, 30))).size == (40, 30)
    assert load_generator(learn.export(folder / "exported.safetensors")).config == learn.generator.config
    assert not run.result.exists() and not run.stage.is_done and not run.stage.checkpoint.exists()


def test_what_004_leaves_for_later_can_be_asked_for(command, folder):
    """Mish, L2, colour jitter, larger patches, another size."""
    changes = {
        "activation": "mish",
        "pixel": "l2",
        "augment.saturation": "0.3",
        "augment.brightness": "0.2",
        "patch": "34",
    }
    arguments = [f"--set={k}={v}" for k, v in (SMALL | changes).items()]
    result = command("--config", "004-instance", "--size", "48", "--samples-seen", "8", *arguments)
    assert result.exit_code == 0, result.output
    generator = load_generator(result.stdout.strip())
    assert generator.config["activation"] == "mish" and (generator.config["size"], generator.config["down"]) == (48, 4)
    assert "loss_G_L2" in (folder / "pix2pix-rgb-instancenorm@8/losses.md").read_text()
    critic = read_safetensors(folder / "pix2pix-rgb-instancenorm@8/train/critic.safetensors")[0]
    assert (critic["patch"], critic["norm"], critic["channels"]) == (34, "instance", 6)


def test_512_pixels_go_down_eight_times():
    assert (config("004-batch").sized(512).down, config("004-batch").sized(96).down) == (8, 5)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["pix2pix-rgb", "unet-resnet18", "pix2pix-lab"])
def test_the_result_colorizes(name, folder, photos):
    colorizer = Colorizer(train(opened(folder, photos, small(name, 4))), device="cpu", precision="float32")
    assert colorizer.engine.render_factor_for((75, 50)) == 2
    with Image.open(sample_photos()["flower.jpg"]) as photo:
        colour = colorizer.colorize(photo.convert("L").resize((75, 50)))
    assert colour.size == (75, 50) and colour.mode == "RGB"


@pytest.mark.usefixtures("undrawn")
def test_another_config_in_the_same_folder_is_refused(folder, photos):
    result = train(opened(folder, photos, small("pix2pix-lab")))
    kept = result.read_bytes(), (result.parent / "config.yaml").read_bytes()
    with pytest.raises(WrongCheckpoint, match=r"pixel_weight was 100\.0 and is now 50\.0"):
        train(opened(folder, photos, small("pix2pix-lab", pixel_weight="50")))
    assert kept == (result.read_bytes(), (result.parent / "config.yaml").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--config", "005"], 2, "config '005' is unknown; choose pix2pix-rgb, unet-resnet18"),
        (["--config", "003", "--set", "speed=3"], 2, "no field 'speed'"),
        (["--config", "003", "--set", "pixel"], 2, "write FIELD=VALUE"),
        (["--config", "003", "--set", "pixel=l3"], 2, "pixel 'l3' is unknown; choose l1, l2"),
        (["--config", "003", "--set", "patch=71"], 2, "choose 16, 34, 70"),
        (["--config", "003", "--set", "name=x"], 2, "makes the config this one"),
        (["--config", "003", "--set", "batch=0"], 2, "batch must be at least 1"),
        (["--config", "003", "--size", "100"], 2, "multiple of 16"),
        (["--config", "003"], 2, "give --photos PATH"),
        (["--config", "003", "--photos", "/nowhere"], 2, "no such file or folder"),
        (["--config", "003", "--device", "cuda:77"], 3, "cuda:77"),
        (["--config", "002-unet-30", "--photos", "PHOTOS", "--encoder-weights", "nowhere.safetensors"], 3, "nowhere"),
    ],
)  # fmt: skip
def test_mistakes_get_one_clear_line(command, photos, arguments, code, message):
    arguments = [str(photos) if a == "PHOTOS" else a for a in arguments]
    result = command(*arguments, with_photos=False)
    assert result.exit_code == code, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0]


def test_a_config_shows_where_its_values_come_from(command):
    result = command("--config", "002-low-lambda-20", "--show", "--set", "batch=8", with_photos=False)
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "50.0" in rows["pixel_weight"] and "002, Low-Lambda" in rows["pixel_weight"]
    assert "8" in rows["batch"].split() and "changed by hand" in rows["batch"]


def test_the_script_that_trains_all_knows_all():
    """It expands its lists of names as a shell does."""
    script = (ROOT / "tools" / "baselines.sh").read_text()
    lists = [line for line in script.splitlines() if re.match(r'(resnet18|equal)="', line)]
    expanded = subprocess.run(["sh", "-c", "\n".join([*lists, 'echo "$equal"'])], capture_output=True, text=True)
    assert sorted(expanded.stdout.split()) == sorted(CONFIGS)
    trained = re.findall(r"^train (\S+)", script, re.MULTILINE)
    assert sorted([*trained, *re.search(r'resnet18="(.*)"', script)[1].split()]) == sorted(CONFIGS)
