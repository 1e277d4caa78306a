"""Small videos made on the spot: shapes that move over a texture, so that flow has something to hold on to."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 96, 64


def texture(seed: int, height: int, width: int) -> np.ndarray:
    "Smooth noise, 0 to 1."
    import cv2

    noise = np.random.default_rng(seed).random((height // 4 + 1, width // 4 + 1)).astype(np.float32)
    return np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def pan(frames: int, seed: int = 0, step: float = 1, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    "Luma (H, W), 0 to 1, of a camera that moves to the right by `step` pixels a frame."
    wide = texture(seed, height, width + round(frames * step) + 1)
    return [wide[:, round(i * step) : round(i * step) + width] for i in range(frames)]


def to_frame(luma: np.ndarray, pixel_format: str = "yuv420p", chroma: int | None = None) -> av.VideoFrame:
    "A frame of this luma (H, W), 0 to 1, without colour."
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], pixel_format)
    bits = frame.format.components[0].bits
    unit, kind = 1 << (bits - 8), np.uint16 if bits > 8 else np.uint8
    levels = np.rint((16 + luma * 219) * unit).astype(kind)
    for number, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
        rows[:] = (128 if chroma is None else chroma) * unit
        if number == 0:
            rows[:, : luma.shape[1]] = levels
    return frame


def write_clip(
    path: Path,
    lumas: Sequence[np.ndarray],
    *,
    codec: str = "ffv1",
    pixel_format: str = "yuv420p",
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    rate: int = 25,
    sound: bool | str = False,
    subtitles: bool = False,
    attachment: bytes | None = None,
    chapters: Sequence[tuple[float, float, str]] = (),
    pixel_aspect: Fraction | None = None,
    color: tuple[int, int, int, int] | None = None,
    rotation: int = 0,
    chroma: int | None = None,
    options: dict[str, str] | None = None,
    format: str | None = None,
) -> Path:
    """Write frames with times in units of `time_base`; `color` is matrix, range, primaries and transfer; `sound` may be
    the name of a codec."""
    height, width = lumas[0].shape
    times = times or [round(i / rate / time_base) for i in range(len(lumas))]
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        stream.time_base = context.time_base = time_base
        if pixel_aspect:
            context.sample_aspect_ratio = pixel_aspect
        if color:
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = color
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream("aac" if sound is True else sound, rate=8000) if sound else None
        if attachment is not None:
            container.add_attachment("note.txt", "text/plain", attachment)
        text = container.add_mux_stream("subrip") if subtitles else None
        container.set_chapters(
            [
                {
                    "id": number,
                    "start": round(begin * 1000),
                    "end": round(end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, (begin, end, title) in enumerate(chapters)
            ]
        )
        container.metadata["title"] = "A clip"
        packets = []
        for luma, time in zip(lumas, times):
            frame = to_frame(luma, pixel_format, chroma)
            frame.pts, frame.time_base = time, time_base
            if color:
                frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = color
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if tone is not None:
            packets += _tone(tone, float(times[-1] * time_base))
        if text is not None:
            packet = av.Packet(b"a line of text")
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 40
            packet.duration = 100
            packets.append(packet)
        packets.sort(key=lambda packet: float((packet.pts if packet.dts is None else packet.dts) * packet.time_base))
        for packet in packets:
            container.mux(packet)
    return path


def _tone(stream: av.audio.stream.AudioStream, seconds: float) -> list[av.Packet]:
    wave = np.sin(np.arange(round(max(seconds, 0.3) * 8000)) / 8000 * 440 * 2 * np.pi) * 0.3
    packets, context = [], stream.codec_context
    context.bit_rate = 32_000
    context.open()
    resampler = av.AudioResampler(context.format, context.layout, 8000, context.frame_size or None)
    for begin in range(0, len(wave), 1024):
        piece = np.tile(wave[begin : begin + 1024], (2, 1)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 8000, begin, Fraction(1, 8000)
        packets += [packet for part in resampler.resample(frame) for packet in stream.encode(part)]
    return packets + [packet for part in (*resampler.resample(None), None) for packet in stream.encode(part)]


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    "The planes as arrays, without padding."
    kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    return [np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].copy() for plane in frame.planes]


def assert_same_frames(one: Path, other: Path) -> None:
    "Two videos have the same pixels at the same times."
    different = []
    for number, (before, after) in enumerate(zip(decode(one), decode(other), strict=True)):
        assert before.pts == after.pts
        pairs = zip(planes(before), planes(after))
        different += [(number, plane) for plane, (a, b) in enumerate(pairs) if not np.array_equal(a, b)]
    assert not different, "frames and planes"


def payloads(path: Path, kind: str) -> list[tuple[int, bytes]]:
    "Time in microseconds, and content, of all packets of the streams of a kind."
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [
            (round(packet.pts * packet.time_base * 10**6), bytes(packet))
            for packet in container.demux(*streams)
            if packet.size
        ]
