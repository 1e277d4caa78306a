// Makes a JPEG or PNG file of colour pixels, with the photo's metadata.

import { withMetadata } from "./metadata.js";
import { BadPhoto, free } from "./photo.js";
import { encodePng } from "./png.js";

const TYPES = { jpeg: "image/jpeg", png: "image/png" };
const EXTENSIONS = { jpeg: ["jpg", "jpeg", "jpe", "jfif"], png: ["png"] };

/** The format of a photo's result: the one that was asked for, else its own if that is JPEG, else PNG. */
export function resultFormat(photo, asked) {
  return asked === "same" ? (photo.format === "jpeg" ? "jpeg" : "png") : asked;
}

/** A file, a Blob, of a photo whose rows `merge` yields. Adds to `notes` what was left out. */
export async function encode(photo, merged, format, notes) {
  const parts = await (format === "png" ? encodePng(photo, merged) : encodeJpeg(photo, merged, notes));
  return new Blob(parts, { type: TYPES[format] });
}

async function encodeJpeg({ width, height, metadata }, merged, notes) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  for (const { top, rows } of merged) context.putImageData(rows, 0, top);
  const options = { type: TYPES.jpeg, quality: BUILD.engine.jpegQuality / 100 };
  const encoded = await canvas.convertToBlob(options).catch(() => null);
  free(canvas);
  if (encoded?.type !== TYPES.jpeg) throw new BadPhoto("this browser cannot write a JPEG of this size; save it as PNG");
  return withMetadata(new Uint8Array(await encoded.arrayBuffer()), metadata, notes);
}

/** The name of a photo's result: the photo's own, with another extension if its format is another. */
export function resultName(name, format) {
  const [, stem, extension] = name.match(/^(.*?)(?:\.([^.]*))?$/s);
  return EXTENSIONS[format].includes(extension?.toLowerCase()) ? name : `${stem}.${EXTENSIONS[format][0]}`;
}
