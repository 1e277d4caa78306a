// Pillow's resizing of 8-bit pixels, to the last level, so that the network sees here what it sees in Python.
// Pixels are a Uint8Array, row by row, `channels` values for each.

const PRECISION = 2 ** 22; // of the fixed-point weights: the pixels' 8 bit and two for overshoot leave so much of 32

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      x = Math.abs(x);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
};

/**
 * Resized pixels. Where the result is smaller, the filter covers all pixels that fall into one of its own.
 *
 * `reducingGap`: first average whole blocks, as far as the picture stays so many times the result's size. This is
 * faster, and nearly the same.
 */
export function resize({ pixels, width, height, channels = 1 }, newWidth, newHeight, filter, reducingGap = 0) {
  let [right, bottom] = [width, height]; // the edges of the picture, which may end within a block
  if (reducingGap) {
    const [across, down] = [
      [width, newWidth],
      [height, newHeight],
    ].map(([side, newSide]) => Math.trunc(side / newSide / reducingGap) || 1);
    if (across > 1 || down > 1) {
      pixels = reduce(pixels, width, height, channels, across, down);
      [right, bottom] = [width / across, height / down];
      [width, height] = [Math.ceil(right), Math.ceil(bottom)];
    }
  }
  if (newWidth !== width || right !== width) pixels = resizeRows(pixels, width, height, channels, right, newWidth, filter);
  if (newHeight !== height || bottom !== height) pixels = resizeColumns(pixels, newWidth * channels, height, bottom, newHeight, filter);
  return { pixels, width: newWidth, height: newHeight, channels };
}

/** The mean of each block of `across` x `down` pixels, or of what there is of it at the edges. */
function reduce(pixels, width, height, channels, across, down) {
  const [newWidth, newHeight] = [Math.ceil(width / across), Math.ceil(height / down)];
  const reduced = new Uint8Array(newWidth * newHeight * channels);
  const sums = new Uint32Array(newWidth * channels);
  for (let row = 0; row < newHeight; row++) {
    const [top, end] = [row * down, Math.min((row + 1) * down, height)];
    sums.fill(0);
    for (let y = top; y < end; y++) {
      for (let column = 0, x = 0; column < newWidth; column++) {
        for (const last = Math.min((column + 1) * across, width); x < last; x++) {
          for (let c = 0; c < channels; c++) sums[column * channels + c] += pixels[(y * width + x) * channels + c];
        }
      }
    }
    for (let i = 0; i < sums.length; i++) {
      const column = Math.floor(i / channels);
      const count = (end - top) * (Math.min((column + 1) * across, width) - column * across);
      const share = Math.floor(2 ** 24 / count);
      reduced[row * sums.length + i] = Math.floor(((sums[i] + (count >> 1)) * share) / 2 ** 24);
    }
  }
  return reduced;
}

/** For each new pixel of a line: the first old one that counts, and the weights from there on. */
function weightsOfLine(side, newSide, { support, weight }) {
  const scale = side / newSide;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  return Array.from({ length: newSide }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(Math.ceil(side), Math.trunc(center + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, k) => weight((first + k - center + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: Int32Array.from(weights, (w) => Math.trunc((w / sum) * PRECISION + Math.sign(w) * 0.5)) };
  });
}

function resizeRows(pixels, width, height, channels, right, newWidth, filter) {
  const line = weightsOfLine(right, newWidth, FILTERS[filter]);
  const resized = new Uint8ClampedArray(newWidth * height * channels);
  for (let y = 0, target = 0; y < height; y++) {
    for (const { first, weights } of line) {
      for (let c = 0; c < channels; c++) {
        let sum = PRECISION / 2;
        let source = (y * width + first) * channels + c;
        for (let k = 0; k < weights.length; k++, source += channels) sum += pixels[source] * weights[k];
        resized[target++] = sum >> 22;
      }
    }
  }
  return resized;
}

function resizeColumns(pixels, rowLength, height, bottom, newHeight, filter) {
  const resized = new Uint8ClampedArray(rowLength * newHeight);
  const sums = new Int32Array(rowLength);
  weightsOfLine(bottom, newHeight, FILTERS[filter]).forEach(({ first, weights }, row) => {
    sums.fill(PRECISION / 2);
    for (let k = 0; k < weights.length; k++) {
      const [start, w] = [(first + k) * rowLength, weights[k]];
      for (let x = 0; x < rowLength; x++) sums[x] += pixels[start + x] * w;
    }
    for (let x = 0; x < rowLength; x++) resized[row * rowLength + x] = sums[x] >> 22;
  });
  return resized;
}
