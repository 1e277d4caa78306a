"""fastai's conveniences on the Learners of the stages, and training to look at."""

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite.colorize.colorizer import Colorizer
from deoldify_lite.samples import sample_photos
from deoldify_lite.training.errors import TrainingDiverged
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.precision import LossInPrecision
from deoldify_lite.training.show import _side_by_side, draw_curves, logit_map, plot_log, show_rows
from deoldify_lite.training.stages import critic_learner, generator_learner

plt.switch_backend("agg")


@pytest.fixture
def drawn():
    """The rows of the figure that was drawn: name -> picture."""
    plt.close("all")
    yield lambda: {axis.get_ylabel(): axis.images[0].get_array() for axis in plt.gcf().axes}
    plt.close("all")


@pytest.fixture
def learn(run):
    return generator_learner(run, 1)


@pytest.fixture
def critic(finished_copy):
    run = finished_copy
    return critic_learner(run, 1, run.schedule.critic_stages[0], run.folder / "cycle-1/generate/generated.bin")


def colour(picture) -> float:
    return float((picture.max(-1) - picture.min(-1)).mean())


def files(run):
    return {p for p in run.folder.rglob("*") if p.is_file()}


def test_show_batch_has_grey_and_target(learn, drawn):
    learn.dls.show_batch(max_n=3)
    rows = drawn()
    assert list(rows) == ["input", "target"]
    assert rows["target"].shape == (32, 3 * 34, 3)
    assert colour(rows["input"]) < 0.001 < colour(rows["target"])


def test_show_results_has_ours_as_well(learn, drawn):
    learn.show_results(max_n=2)
    rows = drawn()
    assert list(rows) == ["input", "prediction", "target"]
    *inputs, _ = learn.dls.valid.one_batch()
    with torch.no_grad():
        predicted = learn.model.eval()(*inputs)[0]
    from deoldify_lite import color

    shown = torch.as_tensor(rows["prediction"][:, :32]).permute(2, 0, 1)
    assert torch.allclose(shown, color.denormalize(predicted).clamp(0, 1), atol=1e-4)


def test_lr_find_leaves_no_mark(run, learn):
    """Neither on the weights nor on the run: no checkpoint, no record."""
    run.checkpoint_seconds = 0
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    found = learn.lr_find(num_it=12, show_plot=False)
    assert 1e-7 < found.valley < 10
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert not files(run)
    plt.close("all")


@pytest.mark.parametrize("frozen", [True, False])
def test_summary_finds_the_weights_under_spectral_norm_and_leaves_no_mark(run, frozen):
    learn = generator_learner(run, 0 if frozen else 1)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    text = str(learn.summary())
    parameters = list(learn.model.parameters())
    for name, counted in (("params", parameters), ("trainable params", [p for p in parameters if p.requires_grad])):
        count = int(re.search(rf"Total {name}: ([\d,]+)", text)[1].replace(",", ""))
        whole = sum(p.numel() for p in counted)
        assert 0.98 * whole < count <= whole, "fastai counts layers alone: not attention's gamma, nor timm's BatchNorm"
    assert before.keys() == learn.model.state_dict().keys()
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert not files(run)
    assert learn.validate()[0] > 0, "and it still works"


def test_the_generator_predicts_and_validates(learn):
    predicted, target = learn.get_preds()
    assert predicted.shape == target.shape and len(predicted) == len(learn.dls.valid.members)
    assert learn.validate()[0] > 0


def test_the_critic_shows_what_it_judges(critic, drawn):
    critic.dls.show_batch(max_n=2)
    assert list(drawn()) == ["real", "generated"]
    critic.show_results(ds_idx=0, max_n=2)
    captions = [label.get_text() for axis in plt.gcf().axes for label in axis.get_xticklabels()]
    assert len(captions) == 4 and all(c.endswith("% real") for c in captions)
    with pytest.raises(ValueError, match="give ds_idx=0"):
        critic.show_results()


def test_lr_find_and_summary_of_the_critic(finished_copy, critic):
    before = files(finished_copy)
    assert 1e-7 < critic.lr_find(num_it=12, show_plot=False).valley < 10
    assert "Total params" in str(critic.summary())
    assert files(finished_copy) == before
    plt.close("all")


def test_the_critics_fixed_pictures_are_of_the_same_photos(critic):
    from deoldify_lite import color

    predicted, target = critic.dls.train.fixed(4)
    assert predicted.shape == target.shape == (4, 3, 64, 64)
    assert (color.luma(predicted) - color.luma(target)).abs().mean() < 0.02, "the generator changes colours alone"


def test_curves_of_what_was_recorded(finished_run):
    plot_log(finished_run.folder, "generator/2-b", "generator/loss", "samples_per_second")
    axes = plt.gcf().axes
    assert [axis.get_title() for axis in axes] == ["generator/loss", "samples per second"]
    assert all(len(axis.lines[0].get_xdata()) for axis in axes)
    plt.close("all")


def test_curves_of_all_stages_lie_in_the_run_folder(run, finished_run):
    run_nogan(run, "generator")
    before = np.asarray(Image.open(run.folder / "curves.png"))
    after = np.asarray(Image.open(finished_run.folder / "curves.png"))
    assert len(after) > len(before), "the critic's are there, too"


def test_curves_are_drawn_where_a_loss_went_wrong(run, monkeypatch):
    calls, real = [], LossInPrecision.__call__

    def poisoned(self, predicted, target):
        calls.append(self)
        return real(self, predicted, target) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(LossInPrecision, "__call__", poisoned)
    with pytest.raises(TrainingDiverged):
        run_nogan(run, "generator")
    assert (run.folder / "curves.png").exists()


def test_no_curves_of_nothing(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"stage": "cycle-1/generate", "step": 3, "samples_per_second": 2.0}\n')
    draw_curves(tmp_path, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_curves_of_a_stage_are_as_wide_as_any_other():
    logs = [[{"step": 2, "a": 1.0}, {"step": 4, "a": 3.0}], [{"step": 100, "b": 0.0}, {"step": 200, "a": 5.0}]]
    x, y = _side_by_side(logs, "a")
    assert x == [0.5, 1.0, 1, 2.0, 2]
    assert y[:2] == [1.0, 3.0] and math.isnan(y[2]) and y[3] == 5.0 and math.isnan(y[4])


def test_rows_of_pictures_in_order():
    show_rows({"a": torch.stack([torch.zeros(3, 4, 5), torch.ones(3, 4, 5)])}, {"a": ["black", "white"]})
    axis = plt.gcf().axes[0]
    assert axis.images[0].get_array()[0, :12, 0].tolist() == [0] * 5 + [1] * 7
    assert [label.get_text() for label in axis.get_xticklabels()] == ["black", "white"]
    plt.close("all")


def test_verdicts_lie_where_the_patches_do():
    logits = torch.tensor([[-9.0, 9.0, 0.0, 9.0]])
    found = logit_map(logits, 8)[0, 0]
    assert found.shape == (8, 8)
    assert found[0, 0] < 0.01 and found[0, 7] > 0.99 and found[7, 0] == 0.5
    scales = torch.tensor([[-9.0] * 4, [9.0, -9.0, 9.0, -9.0], [-9.0] * 4, [9.0, -9.0, 9.0, -9.0]])
    found = logit_map(scales.view(1, 16), 8, 4)[0, 0]
    assert found[0, 0] == pytest.approx(0.5, abs=0.01) and found[0, 7] < 0.01, "the mean of four scales"


def test_one_cycle_with_slices_leaves_no_mark_on_the_run(run, learn):
    "A fastai user's own fit: rates between the ends of the slice, two epochs, no checkpoint, no record."
    run.checkpoint_seconds = 0
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, slice(1e-5, 1e-3))
    assert len(learn.recorder.values) == 2
    assert max(learn.recorder.lrs) == pytest.approx(1e-3, rel=0.05)
    rates = [hyper["lr"] for hyper in learn.opt.hypers]
    assert rates[0] < rates[1] < rates[2]
    assert not files(run)


def test_predict_and_export(learn):
    "A photo in colour, and a file that the colorizer takes, which gives the same."
    photo = Image.open(sample_photos()["flower.jpg"]).convert("L").resize((96, 64))
    predicted = learn.predict(photo)
    assert predicted.size == (96, 64) and predicted.mode == "RGB"
    exported = learn.export()
    assert exported == learn.stage.folder / "generator.safetensors"
    again = Colorizer(exported, device="cpu").colorize(photo)
    assert np.array_equal(np.asarray(again), np.asarray(predicted))
