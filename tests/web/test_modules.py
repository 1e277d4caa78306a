"The site's JavaScript modules give what their models in Python give, in a real browser."

import numpy as np
import pytest
from PIL import Image

from deoldify_lite.colorize.engine import working_size
from deoldify_lite.photo import Photo
from deoldify_lite.photo.merging import merge, merge_for_jpeg
from helpers.photo_files import noise

pytestmark = pytest.mark.slow

RESIZE = """async ([pixels, width, height, channels, newWidth, newHeight, filter, gap]) => {
    const { resize } = await import("./resizing.js");
    const picture = { pixels: Uint8Array.from(pixels), width, height, channels };
    return Array.from(resize(picture, newWidth, newHeight, filter, gap).pixels);
}"""
MERGE = """async ([luma, width, height, chroma, small, strength, forJpeg]) => {
    const { merge } = await import("./merging.js");
    const photo = { luma: Uint8Array.from(luma), alpha: null, width, height };
    const prediction = { chroma: Float32Array.from(chroma), width: small[0], height: small[1] };
    const merged = [];
    for (const { top, rows } of merge(photo, prediction, strength, forJpeg)) merged.push([top, Array.from(rows.data)]);
    return merged;
}"""
MERGE_LARGE = """async ([width, height, x, y]) => {
    const { merge } = await import("./merging.js");
    const luma = Uint8Array.from({ length: width * height }, (_, i) => 13 * Math.floor(i / width) + 7 * (i % width));
    const prediction = { chroma: new Float32Array(128).fill(0.1), width: 8, height: 8 };
    const parts = [...merge({ luma, alpha: null, width, height }, prediction, 1, false)];
    const pixel = (x, y) => {
        const { top, rows } = parts.findLast((part) => part.top <= y);
        return Array.from(rows.data.subarray(4 * ((y - top) * width + x)).subarray(0, 3));
    };
    return [parts.map((part) => part.top), parts.map((part) => part.rows.height), x.map((_, i) => pixel(x[i], y[i]))];
}"""
WORKING_SIZES = """async (sizes) => {
    const { workingSize } = await import("./engine.js");
    return sizes.map((size) => workingSize(...size));
}"""
NAMES = """async (names) => {
    const { resultName } = await import("./writing.js");
    return names.map((name) => resultName(name, "jpeg"));
}"""

GROUPS = """async (sizes) => {
    const { groups } = await import("./zip.js");
    return groups(sizes.map((size) => ({ blob: { size } })), 10).map((group) => group.map((entry) => entry.blob.size));
}"""
AGAIN = """async () => {
    const { Queue } = await import("./queue.js");
    const own = window.Worker, sent = [];
    let worker;
    window.Worker = class {
        constructor() { worker = this; }
        postMessage({ settings }) { sent.push(settings); }
    };
    const queue = new Queue();
    queue.start();
    window.Worker = own;
    queue.settings = { format: "jpeg" };
    worker.onmessage({ data: { kind: "ready" } });
    queue.add([new Blob()]);
    worker.onmessage({ data: { kind: "failed", id: 1, message: "cannot write a JPEG of this size" } });
    queue.settings = { format: "png" };
    queue.settings = { format: "webp" }; // while it is worked on
    worker.onmessage({ data: { kind: "failed", id: 1, message: "nor a PNG" } });
    return sent;
}"""


@pytest.mark.parametrize(
    ("size", "channels", "new_size", "gap"),
    [
        ((97, 61), 1, (32, 32), 3),  # a little smaller
        ((700, 500), 1, (96, 64), 3),  # blocks of two by two first, with parts of blocks at the edges
        ((1000, 90), 1, (64, 32), 3),
        ((40, 30), 1, (96, 64), 3),  # larger
        ((32, 200), 1, (32, 64), 3),
        ((1, 1), 1, (192, 192), 3),
        ((24, 16), 4, (130, 77), None),
        ((24, 16), 4, (24, 16), None),
    ],
)
def test_resizing_is_pillows_to_the_last_level(page, size, channels, new_size, gap):
    pixels = noise(size[1], size[0], channels)
    image = Image.fromarray(pixels[..., 0]) if channels == 1 else Image.fromarray(pixels, "CMYK")
    name = "bicubic" if channels == 1 else "bilinear"
    expected = np.asarray(image.resize(new_size, Image.Resampling[name.upper()], reducing_gap=gap))
    found = page.evaluate(RESIZE, [pixels.ravel().tolist(), *size, channels, *new_size, name, gap or 0])
    assert np.array_equal(np.reshape(found, expected.shape), expected)


@pytest.mark.parametrize("for_jpeg", [False, True])
@pytest.mark.parametrize(
    ("size", "small", "strength"),
    [
        ((64, 48), (64, 48), 1.0),  # one chroma value a pixel
        ((75, 53), (12, 8), 2.0),  # for 2 x 2 of them, most colours out of gamut
        ((171, 139), (13, 11), 0.7),  # for 4 x 4
        ((1, 1), (32, 32), 1.0),
    ],
)
def test_merging_is_the_engines(page, size, small, strength, for_jpeg):
    luma = noise(size[1], size[0])
    chroma = np.random.default_rng(1).normal(0, 0.15, (2, small[1], small[0])).clip(-0.5, 0.5).astype(np.float32)
    merged = page.evaluate(MERGE, [luma.ravel().tolist(), *size, chroma.ravel().tolist(), small, strength, for_jpeg])
    found = np.concatenate([np.reshape(rows, (-1, size[0], 4)) for top, rows in merged])
    scaled = chroma * np.float32(strength)
    expected = np.asarray(merge_for_jpeg(luma, scaled).convert("RGB")) if for_jpeg else merge(luma, scaled)
    assert (found[..., 3] == 255).all()
    difference = np.abs(found[..., :3].astype(int) - expected)
    assert difference.max() <= 2 and (difference > 0).mean() < 0.01
    assert luma.size == 1 or np.ptp(expected.astype(int), axis=-1).mean() > 5


def test_large_pictures_are_merged_in_parts(page):
    width, height = 4000, 300
    x, y = np.random.default_rng(2).integers(0, (width, height), (50, 2)).T
    tops, rows, found = page.evaluate(MERGE_LARGE, [width, height, x.tolist(), y.tolist()])
    assert tops == [0, 260] and sum(rows) == height
    luma = np.add.outer(13 * np.arange(height), 7 * np.arange(width)).astype(np.uint8)
    expected = Photo(luma).merge(np.full((2, 8, 8), 0.1, np.float32))[y, x]
    assert np.abs(np.array(found) - expected).max() <= 1


def test_working_sizes_are_the_engines(page):
    sizes = [(w, h, f) for w in (1, 5, 640, 4000, 9001) for h in (1, 33, 480, 3000) for f in (2, 10, 12, 35)]
    expected = [list(working_size((w, h), f)) for w, h, f in sizes]
    assert page.evaluate(WORKING_SIZES, sizes) == expected


def test_archives_stay_small_enough(page):
    assert page.evaluate(GROUPS, [4, 5, 1, 2, 20, 3]) == [[4, 5, 1], [2], [20], [3]]
    assert page.evaluate(GROUPS, []) == []


def test_what_failed_is_tried_again_with_other_settings(page):
    """A format that this browser cannot write may have been the reason."""
    assert page.evaluate(AGAIN) == [{"format": "jpeg"}, {"format": "png"}, {"format": "webp"}]


def test_names_of_results(page):
    names = ["a.jpg", "B.JPEG", "c.d.png", "no extension", ".hidden", "two\nlines.webp", "x.jfif"]
    expected = ["a.jpg", "B.JPEG", "c.d.jpg", "no extension.jpg", ".jpg", "two\nlines.jpg", "x.jfif"]
    assert page.evaluate(NAMES, names) == expected
