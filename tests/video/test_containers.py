"How results are written."

import os
import zlib
from collections import deque
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from deoldify_lite.video.containers import CODECS, add_video_stream, encode, make_plan
from deoldify_lite.video.reading import probe
from helpers.clips import pan, texture, to_frame, write_clip

RUNS = 400


def test_h264_of_the_same_frames_is_the_same_each_time(tmp_path):
    """x264 with AVX-512 gives other pixels once in some hundred runs, and films that are resumed must not."""
    video = probe(write_clip(tmp_path / "in.mkv", pan(20)))
    plan = make_plan(video, tmp_path / "result.mkv")
    assert plan.encoder == "libx264"
    frames = [to_frame(luma) for luma in pan(20)]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, 1 / video.rate
        for seed, plane in enumerate(frame.planes[1:]):
            colors = np.rint(90 + 70 * texture(seed, plane.height, plane.width))
            np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] = colors

    def encode() -> int:
        encoder = av.CodecContext.create(plan.encoder, "w")
        encoder.width, encoder.height, encoder.pix_fmt = video.width, video.height, plan.pixel_format
        encoder.options, encoder.thread_count = plan.options, plan.threads
        encoder.time_base, encoder.framerate = 1 / video.rate, video.rate
        checksum = 0
        for frame in [*frames, None]:
            for packet in encoder.encode(frame):
                checksum = zlib.crc32(bytes(packet), checksum)
        return checksum

    draw, others = np.random.default_rng(0), deque(maxlen=40)
    checksums = set()
    for _ in range(RUNS):
        used = draw.integers(256, size=draw.integers(1000, 200_000), dtype=np.uint8)
        others.append(used)  # memory is not always clean
        checksums.add(encode())
    assert len(checksums) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no such priorities on this system")
@pytest.mark.parametrize("codec", sorted(CODECS))
def test_encoding_takes_the_machine_from_nobody(tmp_path, codec):
    "SVT-AV1 makes threads of root real-time ones, which children would inherit; then all else on the machine stops."
    video = probe(write_clip(tmp_path / "in.mkv", pan(5)))
    policies = set()
    with av.open(str(tmp_path / "result.mkv"), "w") as container:
        stream = add_video_stream(container, make_plan(video, tmp_path / "result.mkv", codec), video)
        for frame in [*map(to_frame, pan(5)), None]:
            container.mux(encode(stream, frame))
            policies |= {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}
    assert not policies & {os.SCHED_FIFO, os.SCHED_RR}


@pytest.mark.parametrize("unset", [None, -(2**40), 2**40])
def test_decoding_times_that_an_encoder_left_unset_are_those_of_showing(unset):
    packet = av.Packet(b"a picture")
    packet.pts, packet.dts, packet.time_base = 3, unset, Fraction(1, 25)
    (written,) = encode(SimpleNamespace(encode=lambda frame: [packet]), None)
    assert (written.pts, written.dts) == (3, 3)


def test_pictures_that_are_shown_later_keep_their_decoding_times():
    packet = av.Packet(b"a picture")
    packet.pts, packet.dts, packet.time_base = 3, -2, Fraction(1, 25)
    (written,) = encode(SimpleNamespace(encode=lambda frame: [packet]), None)
    assert written.dts == -2
