// Reads a file as a photo: luma, alpha and metadata. Whatever is wrong with the file is thrown as `BadPhoto`.

import { inspect } from "./metadata.js";

const { maxPixels, lumaWeights, tinted } = BUILD.engine;

/** A file that cannot be read as a photo. The message says why. */
export class BadPhoto extends Error {}

/**
 * `{ luma, alpha, width, height, format, metadata, notes }` of a file, upright and in sRGB.
 *
 * luma, alpha: a Uint8Array of a byte a pixel; alpha is null where all is opaque.
 * notes: sentences about what was changed or left out.
 */
export async function readPhoto(file) {
  refuseAlteredPixels();
  if (!file.size) throw new BadPhoto("the file is empty");
  const about = inspect(new Uint8Array(await readBytes(file)));
  if (about.truncated) throw new BadPhoto("damaged or truncated");
  refuseTooLarge(about.width, about.height);
  const bitmap = await decode(file);
  const { width, height } = bitmap;
  const { format, metadata, notes } = about;
  const { density } = metadata;
  if (density && width !== about.width) [density.x, density.y] = [density.y, density.x]; // it was turned
  try {
    refuseTooLarge(width, height);
    return { ...readPixels(bitmap, notes), width, height, format, metadata, notes };
  } catch (error) {
    throw error instanceof BadPhoto ? error : new BadPhoto("too large for this browser");
  } finally {
    bitmap.close();
  }
}

/** Return a canvas's memory now, not at some time. */
export function free(canvas) {
  if (canvas) canvas.width = canvas.height = 0;
}

async function readBytes(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new BadPhoto("the file can no longer be read; choose it again");
  }
}

/** Some browsers alter what a page reads from a canvas, against fingerprinting, which would spoil every photo. */
function refuseAlteredPixels() {
  const pattern = new ImageData(16, 16);
  for (let i = 0; i < pattern.data.length; i++) pattern.data[i] = i % 4 === 3 ? 255 : (37 * i) % 256;
  const context = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true });
  context.putImageData(pattern, 0, 0);
  const read = context.getImageData(0, 0, 16, 16).data;
  if (read.some((level, i) => level !== pattern.data[i])) {
    throw new BadPhoto("this browser alters the pixels that pages read; allow this page to read canvas data");
  }
}

function refuseTooLarge(width, height) {
  if (width * height > maxPixels) {
    throw new BadPhoto(`too large: ${width} x ${height} is more than ${maxPixels.toLocaleString("en")} pixels`);
  }
}

/** The browser turns the photo upright and converts it to sRGB. */
async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "default" });
  } catch {
    throw new BadPhoto("not a photo, or in a format that this browser cannot open");
  }
}

/** Strip by strip: browsers draw nothing, without a word, on a canvas that is too large for them. */
function readPixels(bitmap, notes) {
  const { width, height } = bitmap;
  const luma = new Uint8Array(width * height);
  const alpha = new Uint8Array(width * height);
  const [red, green, blue] = lumaWeights.map((weight) => Math.round(weight * 65536)); // Pillow's arithmetic
  const colors = new Tint(width, height);
  let [least, most] = [255, 0]; // of alpha
  const step = Math.min(height, Math.max(1, Math.floor(2 ** 20 / width)));
  const canvas = new OffscreenCanvas(width, step);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += step) {
    const rows = Math.min(step, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let i = 0, target = top * width; i < data.length; i += 4, target++) {
      luma[target] = (data[i] * red + data[i + 1] * green + data[i + 2] * blue + 0x8000) >> 16;
      const opacity = (alpha[target] = data[i + 3]);
      if (opacity < least) least = opacity;
      if (opacity > most) most = opacity;
    }
    colors.add(data, top);
  }
  free(canvas);
  if (!most) throw new BadPhoto("too large for this browser, or nothing but transparency");
  if (colors.mean() > tinted) notes.push("had colours or a tint of its own, which are replaced");
  return { luma, alpha: least === 255 ? null : alpha };
}

/** How far the colours are from gray: the mean distance of Cb and Cr from 0, in levels, on a grid of pixels. */
class Tint {
  constructor(width, height) {
    this.width = width;
    this.every = Math.max(1, Math.floor(Math.sqrt((width * height) / 2 ** 14)));
    this.sum = this.count = 0;
  }

  add(data, top) {
    const rows = data.length / 4 / this.width;
    for (let y = -top % this.every ? this.every - (top % this.every) : 0; y < rows; y += this.every) {
      for (let x = 0; x < this.width; x += this.every) {
        const i = 4 * (y * this.width + x);
        const luma = lumaWeights[0] * data[i] + lumaWeights[1] * data[i + 1] + lumaWeights[2] * data[i + 2];
        this.sum += Math.abs(data[i + 2] - luma) / 1.772 + Math.abs(data[i] - luma) / 1.402;
        this.count++;
      }
    }
  }

  mean() {
    return this.sum / this.count;
  }
}
