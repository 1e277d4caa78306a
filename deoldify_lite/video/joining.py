"""The finished parts, and everything of the original but its pictures, into one file."""

from collections.abc import Iterator
from fractions import Fraction
from heapq import merge
from itertools import count
from pathlib import Path

import av
import numpy as np

from ..files import atomic_path
from .containers import KEEP_TIMES, Plan, add_copy
from .reading import Video, find_stream, is_cover, open_container
from .sound import Sound

Timed = tuple[float, int, av.Packet]  # seconds, a number that breaks ties, and what is muxed


def join(parts: list[Path], target: Path, plan: Plan, video: Video, start: float | None, end: float | None) -> None:
    """Write `target`, atomically: nothing is decoded or encoded again.

    With `start` the result's clock begins there; streams, subtitles and chapters are cut to `start` and `end`, seconds.
    """
    with atomic_path(target) as temporary, open_container(video.path) as original:
        shift = Fraction(start or 0).limit_denominator(10**6) + Fraction(video.start).limit_denominator(10**6)
        with av.open(str(temporary.absolute()), "w", format=plan.format, container_options=KEEP_TIMES) as result:
            result.metadata.update(original.metadata)
            if plan.chapters:
                result.set_chapters(_chapters(original, start or 0, end))
            stream = _add_pictures(result, parts[0], plan, video, find_stream(original))
            copies = {index: add_copy(result, original.streams[index]) for index in plan.copied}
            sounds = {index: Sound(original.streams[index], result) for index in plan.encoded}
            length = end and end - (start or 0)
            packets = merge(_pictures(parts, stream, shift, video), _others(original, copies, sounds, shift, length))
            for _, _, packet in packets:
                result.mux(packet)


def _add_pictures(
    result: av.container.OutputContainer, part: Path, plan: Plan, video: Video, original: av.video.stream.VideoStream
) -> av.video.stream.VideoStream:
    with av.open(str(part)) as first:
        stream = result.add_stream_from_template(first.streams.video[0], opaque=True)
    stream.time_base = video.time_base
    context = stream.codec_context
    if video.pixel_aspect:
        context.sample_aspect_ratio = video.pixel_aspect
    context.colorspace, context.color_range = video.colorspace, video.color_range
    context.color_primaries, context.color_trc = video.color_primaries, video.color_trc
    if plan.encoder == "libx265" and plan.format in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # without which Apple's players show no picture
    if video.matrix:
        stream.set_display_matrix(video.matrix)
    stream.metadata.update({key: value for key, value in original.metadata.items() if key != "encoder"})
    stream.disposition = original.disposition
    return stream


def _pictures(parts: list[Path], stream: av.video.stream.VideoStream, shift: Fraction, video: Video) -> Iterator[Timed]:
    """All parts' packets, with decoding times that increase across their ends.

    The i-th packet is decoded when the picture `delay` before the i-th that is seen is, which is never too late.
    """
    order = np.concatenate([_times(part, video.time_base) for part in parts])  # two hours are 1.4 MB of them
    seen = np.sort(order)
    rank = np.searchsorted(seen, order)
    delay = int((np.arange(len(order)) - rank).max())
    tick = max(1, round(1 / (video.rate * video.time_base)))
    offset = round(shift / video.time_base)
    numbers = count()
    for part in parts:
        with av.open(str(part)) as container:
            for packet in _packets(container):
                number = next(numbers)
                pts, place = int(order[number]), int(rank[number])
                early = int(seen[number - delay]) if number >= delay else int(seen[0]) - (delay - number) * tick
                following = int(seen[place + 1]) if place + 1 < len(seen) else pts + tick
                packet.pts, packet.dts, packet.duration = pts - offset, early - offset, following - pts
                packet.time_base, packet.stream = video.time_base, stream
                yield float(packet.dts * packet.time_base), 0, packet


def _times(part: Path, time_base: Fraction) -> np.ndarray:
    "Times of a part's packets. NUT counts in fractions of the time base that it was given."
    with av.open(str(part)) as container:
        times = (round(packet.pts * packet.time_base / time_base) for packet in _packets(container))
        return np.fromiter(times, np.int64)


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet]:
    return (packet for packet in container.demux(video=0) if packet.size)


def _others(
    original: av.container.InputContainer,
    copies: dict[int, av.stream.Stream],
    sounds: dict[int, Sound],
    shift: Fraction,
    length: float | None,
) -> Iterator[Timed]:
    "The packets of all streams but the pictures, as they are but for the clock, or encoded anew."
    indices = [index for index in (*copies, *sounds) if original.streams[index].type != "attachment"]
    if not indices:
        return
    clocks = {index: _Clock(original.streams[index], shift) for index in indices}
    number = 0
    for number, packet in enumerate(_readable(original, [original.streams[index] for index in indices]), 1):
        index = packet.stream_index
        if index not in clocks or not clocks[index].set(packet):
            continue
        time = float((packet.dts if packet.pts is None else packet.pts) * packet.time_base)
        is_before = shift and time + float((packet.duration or 0) * packet.time_base) <= 0
        if (is_before and not clocks[index].is_cover) or (length and time >= length):
            continue
        if index in copies:
            packet.stream = copies[index]
            yield time, number, packet
        else:
            yield from ((made.pts * made.time_base, number, made) for made in sounds[index].encode(packet))
    for sound in sounds.values():
        yield from ((made.pts * made.time_base, number, made) for made in sound.encode(None))


class _Clock:
    "Moves the times of a stream's packets so that the result begins at 0, and those of its sound always increase."

    def __init__(self, stream: av.stream.Stream, shift: Fraction):
        self.is_sound, self.is_cover = stream.type == "audio", is_cover(stream)
        self.moved = -round(shift / stream.time_base)
        self.latest = self.following = None  # the time of the last packet, and the one after it
        self.suspect = None  # the time of a packet far before these
        self.second = 1 / stream.time_base

    def set(self, packet: av.Packet) -> bool:
        "Move a packet; whether it can be in the result."
        if self.is_cover and packet.size:
            packet.pts = packet.dts = 0
            return True
        if packet.dts is None and packet.pts is None:
            return False
        if self.is_sound and packet.dts is not None:
            time = packet.dts + self.moved
            if self.latest is not None and time <= self.latest:
                # After damage, clocks may run twice, which no muxer takes, or a single time be wrong. But where another
                # packet goes on from there, recordings were put one after the other.
                before, self.suspect = self.suspect, packet.dts
                goes_on = before is not None and 0 <= packet.dts - before < self.second
                if self.following - time < self.second or not goes_on:
                    return False
                self.moved += self.following - time
                time, self.suspect = self.following, None
            self.latest, self.following = time, time + (packet.duration or 1)
        packet.pts = None if packet.pts is None else packet.pts + self.moved
        packet.dts = None if packet.dts is None else packet.dts + self.moved
        return True


def _readable(original: av.container.InputContainer, streams: list[av.stream.Stream]) -> Iterator[av.Packet]:
    packets = original.demux(*streams)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.FFmpegError):  # the end, or damage, which the pictures have met as well
            return


def _chapters(original: av.container.InputContainer, start: float, end: float | None) -> list[dict]:
    "The chapters between `start` and `end`, in seconds, by a clock that begins at `start`."
    kept = []
    for chapter in original.chapters():
        base = chapter["time_base"]
        first, last = chapter["start"] * base - Fraction(start), chapter["end"] * base - Fraction(start)
        if last <= 0 or (end is not None and first >= end - start):
            continue
        last = last if end is None else min(last, Fraction(end - start))
        kept.append(chapter | {"start": round(max(first, 0) / base), "end": round(last / base)})
    return kept
