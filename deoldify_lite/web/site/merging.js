// Merges a photo's luma, at full resolution, with the small chroma planes of the network: photo/merging.py, for 8 bit.

import { resize } from "./resizing.js";

const { chromaToRgb } = BUILD.engine; // what one unit of Cb and of Cr adds to R, G and B at constant luma
const LARGEST = 127 / 255; // Cb or Cr that 8 bit can hold, to either side
const CHANNELS = 4; // Cb, Cr, and the lightest and the darkest luma that is in gamut with them

/**
 * Yields the colour pixels of a photo, some rows at a time: `{ top, rows }`, `rows` an ImageData.
 *
 * Where luma and chroma together leave the gamut, the chroma is reduced, so that luma stays within one level.
 *
 * `prediction`: Cb and Cr in [-0.5, 0.5], one plane after the other, of any size; resized to the photo's.
 * `forJpeg`: one chroma value for 2 x 2 pixels, since a JPEG holds no more.
 */
export function* merge({ luma, alpha, width, height }, prediction, strength, forJpeg) {
  const block = Math.max(forJpeg ? 2 : 1, blockSide(width, height, prediction));
  const [columns, lines] = [Math.ceil(width / block), Math.ceil(height / block)];
  const limits = resize(withLimits(prediction, strength), columns, lines, "bilinear").pixels;
  const lightest = new Uint8Array(columns);
  const darkest = new Uint8Array(columns);
  const offsets = new Int16Array(columns * 3);
  const step = block * Math.max(1, Math.floor(2 ** 20 / (width * block)));
  for (let top = 0; top < height; top += step) {
    const rows = new ImageData(width, Math.min(step, height - top));
    const words = new Uint32Array(rows.data.buffer);
    for (let y = top; y < top + rows.height; y += block) {
      const end = Math.min(y + block, height);
      extremes(luma, width, y, end, block, lightest, darkest);
      fittedOffsets(limits.subarray((y / block) * columns * CHANNELS), lightest, darkest, offsets);
      for (let row = y; row < end; row++) paint(luma, alpha, row * width, width, block, offsets, words, (row - top) * width);
    }
    yield { top, rows };
  }
}

/** The side of the blocks that share one chroma value: chroma that is enlarged many times changes little. */
function blockSide(width, height, prediction) {
  const magnified = Math.min(height / prediction.height, width / prediction.width);
  return magnified >= 12 ? 4 : magnified >= 6 ? 2 : 1;
}

/** Cb and Cr in levels, with the limits of luma. Those, too, may be interpolated. */
function withLimits({ chroma, width, height }, strength) {
  const pixels = new Uint8ClampedArray(width * height * CHANNELS);
  for (let i = 0; i < width * height; i++) {
    let [cb, cr] = [chroma[i] * strength, chroma[width * height + i] * strength];
    const fits = LARGEST / Math.max(Math.abs(cb), Math.abs(cr), LARGEST); // not each cut off on its own
    [cb, cr] = [cb * fits, cr * fits];
    const added = chromaToRgb.map(([ofCb, ofCr]) => (ofCb * cb + ofCr * cr) * 255);
    const highest = Math.floor(255 - Math.max(...added)) - 1; // one level for rounding, here and in the conversion to RGB
    const lowest = Math.ceil(-Math.min(...added)) + 1;
    pixels.set([Math.round(cb * 255 + 128), Math.round(cr * 255 + 128), highest, lowest], i * CHANNELS);
  }
  return { pixels, width, height, channels: CHANNELS };
}

/** The lightest and the darkest luma of each block in the rows from `top` to `end`. */
function extremes(luma, width, top, end, block, lightest, darkest) {
  lightest.fill(0);
  darkest.fill(255);
  for (let row = top; row < end; row++) {
    for (let column = 0, x = 0, i = row * width; column < lightest.length; column++) {
      let [most, least] = [lightest[column], darkest[column]];
      for (const last = Math.min(x + block, width); x < last; x++, i++) {
        const value = luma[i];
        if (value > most) most = value;
        if (value < least) least = value;
      }
      lightest[column] = most;
      darkest[column] = least;
    }
  }
}

/** What is added to red, green and blue in each block of a row, with its chroma scaled down until it is in gamut. */
function fittedOffsets(limits, lightest, darkest, offsets) {
  for (let column = 0; column < lightest.length; column++) {
    const i = column * CHANNELS;
    const scale = Math.min(
      fraction(255 - lightest[column], 255 - limits[i + 2]),
      fraction(darkest[column], limits[i + 3]),
    );
    const cb = Math.trunc((limits[i] - 128) * scale) + 128;
    const cr = Math.trunc((limits[i + 1] - 128) * scale) + 128;
    offsets[3 * column] = RED[cr] >> 6;
    offsets[3 * column + 1] = (GREEN_CB[cb] + GREEN_CR[cr]) >> 6;
    offsets[3 * column + 2] = BLUE[cb] >> 6;
  }
}

/** The fraction, 0 to 1, of the distance `wanted` that fits into that `there`. */
function fraction(there, wanted) {
  return Math.min(there / Math.max(wanted, 1), 1);
}

// Rounded as in Pillow's conversion of YCbCr to RGB.
const table = (factor) => Int32Array.from({ length: 256 }, (_, level) => Math.trunc(factor * 64 * (level - 128) + 0.5));
const [[, red], [greenCb, greenCr], [blue]] = chromaToRgb;
const [RED, GREEN_CB, GREEN_CR, BLUE] = [red, greenCb, greenCr, blue].map(table);

const clip = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);

/** A row of pixels, each as one number with red in the lowest byte. */
function paint(luma, alpha, start, width, block, offsets, words, target) {
  for (let column = 0, x = 0; x < width; column += 3) {
    const [r, g, b] = [offsets[column], offsets[column + 1], offsets[column + 2]];
    for (const last = Math.min(x + block, width); x < last; x++) {
      const y = luma[start + x];
      const opacity = alpha ? alpha[start + x] : 255;
      words[target + x] = clip(y + r) | (clip(y + g) << 8) | (clip(y + b) << 16) | (opacity << 24);
    }
  }
}
