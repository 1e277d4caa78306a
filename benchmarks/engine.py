"The network as the colorizing engine runs it: photos a second, fraction of the peak, and where its time goes."

from collections.abc import Callable, Iterable

import torch
from PIL import Image
from torch import nn
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from deoldify_lite.device import PRECISIONS
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.photo import photo_from_image

from .configuration import Configuration
from .results import Result, timed

CONVOLUTIONS = ((128, 256), (256, 128), (512, 64))  # channels in and out, and the picture's side, as in a U-Net
BATCHES = (1, 4, 16)
BATCH_PIXELS = 400_000  # more at once only takes memory
TOP = 12


def measure_peaks(device: torch.device, repeats: int, precisions: Iterable[str]) -> list[Result]:
    "TFLOP/s of the fastest of some large convolutions: what a network that is made of them could reach."
    results = []
    for precision in precisions:
        layers = [_convolution(channels, side, device, PRECISIONS[precision]) for channels, side in CONVOLUTIONS]
        rates = []
        for repeat in range(repeats + 1):
            best = max(flops / timed(call)[0] for call, flops in layers)
            if repeat:  # the first one warms up
                rates.append(best / 1e12)
        title = f"peak: the best of {len(layers)} convolutions of 3x3, channels_last, on {device}"
        about = {"precision": precision, "device": str(device)}
        results.append(Result(title, precision, "TFLOP/s", rates, about=about))
    return results


def _convolution(channels: int, side: int, device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], float], int]:
    "A call of one convolution, and its arithmetic in FLOP: a multiplication and an addition count as two."
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layer = layer.to(device, dtype, memory_format=torch.channels_last)
    x = torch.randn(1, channels, side, side, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def call() -> float:
        return layer(x)[0, 0, 0, 0].item()  # which waits for a GPU

    return call, 2 * 9 * channels**2 * side**2


def measure_engine(
    configuration: Configuration, photo: Image.Image, repeats: int, peaks: Iterable[Result] = ()
) -> list[Result]:
    """Photos a second of the network alone, one by one and in batches, and the fraction of the peak that this is.

    photo: its shape and the render factor decide the size that the network works at.
    """
    x = configuration.preprocess(photo_from_image(photo))
    flops = count_flops(configuration, x.size)
    peak = next((peak for peak in peaks if peak.about["precision"] == configuration.about["precision"]), None)
    title = f"engine: {configuration} ({x.width} x {x.height}, {flops / 1e9:.3g} GFLOP a photo)"
    results = []
    for batch in batch_sizes(x.size):
        about = configuration.about | {"network_size": x.size, "flop_a_photo": flops, "batch": batch}
        inputs = [x] * batch
        configuration.predict(inputs)  # warms up
        seconds = [timed(lambda inputs=inputs: configuration.predict(inputs))[0] for _ in range(repeats)]
        what = "one by one" if batch == 1 else f"{batch} at once"
        results.append(Result(title, what, "photos/s", [batch / s for s in seconds], about=about))
        if peak:
            percent = [100 * batch * flops / s / (peak.middle * 1e12) for s in seconds]
            results.append(Result(title, f"{what}, of the peak in {peak.what}", "%", percent, about=about))
    return results


def batch_sizes(size: tuple[int, int]) -> list[int]:
    "How many photos go through the network together, one of which is 1."
    return [n for n in BATCHES if n == 1 or n * size[0] * size[1] <= BATCH_PIXELS]


def count_flops(configuration: Configuration, size: tuple[int, int]) -> int:
    """The arithmetic of the plain network for one picture, counted on the device that does none.

    Each convolution counts as if done directly. The engine may do with less, as Winograd's way does, and so even have
    more than all of a peak.
    """
    generator = load_generator(configuration.path).to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        generator.chroma(torch.empty(1, 3, *size[::-1], device="meta"))
    return counter.get_total_flops()


def profile_network(configuration: Configuration, photo: Image.Image) -> list[Result]:
    "The operators that take most of one call of the network, by the shapes of their inputs."
    x = configuration.preprocess(photo_from_image(photo))
    configuration.predict([x])  # warms up
    on_gpu = configuration.about["device"].startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with torch.profiler.profile(activities=activities, record_shapes=True) as profiler:
        configuration.predict([x])

    def milliseconds(event) -> float:
        return (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000

    events = sorted(profiler.key_averages(group_by_input_shape=True), key=milliseconds, reverse=True)
    total = sum(map(milliseconds, events))
    title = f"network, one call: {configuration} ({x.width} x {x.height})"
    results = []
    for event in events[:TOP]:
        shapes = " x ".join(str(shape) for shape in event.input_shapes[:2] if shape)
        note = f"{milliseconds(event) / total:.0%} of the call, {event.count} times"
        what = f"{event.key.removeprefix('aten::')} {shapes}".strip()
        results.append(Result(title, what, "ms", [milliseconds(event)], note, configuration.about))
    return results
