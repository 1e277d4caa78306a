"""Colour that keeps still within a shot and never crosses a cut, shown with a network whose output is known."""

import itertools

import numpy as np
import pytest

from deoldify_lite.video import motion
from deoldify_lite.video.ahead import ahead
from deoldify_lite.video.colorizer import VideoColorizer
from deoldify_lite.video.planes import luma_of, pick_format, put_chroma
from deoldify_lite.video.shots import mark_shots
from deoldify_lite.video.smoothing import smooth
from helpers.clips import pan, planes, to_frame

WIDTH, HEIGHT = 128, 96


def eight_bit(lumas: list[np.ndarray]) -> list[np.ndarray]:
    return [np.rint(luma * 255).astype(np.uint8) for luma in lumas]


def shots_of(lumas: list[np.ndarray]) -> list[int]:
    "Indices of the frames that begin a shot."
    pictures = [motion.normalize_exposure(each)[0] for each in eight_bit(lumas)]
    return [i for i, (_, begins) in enumerate(mark_shots(pictures, lambda picture: picture)) if begins]


def test_cuts_are_found_where_they_are():
    assert shots_of(pan(20) + pan(9, seed=1) + pan(20, seed=2)) == [0, 20, 29]


def test_neither_motion_fades_flicker_nor_repeated_frames_are_cuts():
    still = pan(40, step=2)
    fading = [luma * max(0, 1 - i / 30) for i, luma in enumerate(still)]
    flickering = [luma * (0.6 + 0.4 * (i % 2)) for i, luma in enumerate(still)]
    flashing = [luma * 0.2 + 0.8 * (i == 20) for i, luma in enumerate(still)]
    repeated = [luma for luma in still[:13] for _ in range(3)]
    for lumas in (still, fading, flickering, flashing, repeated):
        assert shots_of(lumas) == [0]


def analyzed(lumas: list[np.ndarray], dust: bool = True) -> tuple[list, list]:
    "Motion and trust of the frames of a shot."
    normal = [motion.normalize_exposure(each)[0] for each in eight_bit(lumas)]
    motions = [None, *(motion.estimate_motion(a, b) for a, b in itertools.pairwise(normal))]
    clean = list(normal)
    for i in range(1, len(normal) - 1) if dust else ():
        clean[i] = motion.remove_dust(
            normal[i], normal[i - 1], normal[i + 1], motions[i].to_previous, motions[i + 1].from_previous
        )
    pairs = zip(motions[1:], itertools.pairwise(clean))
    return motions, [None, *(motion.estimate_trust(m, a, b) for m, (a, b) in pairs)]


def noisy_chroma(count: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [
        np.full((HEIGHT, WIDTH, 2), 0.1, np.float32) + generator.normal(0, 0.05, 2).astype(np.float32)
        for _ in range(count)
    ]


def flicker(chroma: list[np.ndarray]) -> float:
    "Mean square of the change from frame to frame, away from the borders."
    return float(np.mean([(b - a)[8:-8, 8:-24] ** 2 for a, b in itertools.pairwise(chroma)]))


def scratched(lumas: list[np.ndarray]) -> list[np.ndarray]:
    "Dust and a scratch, on every third frame at another place."
    damaged = []
    for i, luma in enumerate(lumas):
        luma = luma.copy()
        if i % 3 == 1:
            luma[:, 20 + i : 22 + i] = 1
            luma[30 + i : 36 + i, 50:56] = 0
        damaged.append(luma)
    return damaged


@pytest.mark.parametrize(
    "damage",
    [
        lambda lumas: lumas,
        scratched,
        lambda lumas: [luma * (0.8 + 0.2 * (i % 2)) for i, luma in enumerate(lumas)],
        lambda lumas: [luma * (1 - i / 30) for i, luma in enumerate(lumas)],
    ],
    ids=["clean", "dust", "flicker", "fade"],
)
def test_noise_of_the_predictions_is_averaged_away(damage):
    lumas = damage(pan(16, width=WIDTH, height=HEIGHT))
    chroma = noisy_chroma(16)
    steady = smooth(chroma, *analyzed(lumas))
    assert flicker(steady) < 0.05 * flicker(chroma)
    assert abs(np.mean(steady) - np.mean(chroma)) < 0.01


def test_dust_does_not_interrupt_the_average():
    lumas = scratched(pan(16, width=WIDTH, height=HEIGHT))
    with_removal, without = (analyzed(lumas, dust)[1] for dust in (True, False))
    spot = np.s_[34:40, 50:56]  # of frame 4, where frame 3 has nothing
    assert with_removal[4].here[spot].mean() > 2 * without[4].here[spot].mean()


def test_colours_follow_the_motion_without_lag():
    "A moving edge between two colours stays where the luma has it, at the first frame, in the middle and at the last."
    lumas, edges = pan(13, step=3, width=WIDTH, height=HEIGHT), [100 - 3 * i for i in range(13)]
    chroma = noisy_chroma(13)
    for each, edge in zip(chroma, edges):
        each[:, edge:] -= 0.2
    steady = smooth(chroma, *analyzed(lumas))
    for number in (0, 6, 12):
        blue = steady[number][20:-20, :, 0].mean(0)
        crossing = np.count_nonzero(blue > (blue[10] + blue[-10]) / 2)
        assert abs(crossing - edges[number]) <= 2


def test_nothing_is_averaged_over_what_does_not_match():
    lumas = pan(3, width=WIDTH, height=HEIGHT) + pan(3, seed=5, width=WIDTH, height=HEIGHT)
    chroma = [np.full((HEIGHT, WIDTH, 2), value, np.float32) for value in (0.2, 0.2, 0.2, -0.2, -0.2, -0.2)]
    steady = smooth(chroma, *analyzed(lumas))
    assert np.median(steady[2]) > 0.19 and np.median(steady[3]) < -0.19


# The class.


class Flickering:
    "In place of a network: colours that change from frame to frame."

    def __init__(self):
        self.count = 0

    def __call__(self, luma):
        import torch

        value = float(luma.double().sum())  # the same frame, the same colour: threads may come in any order
        generator = np.random.default_rng(int(value * 1000) % 2**31)
        cb, cr = 0.15 * generator.choice([-1, 1]) * 0.3 + 0.1, 0.05
        return torch.tensor([cb, cr], dtype=torch.float32)[None, :, None, None].expand(1, 2, *luma.shape[2:]).clone()


@pytest.fixture
def colorizer(weights, monkeypatch):
    made = VideoColorizer(weights, "cpu", "float32", render_factor=4)
    monkeypatch.setattr(made.colorizer.engine, "predict_chroma", Flickering())
    return made


def frames_of(lumas: list[np.ndarray]):
    for number, luma in enumerate(lumas):
        frame = to_frame(luma)
        frame.pts = number
        yield frame


def blue(frame) -> float:
    return float(planes(frame)[1].mean())


def test_frames_in_frames_out(colorizer):
    lumas = pan(30)
    steady = list(colorizer.colorize(frames_of(lumas)))
    colorizer.stabilize = False
    single = list(colorizer.colorize(frames_of(lumas)))
    for before, after, other in zip(frames_of(lumas), steady, single, strict=True):
        assert before.pts == after.pts == other.pts
        np.testing.assert_array_equal(planes(before)[0], planes(after)[0])
    changes = [np.abs(np.diff([blue(frame) for frame in frames])).mean() for frames in (steady, single)]
    assert changes[0] < 0.2 * changes[1]


def test_no_colour_crosses_a_cut(colorizer):
    "The frames of a shot look the same whatever shots are around it."
    first, second = pan(20), pan(20, seed=3)
    together = list(colorizer.colorize(frames_of(first + second)))
    alone = [*colorizer.colorize(frames_of(first)), *colorizer.colorize(frames_of(second))]
    for one, other in zip(together, alone, strict=True):
        for before, after in zip(planes(one), planes(other)):
            np.testing.assert_array_equal(before, after)


def test_a_long_shot_has_no_seams_and_its_windows_may_be_where_work_begins(colorizer, monkeypatch):
    from deoldify_lite.video import colorizer as module

    lumas = pan(40, step=0.5)
    whole = list(colorizer.colorize(frames_of(lumas)))
    monkeypatch.setattr(module, "WINDOW", 8)
    monkeypatch.setattr(module, "OVERLAP", 6)
    pieces = list(colorizer.colorize_from(0, frames_of(lumas)))
    assert [number for number, (_, may_begin) in enumerate(pieces) if may_begin] == [0, 8, 16, 24, 32]
    changes = [[abs(blue(b) - blue(a)) for a, b in itertools.pairwise(f)] for f in (whole, [p[0] for p in pieces])]
    assert max(changes[1]) < 2 * max(changes[0]) + 1
    later = list(colorizer.colorize_from(16, frames_of(lumas)))
    assert len(later) == 24
    for (one, _), (other, _) in zip(pieces[16:], later):
        np.testing.assert_array_equal(planes(one)[1], planes(other)[1])


@pytest.mark.parametrize("length", range(16, 30))
def test_work_may_begin_at_any_window_of_a_shot(colorizer, monkeypatch, length):
    "... also the last one, which may have more frames before it in memory than it is to see."
    from deoldify_lite.video import colorizer as module

    monkeypatch.setattr(module, "WINDOW", 8)
    monkeypatch.setattr(module, "OVERLAP", 6)
    lumas = pan(length, step=0.5) + pan(9, seed=1)
    pieces = list(colorizer.colorize_from(0, frames_of(lumas)))
    for first in (number for number, (_, may_begin) in enumerate(pieces) if may_begin):
        later = list(colorizer.colorize_from(first, frames_of(lumas)))
        for (one, _), (other, _) in zip(pieces[first:], later, strict=True):
            np.testing.assert_array_equal(planes(one)[1], planes(other)[1])


def test_memory_does_not_grow_with_the_length(colorizer, monkeypatch):
    from deoldify_lite.video import colorizer as module

    monkeypatch.setattr(module, "WINDOW", 8)
    monkeypatch.setattr(module, "OVERLAP", 4)
    alive, most = 0, []

    def counted(count: int):
        nonlocal alive
        picture = to_frame(pan(1)[0])
        for number in range(count):
            alive += 1
            most[-1] = max(most[-1], alive)
            picture.pts = number
            yield picture

    for length in (40, 160):
        alive = 0
        most.append(0)
        for _ in colorizer.colorize(counted(length)):
            alive -= 1
    assert most[1] <= most[0] * 1.5


def test_closing_early_ends_all_threads(colorizer):
    import threading

    before = threading.active_count()
    frames = colorizer.colorize(frames_of(pan(200)))
    next(frames)
    frames.close()
    assert threading.active_count() == before


def test_errors_of_the_source_come_out(colorizer):
    def broken():
        yield from frames_of(pan(3))
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(colorizer.colorize(broken()))


def test_ahead_keeps_order_and_stops_when_closed():
    taken = []

    def numbers():
        for number in itertools.count():
            taken.append(number)
            yield number

    items = ahead(numbers(), 3)
    assert list(itertools.islice(items, 10)) == list(range(10))
    items.close()
    count = len(taken)
    assert count <= 15 and len(taken) == count


# Planes.


@pytest.mark.parametrize(
    "source, size, expected",
    [
        ("gray", (96, 64), "yuv420p"),
        ("yuvj420p", (96, 64), "yuv420p"),
        ("yuv420p10le", (96, 64), "yuv420p10le"),
        ("p010le", (96, 64), "yuv420p10le"),
        ("yuv411p", (96, 64), "yuv420p"),
        ("yuv422p", (96, 64), "yuv422p"),
        ("yuv422p", (96, 63), "yuv422p"),
        ("yuv420p", (95, 64), "yuv444p"),
        ("yuv420p", (96, 63), "yuv422p"),
        ("gray16le", (96, 64), "yuv420p12le"),
        ("gray9le", (96, 64), "yuv420p10le"),
    ],
)
def test_the_format_that_loses_least(source, size, expected):
    offered = tuple(f"yuv{c}p{d}" for c in (420, 422, 444) for d in ("", "10le", "12le"))
    assert pick_format(source, *size, offered) == expected


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p10le"])
def test_the_planes_say_the_colour_that_was_meant(matrix, pixel_format):
    "In whichever matrix: R - Y and B - Y of the decoded frame are those of the chroma that was put in."
    frame = to_frame(np.full((64, 96), 0.5), pixel_format)
    frame.colorspace, frame.color_range = matrix, 1
    chroma = np.dstack([np.full((8, 12), 0.1), np.full((8, 12), -0.05)]).astype(np.float32)
    made = put_chroma(frame, chroma, pixel_format)
    rgb = made.to_ndarray(format="rgb24")[32, 48] / 255
    assert rgb[2] - 0.5 == pytest.approx(0.1 * 1.772, abs=0.012)
    assert rgb[0] - 0.5 == pytest.approx(-0.05 * 1.402, abs=0.012)


def test_colours_that_leave_the_gamut_are_weakened():
    frame = to_frame(np.full((64, 96), 0.98), "yuv444p")
    made = put_chroma(frame, np.full((8, 12, 2), 0.3, np.float32), "yuv444p")
    rgb = made.to_ndarray(format="rgb24")[32, 48].astype(int)
    assert rgb.max() >= 250 and rgb.min() > 225  # nearly white, as its luma says, and a little pink


def test_chroma_is_turned_back_for_a_picture_on_its_side():
    frame = to_frame(np.full((64, 96), 0.5), "yuv444p")
    chroma = np.zeros((12, 8, 2), np.float32)
    chroma[:6, :, 0] = 0.2  # upright, the upper half is blue
    made = put_chroma(frame, chroma, "yuv444p", turns=1)
    blue_plane = planes(made)[1].astype(int) - 128
    # A quarter of a turn counterclockwise brings the right edge to the top.
    assert blue_plane[:, 60:].mean() > 20 and abs(blue_plane[:, :36].mean()) < 2


def test_luma_of_ten_bits_in_the_upper_ones():
    frame = to_frame(pan(1)[0], "yuv420p10le")
    np.testing.assert_array_equal(luma_of(frame), luma_of(frame.reformat(format="p010le")))
