"How results are written."

import zlib
from collections import deque

import numpy as np

from deoldify_lite.video.containers import make_plan
from deoldify_lite.video.reading import probe
from helpers.clips import pan, texture, to_frame, write_clip

RUNS = 400


def test_h264_of_the_same_frames_is_the_same_each_time(tmp_path):
    """x264 with AVX-512 gives other pixels once in some hundred runs, and films that are resumed must not."""
    import av

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
