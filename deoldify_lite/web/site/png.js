// Writes a PNG. A canvas could, too, but only with transparency, which rounds colours.

import { PNG, chunk, metadataChunks, numbers } from "./metadata.js";

/** The parts of an RGB or RGBA file of a photo whose rows `merge` yields, 8 bit a channel. */
export async function encodePng({ width, height, alpha, metadata }, merged) {
  const channels = alpha ? 4 : 3;
  const deflate = new CompressionStream("deflate");
  const compressed = new Response(deflate.readable).arrayBuffer();
  const writer = deflate.writable.getWriter();
  let above = new Uint8Array(4 * width);
  for (const { rows } of merged) {
    await writer.write(filtered(rows, channels, above));
    above = rows.data.subarray(-4 * width);
  }
  await writer.close();
  const header = [...numbers(width, height), 8, alpha ? 6 : 2, 0, 0, 0];
  const before = [chunk("IHDR", header), chunk("sRGB", [0]), ...metadataChunks(metadata)];
  return [PNG, ...before, chunk("IDAT", new Uint8Array(await compressed)), chunk("IEND", [])];
}

/** Each row as its difference to the one above (filter 2). */
function filtered({ data, width, height }, channels, above) {
  const lines = new Uint8Array(height * (1 + width * channels));
  for (let y = 0, target = 0, source = 0; y < height; y++) {
    const [previous, start] = y ? [data, source - 4 * width] : [above, 0];
    lines[target++] = 2;
    for (let x = 0; x < 4 * width; x += 4, source += 4) {
      for (let c = 0; c < channels; c++) lines[target++] = data[source + c] - previous[start + x + c];
    }
  }
  return lines;
}
