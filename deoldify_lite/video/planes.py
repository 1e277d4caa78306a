"""Between decoded frames and arrays: the luma plane as it is, and chroma planes that fit it.

Whatever YUV format a frame has, its Y plane goes to the new frame bit for bit, as long as the encoder takes its depth.
"""

from fractions import Fraction
from functools import lru_cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from ..bt601 import CB_SCALE, CR_SCALE, LUMA_WEIGHTS

# How much red and blue count in luma, by the number of the matrix that a stream names (ITU-T H.273).
BT709, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020, BT2020_CONSTANT = 1, 4, 5, 6, 7, 9, 10
BT601_WEIGHTS = (LUMA_WEIGHTS[0], LUMA_WEIGHTS[2])
MATRICES = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: BT601_WEIGHTS,
    SMPTE170M: BT601_WEIGHTS,
    SMPTE240M: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
    BT2020_CONSTANT: (0.2627, 0.0593),
}
HD_HEIGHT = 720  # from which on players take an unspecified matrix for BT.709
ROUGH = 1e-3  # variance of luma, 0 to 1, below which a neighbourhood counts as flat
LAYOUTS = ("420", "422", "444")


class UnknownPixels(ValueError):
    "An encoder that takes no pixel format with chroma that fits these frames."


def matrix_of(frame: av.VideoFrame) -> int:
    "The frame's colour matrix (ITU-T H.273); where it does not say, what players take it for."
    if frame.colorspace in MATRICES:
        return int(frame.colorspace)
    return BT709 if frame.height >= HD_HEIGHT else SMPTE170M


def is_full_range(frame: av.VideoFrame) -> bool:
    "Whether black is 0 and white the highest value, and not 16 and 235 (in 8 bit)."
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return frame.color_range == ColorRange.JPEG
    return frame.format.name.startswith(("yuvj", "gray"))


def has_luma_plane(frame: av.VideoFrame) -> bool:
    "Whether the first plane is Y and nothing else, in whole bytes of this machine's order."
    name = frame.format.name
    planar = name.startswith(("yuv", "yuva", "gray", "nv", "p0", "p2", "p4"))
    packed = name.startswith(("yuyv", "yvyu", "grayf"))
    return planar and not packed and not name.endswith("be")


def with_luma_plane(frame: av.VideoFrame) -> av.VideoFrame:
    "The frame itself, or, of a format such as RGB, its YUV."
    if has_luma_plane(frame):
        return frame
    deep = max(component.bits for component in frame.format.components) > 8
    converted = frame.reformat(
        format="yuv444p10le" if deep else "yuv444p",
        dst_colorspace=BT709 if frame.height >= HD_HEIGHT else BT470BG,
        dst_color_range=ColorRange.MPEG,
    )
    _copy_times(frame, converted)
    converted.colorspace = BT709 if frame.height >= HD_HEIGHT else BT470BG
    converted.color_range = ColorRange.MPEG
    return converted


def _copy_times(source: av.VideoFrame, target: av.VideoFrame) -> None:
    target.pts, target.duration = source.pts, source.duration
    if source.time_base is not None:
        target.time_base = source.time_base


def depth_of(frame: av.VideoFrame) -> int:
    "Bits of a luma value."
    return frame.format.components[0].bits


def luma_of(frame: av.VideoFrame) -> np.ndarray:
    "The Y plane (H, W), uint8 or uint16, of a frame that has one: a view where possible."
    plane, deep = frame.planes[0], depth_of(frame) > 8
    values = np.frombuffer(plane, np.uint16 if deep else np.uint8)
    values = values.reshape(frame.height, plane.line_size // (2 if deep else 1))[:, : frame.width]
    if frame.format.name.startswith(("p0", "p2", "p4")):  # whose bits are the upper ones
        values = values >> (16 - depth_of(frame))
    return values


def limits_of(frame: av.VideoFrame, depth: int | None = None) -> tuple[int, int, int]:
    "Black, the distance from black to white, and the whole width of chroma, in levels at this depth."
    unit = 1 << ((depth or depth_of(frame)) - 8)
    whole = (256 * unit) - 1
    return (0, whole, whole) if is_full_range(frame) else (16 * unit, 219 * unit, 224 * unit)


def small_luma(frame: av.VideoFrame, size: tuple[int, int], turns: int = 0) -> np.ndarray:
    "Luma (h, w), uint8, full range, at `size` (w, h) after `turns` quarters of a turn counterclockwise."
    width, height = size if turns % 2 == 0 else size[::-1]
    black, extent, _ = limits_of(frame)
    small = cv2.resize(luma_of(frame), (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.addWeighted(small, 255 / extent, small, 0, -black * 255 / extent, dtype=cv2.CV_8U)
    return np.ascontiguousarray(np.rot90(small, turns))


@lru_cache(maxsize=16)
def pick_format(source: str, width: int, height: int, offered: tuple[str, ...]) -> str:
    """The pixel format to encode frames of the format `source` in, of those `offered`.

    Keeps depth and subsampling where possible; grey gets halved chroma. Sizes that are odd cannot be halved.

    Raises:
        UnknownPixels: the encoder offers none.
    """
    format = av.VideoFormat(source, width, height)
    across = down = 2
    if len(format.components) > 2:
        across, down = 64 // format.chroma_width(64), 64 // format.chroma_height(64)
    layout = {(2, 2): "420", (2, 1): "422", (1, 1): "444"}.get((across, down), "420")
    layouts = [each for each in LAYOUTS if each >= layout] + [each for each in LAYOUTS[::-1] if each < layout]
    layouts = [each for each in layouts if _divides(each, width, height)]
    depth = format.components[0].bits
    depths = sorted((8, 9, 10, 12, 14, 16), key=lambda bits: (bits < depth, abs(bits - depth)))
    for bits in depths:
        for each in layouts:
            name = f"yuv{each}p" + ("" if bits == 8 else f"{bits}le")
            if name in offered:
                return name
    raise UnknownPixels(f"it takes no picture of {width} x {height} in {source}")


def _divides(layout: str, width: int, height: int) -> bool:
    return (layout == "444" or width % 2 == 0) and (layout != "420" or height % 2 == 0)


def put_chroma(frame: av.VideoFrame, chroma: np.ndarray, target: str, turns: int = 0) -> av.VideoFrame:
    """A new frame with the Y plane, times and colour metadata of `frame`, and these colours.

    Args:
        chroma: (h, w, 2), float32, Cb and Cr of BT.601 in [-0.5, 0.5], upright, of any size.
        target: the new frame's pixel format, as `pick_format` names it.
        turns: quarters of a turn, counterclockwise, that make `frame` upright.

    The differences from luma, B - Y and R - Y, are what BT.601 makes of `chroma`; the planes hold them in the frame's
    own matrix. Colours that leave the gamut at their luma are weakened until they fit.
    """
    made = av.VideoFrame(frame.width, frame.height, target)
    _copy_times(frame, made)
    made.colorspace = matrix_of(frame)
    made.color_range = ColorRange.JPEG if is_full_range(frame) else frame.color_range
    made.color_primaries, made.color_trc = frame.color_primaries, frame.color_trc
    depth, luma = depth_of(made), luma_of(frame)
    _write_plane(made.planes[0], _to_depth(luma, depth_of(frame), depth))

    black, extent, _ = limits_of(frame)
    _, _, span = limits_of(frame, depth)
    size = (made.planes[1].width, made.planes[1].height)
    guide = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    guide = (guide - black) / extent
    blue, red = _stretch(np.rot90(chroma, -turns), guide)
    blue, red = blue * CB_SCALE, red * CR_SCALE  # B - Y and R - Y
    weight_red, weight_blue = MATRICES[matrix_of(frame)]
    green = (blue * weight_blue + red * weight_red) / (weight_red + weight_blue - 1)
    room = _room(guide, np.maximum(np.maximum(blue, red), green), np.minimum(np.minimum(blue, red), green))
    middle = 1 << (depth - 1)
    for plane, difference, weight in ((made.planes[1], blue, weight_blue), (made.planes[2], red, weight_red)):
        levels = difference * room * (span / (2 * (1 - weight))) + middle
        _write_plane(plane, np.rint(levels).clip(0, (1 << depth) - 1).astype(np.uint16 if depth > 8 else np.uint8))
    return made


def _stretch(chroma: np.ndarray, guide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cb and Cr, each of the size of `guide` (H, W), luma in [0, 1], whose edges they follow.

    Fast guided filter (He and Sun 2015, arXiv:1505.00996): in each neighbourhood of the small picture chroma is a
    linear function of luma, which is stretched in place of the chroma.
    """
    small = (chroma.shape[1], chroma.shape[0])
    luma = cv2.resize(guide, small, interpolation=cv2.INTER_AREA)
    chroma = np.ascontiguousarray(chroma, np.float32)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (3, 3))

    average, average_chroma = mean(luma), mean(chroma)
    variance = mean(luma**2) - average**2
    slope = (mean(luma[..., None] * chroma) - average[..., None] * average_chroma) / (variance + ROUGH)[..., None]
    lines = mean(np.dstack([slope, average_chroma - slope * average[..., None]]))
    lines = cv2.resize(lines, guide.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return lines[..., 0] * guide + lines[..., 2], lines[..., 1] * guide + lines[..., 3]


def _room(luma: np.ndarray, highest: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    "The fraction of the colour at which neither its highest nor its lowest channel leaves [0, 1]."
    above = np.maximum(1 - luma, 0) / np.maximum(highest, 1e-6)
    below = np.maximum(luma, 0) / np.maximum(-lowest, 1e-6)
    return np.minimum(np.minimum(above, below), 1)


def _to_depth(values: np.ndarray, depth: int, wanted: int) -> np.ndarray:
    if wanted >= depth:
        values = values.astype(np.uint16) << (wanted - depth) if wanted > depth else values
    else:
        values = values >> (depth - wanted)
    return values if wanted > 8 else values.astype(np.uint8, copy=False)


def _write_plane(plane: av.video.plane.VideoPlane, values: np.ndarray) -> None:
    rows = np.frombuffer(plane, values.dtype).reshape(plane.height, plane.line_size // values.itemsize)
    rows[:, : values.shape[1]] = values


def is_coloured(frame: av.VideoFrame) -> bool:
    "Whether more than one in a hundred of its pixels have a colour that can be seen."
    rgb = frame.to_ndarray(format="rgb24")[::4, ::4].astype(np.int16)
    return float((np.ptp(rgb, axis=-1) > 24).mean()) > 0.01


def display_size(frame: av.VideoFrame, pixel_aspect: Fraction | None, turns: int) -> tuple[int, int]:
    "Width and height as seen: square pixels, upright."
    width, height = max(1, round(frame.width * (pixel_aspect or 1))), frame.height
    return (width, height) if turns % 2 == 0 else (height, width)
