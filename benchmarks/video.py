"""How steady the colours of videos are, beside every frame on its own and the mean of five frames.

Clips are coloured videos, of which the colorizers see the luma alone, and pans over the sample photos, whose motion is
known. Nothing is encoded.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from PIL import Image

from deoldify_lite.metrics.image import Lpips, colorfulness, psnr
from deoldify_lite.samples import sample_photos
from deoldify_lite.video.colorizer import VideoColorizer
from deoldify_lite.video.containers import EXTENSIONS
from deoldify_lite.video.motion import warp
from deoldify_lite.video.planes import matrix_of, put_chroma, small_luma
from deoldify_lite.video.reading import probe, read_frames

from .results import Result

WINDOW = 5  # frames in the mean that ours is compared with, as HAVC's "stabilizer" takes them
APART = (1, 2, 4)  # frames between two whose colour distributions are compared
LEAST_COUNTING = 0.2  # of a frame's pixels; across a cut flow is consistent only by chance
COMPARED = 5  # every so many-th frame is compared with its true colours
PAN_SIZE, PAN_STEP = (320, 240), 2  # pixels; whole ones, so that the luma itself moves without a change
STRIP_HEIGHT, STRIP_FRAMES = 150, 8
TRUE, GRAY, SINGLE, MEAN, OURS = "true colours", "luma alone", "frame by frame", f"mean of {WINDOW} frames", "ours"


@dataclass
class Clip:
    """Frames in true colours.

    flow: known motion from each frame to the next, in pixels, the same everywhere; None for what has to be estimated.
    """

    name: str
    frames: list[av.VideoFrame]
    flow: tuple[float, float] | None = None


@dataclass
class Measured:
    "One method's frames, RGB (H, W, 3), uint8, and the seconds that they took."

    frames: list[np.ndarray]
    seconds: float = 0.0
    values: dict[str, float] = field(default_factory=dict)


def measure_video(
    clips: Sequence[Path],
    weights: str,
    device: str,
    precision: str,
    render_factor: int | None,
    frames: int,
    strips: Path | None = None,
) -> Iterator[list[Result]]:
    """A table for each clip and each pan.

    Args:
        frames: of each clip, at most.
        strips: a folder for a picture of each clip: neighbouring frames, every frame on its own above ours.
    """
    colorizer = VideoColorizer(weights, device, precision, render_factor)
    perceptual = Lpips()
    for clip in itertools.chain((read_clip(path, frames) for path in clips), pans(frames)):
        measured = run_methods(clip, colorizer)
        flows = known_flows(clip) if clip.flow else estimated_flows(clip.frames)
        for method in measured.values():
            method.values = score(method.frames, measured[TRUE].frames, flows, perceptual)
            if method.seconds:
                method.values["frames a second"] = len(method.frames) / method.seconds
        if strips:
            write_strip(strips / f"video_{Path(clip.name).stem.replace(' ', '_')}.jpg", measured)
        yield as_results(clip, measured)


def find_clips(paths: Sequence[Path]) -> list[Path]:
    "The files, and those with a video's suffix in the folders."
    return [
        found
        for path in paths
        for found in ([path] if path.is_file() else sorted(path.iterdir()))
        if found.suffix.lower() in EXTENSIONS
    ]


def largest(clips: Sequence[Path]) -> Path:
    "The one with the largest pictures."
    videos = [probe(path) for path in clips]
    return max(videos, key=lambda video: video.width * video.height).path


def read_clip(path: Path, count: int) -> Clip:
    frames = []
    for frame in itertools.islice(read_frames(probe(path)), count):
        frame.colorspace = matrix_of(frame)
        frames.append(frame)
    return Clip(path.name, frames)


def pans(count: int) -> Iterator[Clip]:
    "A camera that moves over each sample photo, by two pixels a frame."
    width, height = PAN_SIZE
    for name, path in sample_photos().items():
        photo = np.asarray(Image.open(path).convert("RGB"))
        scale = max((width + PAN_STEP * count) / photo.shape[1], height / photo.shape[0])
        if scale > 1:
            photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        top = (photo.shape[0] - height) // 2
        frames = []
        for number in range(count):
            left = PAN_STEP * number
            view = np.ascontiguousarray(photo[top : top + height, left : left + width])
            frame = av.VideoFrame.from_ndarray(view, format="rgb24").reformat(format="yuv444p")
            frame.pts, frame.colorspace, frame.color_range = number, 5, 1
            frames.append(frame)
        yield Clip(f"pan over {name}", frames, (-PAN_STEP, 0.0))


def run_methods(clip: Clip, colorizer: VideoColorizer) -> dict[str, Measured]:
    found = {TRUE: Measured([to_rgb(frame) for frame in clip.frames])}
    found[GRAY] = Measured([to_rgb(frame) for frame in without_chroma(clip.frames)])
    made = {}
    for name, stabilize in ((SINGLE, False), (OURS, True)):
        colorizer.stabilize = stabilize
        began = time.perf_counter()
        made[name] = list(colorizer.colorize(clip.frames))
        found[name] = Measured([to_rgb(frame) for frame in made[name]], time.perf_counter() - began)
    began = time.perf_counter()
    averaged = [to_rgb(frame) for frame in window_mean(made[SINGLE])]
    found[MEAN] = Measured(averaged, found[SINGLE].seconds + time.perf_counter() - began)
    return {name: found[name] for name in (TRUE, GRAY, SINGLE, MEAN, OURS)}


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24")


def without_chroma(frames: Sequence[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    for frame in frames:
        yield put_chroma(frame, np.zeros((8, 8, 2), np.float32), frame.format.name)


def window_mean(frames: Sequence[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    "Each frame with the mean of the chroma planes of those around it, where they are, whatever moved."
    half = WINDOW // 2
    for number, frame in enumerate(frames):
        around = frames[max(0, number - half) : number + half + 1]
        made = av.VideoFrame(frame.width, frame.height, frame.format.name)
        made.colorspace, made.color_range = frame.colorspace, frame.color_range
        for index in range(3):
            planes = [_plane(each, index) for each in (around if index else [frame])]
            _plane(made, index)[:] = np.rint(np.mean(planes, 0))
        yield made


def _plane(frame: av.VideoFrame, index: int) -> np.ndarray:
    "One plane of 8 bit, (H, W), to read or to write."
    plane = frame.planes[index]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def score(
    frames: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    flows: Sequence[tuple[np.ndarray, np.ndarray]],
    perceptual: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> dict[str, float]:
    "All measures of one method on one clip."
    compared = range(0, len(frames), COMPARED)
    pairs = [(_tensor(frames[number]), _tensor(truth[number])) for number in compared]
    values = {
        "E_warp x 1000": 1000 * warping_error(frames, flows),
        "CDC x 1000": 1000 * color_consistency(frames),
        "colourfulness": float(np.mean([colorfulness(made).item() for made, _ in pairs])),
    }
    if frames is not truth:
        with torch.inference_mode():
            values["PSNR, dB"] = float(np.mean([psnr(made, true).item() for made, true in pairs]))
            values["LPIPS"] = float(np.mean([perceptual(made, true).item() for made, true in pairs]))
    return values


def _tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255


def warping_error(frames: Sequence[np.ndarray], flows: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """E_warp (Lai et al. 2018, arXiv:1808.00449): mean squared change of RGB in [0, 1] along the motion.

    `flows`: of each pair of neighbours, flow (H, W, 2) to the next, and where it counts, (H, W) bool. Pairs of which
    hardly anything counts are cuts, and left out.
    """
    errors = []
    for (this, following), (flow, counts) in zip(itertools.pairwise(frames), flows, strict=True):
        if counts.mean() < LEAST_COUNTING:
            continue
        moved = warp(following.astype(np.float32) / 255, flow)
        difference = ((this.astype(np.float32) / 255 - moved) ** 2).mean(-1)
        errors.append(float(difference[counts].mean()))
    return float(np.mean(errors))


def known_flows(clip: Clip) -> list[tuple[np.ndarray, np.ndarray]]:
    height, width = clip.frames[0].height, clip.frames[0].width
    flow = np.broadcast_to(np.float32(clip.flow), (height, width, 2)).copy()
    end = flow + np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    inside = (end >= 0).all(-1) & (end[..., 0] <= width - 1) & (end[..., 1] <= height - 1)
    return [(flow, inside)] * (len(clip.frames) - 1)


def estimated_flows(frames: Sequence[av.VideoFrame]) -> list[tuple[np.ndarray, np.ndarray]]:
    "Dense inverse search on the luma in full size; occlusions and edges of motion as Lai et al. leave them out."
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = []
    for this, following in itertools.pairwise([small_luma(f, (f.width, f.height)) for f in frames]):
        there, back = search.calc(this, following, None), search.calc(following, this, None)
        returned = warp(back, there)
        squares = (there**2).sum(-1) + (returned**2).sum(-1)
        hidden = ((there + returned) ** 2).sum(-1) > 0.01 * squares + 0.5
        slopes = sum((np.gradient(there[..., i], axis=a) ** 2) for i in (0, 1) for a in (0, 1))
        edge = slopes > 0.01 * (there**2).sum(-1) + 0.002
        flows.append((there, ~(hidden | edge)))
    return flows


def color_consistency(frames: Sequence[np.ndarray]) -> float:
    """CDC (Liu et al. 2021, arXiv:2110.08101): Jensen-Shannon divergence of the channels' histograms, frames apart."""
    histograms = [
        np.stack([np.bincount(frame[..., channel].ravel(), minlength=256) for channel in range(3)]) / frame[..., 0].size
        for frame in frames
    ]
    means = [
        np.mean([_divergence(a, b) for a, b in zip(histograms, histograms[apart:])])
        for apart in APART
        if len(frames) > apart
    ]
    return float(np.mean(means))


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    "Jensen-Shannon, natural logarithm, mean over the channels of (3, 256)."
    middle = (p + q) / 2
    terms = sum(np.where(x > 0, x * np.log(np.maximum(x, 1e-12) / np.maximum(middle, 1e-12)), 0) for x in (p, q))
    return float(terms.sum(-1).mean() / 2)


def as_results(clip: Clip, measured: dict[str, Measured]) -> list[Result]:
    size = f"{clip.frames[0].width} x {clip.frames[0].height}"
    title = f"video, {clip.name}, {size}, {len(clip.frames)} frames"
    about = {"table": "steadiness", "clip": clip.name, "size": size, "frames": len(clip.frames)}
    return [
        Result(title, f"{measure}, {name}", "", [value], about=about | {"measure": measure, "method": name})
        for measure in measured[OURS].values
        for name, method in measured.items()
        if (value := method.values.get(measure)) is not None
    ]


def write_strip(path: Path, measured: dict[str, Measured]) -> None:
    "Neighbouring frames side by side, every frame on its own above, ours below; from where the former changes most."
    single = measured[SINGLE].frames
    changes = [np.abs(a.mean((0, 1)) - b.mean((0, 1))).sum() for a, b in itertools.pairwise(single)]
    count = min(STRIP_FRAMES, len(single))
    sums = [sum(changes[i : i + count - 1]) for i in range(len(single) - count + 1)]
    first = int(np.argmax(sums))
    rows = []
    for name in (SINGLE, OURS):
        pictures = [Image.fromarray(frame) for frame in measured[name].frames[first : first + count]]
        width = round(STRIP_HEIGHT * pictures[0].width / pictures[0].height)
        small = [np.asarray(picture.resize((width, STRIP_HEIGHT), Image.Resampling.LANCZOS)) for picture in pictures]
        rows.append(np.hstack(small))
    gap = np.full((6, rows[0].shape[1], 3), 255, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack([rows[0], gap, rows[1]])).save(path, "JPEG", quality=85)
