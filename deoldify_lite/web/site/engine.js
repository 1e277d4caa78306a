// The steps from a photo to its colour pixels, as in deoldify_lite/colorize/engine.py: preprocess, predict, merge.

import { merge } from "./merging.js";
import { resize } from "./resizing.js";

const { stride, longest } = BUILD.engine;

/** Width and height of the network's input: the photo's shape, about the area of a square of 16 x `renderFactor`. */
export function workingSize(width, height, renderFactor) {
  const side = 16 * renderFactor;
  const ratio = Math.sqrt(width / height);
  const fitted = (length) => stride * Math.max(1, roundHalfToEven(Math.min(length, longest * side) / stride));
  return [fitted(side * ratio), fitted(side / ratio)];
}

/** As Python rounds. */
function roundHalfToEven(x) {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}

/** The network's input: a photo's luma at `workingSize`, 8 bit. */
export function preprocess({ luma, width, height }, renderFactor) {
  return resize({ pixels: luma, width, height }, ...workingSize(width, height, renderFactor), "bicubic", 3);
}

/**
 * Cb and Cr in [-0.5, 0.5], one plane after the other, of what `preprocess` gives.
 *
 * This is the one place that knows the network's inputs and outputs by name.
 */
export async function predict(network, { pixels, width, height }) {
  const luma = Float32Array.from(pixels, (level) => level / 255);
  const feeds = { luma: new network.Tensor("float32", luma, [1, 1, height, width]) };
  const { chroma } = await network.session.run(feeds);
  const data = Float32Array.from(await chroma.getData());
  chroma.dispose();
  if (!data.every(Number.isFinite)) throw new Error("the network's output is not finite");
  return { chroma: data, width, height };
}

export { merge };
