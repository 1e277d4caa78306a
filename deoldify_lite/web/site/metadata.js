// What a JPEG or PNG file holds beside its pixels: EXIF, XMP and resolution; read here, and written into the result.
// The photo has been turned upright, so the orientation becomes 1 in what is kept.

const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const EXIF = ascii("Exif\0\0");
const XMP = ascii("http://ns.adobe.com/xap/1.0/\0");
const XMP_IN_PNG = ascii("XML:com.adobe.xmp\0\0\0\0\0"); // uncompressed, no language
const JFIF = ascii("JFIF\0");
export const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);
const LONGEST_SEGMENT = 65533; // bytes in a segment of a JPEG, without its length

const startsWith = (bytes, start) => start.every((byte, i) => bytes[i] === byte);
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * `{ format, width, height, truncated, metadata, notes }` of a file's bytes.
 *
 * format: "jpeg", "png" or "other", of which nothing else is known.
 * metadata: exif (a TIFF structure) and xmp as bytes, density as `{ x, y, unit }` in the file's own units.
 */
export function inspect(bytes) {
  const about = { format: "other", width: 0, height: 0, truncated: false, metadata: {}, notes: [] };
  if (bytes[0] === 0xff && bytes[1] === 0xd8) inspectJpeg(bytes, about);
  else if (startsWith(bytes, PNG)) inspectPng(bytes, about);
  else about.notes.push("its EXIF data, if any, was left out: it is kept of JPEG and PNG files");
  const { metadata } = about;
  if (metadata.exif && !(metadata.exif = upright(metadata.exif))) {
    delete metadata.exif;
    about.notes.push("its EXIF data is damaged and was dropped");
  }
  if (metadata.xmp) metadata.xmp = uprightXmp(metadata.xmp);
  return about;
}

function inspectJpeg(bytes, about) {
  about.format = "jpeg";
  about.truncated = true;
  const data = view(bytes);
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    const length = data.getUint16(at + 2);
    const segment = bytes.subarray(at + 4, at + 2 + length);
    if (marker === 0xda) {
      about.truncated = !hasEnd(bytes, at);
      return;
    }
    if (marker === 0xe0 && startsWith(segment, JFIF) && segment.length >= 12) {
      const [unit, x, y] = [segment[7], view(segment).getUint16(8), view(segment).getUint16(10)];
      if (unit && x && y) about.metadata.density = { x, y, unit: unit === 2 ? "centimetre" : "inch" };
    } else if (marker === 0xe1 && startsWith(segment, EXIF)) {
      about.metadata.exif ??= segment.slice(EXIF.length);
    } else if (marker === 0xe1 && startsWith(segment, XMP)) {
      about.metadata.xmp ??= segment.slice(XMP.length);
    } else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker) && segment.length >= 5) {
      [about.height, about.width] = [view(segment).getUint16(1), view(segment).getUint16(3)];
    }
    at += 2 + length;
  }
}

/** Whether the end marker comes after the pixels; among pixels it cannot. */
function hasEnd(bytes, start) {
  for (let end = bytes.lastIndexOf(0xd9); end > start; end = bytes.lastIndexOf(0xd9, end - 1)) {
    if (bytes[end - 1] === 0xff) return true;
  }
  return false;
}

function inspectPng(bytes, about) {
  about.format = "png";
  about.truncated = true;
  for (const { name, content } of chunks(bytes)) {
    if (name === "IHDR") {
      [about.width, about.height] = [view(content).getUint32(0), view(content).getUint32(4)];
      if (content[8] === 16) about.notes.push("its 16 bit a channel became 8, which is what a browser works with");
    } else if (name === "pHYs" && content[8] === 1) {
      const perInch = (at) => view(content).getUint32(at) * 0.0254;
      about.metadata.density = { x: perInch(0), y: perInch(4), unit: "inch" };
    } else if (name === "eXIf") {
      about.metadata.exif = content.slice();
    } else if (name === "iTXt" && startsWith(content, XMP_IN_PNG)) {
      about.metadata.xmp = content.slice(XMP_IN_PNG.length);
    } else if (name === "IEND") {
      about.truncated = false;
    }
  }
}

function* chunks(bytes) {
  const data = view(bytes);
  for (let at = PNG.length, length; at + 12 <= bytes.length; at += 12 + length) {
    length = data.getUint32(at);
    if (at + 12 + length > bytes.length) return;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    yield { name, content: bytes.subarray(at + 8, at + 8 + length) };
  }
}

/** EXIF with orientation 1 and without its thumbnail, which is gray; null where it is damaged. */
function upright(exif) {
  try {
    const data = view(exif);
    const little = data.getUint16(0) === 0x4949;
    if ((!little && data.getUint16(0) !== 0x4d4d) || data.getUint16(2, little) !== 42) return null;
    const directory = data.getUint32(4, little);
    const entries = data.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const entry = directory + 2 + 12 * i;
      if (data.getUint16(entry, little) === 0x0112) data.setUint16(entry + 8, 1, little);
    }
    data.setUint32(directory + 2 + 12 * entries, 0, little); // where the thumbnail's directory would be
    return exif;
  } catch {
    return null; // beyond the end
  }
}

function uprightXmp(xmp) {
  const text = String.fromCharCode.apply.bind(String.fromCharCode, null);
  const parts = [];
  for (let i = 0; i < xmp.length; i += 8192) parts.push(text(xmp.subarray(i, i + 8192)));
  return ascii(parts.join("").replace(/(tiff:Orientation(?:="|>))\d/, "$11"));
}

/** An encoded JPEG, in parts, with metadata; `notes` gets a sentence on what does not fit. */
export function withMetadata(bytes, { exif, xmp, density }, notes) {
  const hasJfif = bytes[3] === 0xe0;
  const first = hasJfif ? 4 + view(bytes).getUint16(4) : 2;
  const head = bytes.slice(0, first);
  if (hasJfif && density) {
    head[13] = density.unit === "centimetre" ? 2 : 1;
    view(head).setUint16(14, Math.round(density.x));
    view(head).setUint16(16, Math.round(density.y));
  }
  const parts = [head];
  for (const [name, start, content] of [
    ["EXIF", EXIF, exif],
    ["XMP", XMP, xmp],
  ]) {
    if (!content) continue;
    const length = start.length + content.length;
    if (length > LONGEST_SEGMENT) {
      notes.push(`its ${name} data was left out, which is too long for JPEG`);
      continue;
    }
    parts.push(Uint8Array.of(0xff, 0xe1, (length + 2) >> 8, (length + 2) & 255), start, content);
  }
  return [...parts, bytes.subarray(first)];
}

/** The chunks of a PNG that hold metadata. */
export function metadataChunks({ exif, xmp, density }) {
  const parts = [];
  if (density) {
    const perMetre = density.unit === "centimetre" ? 100 : 1 / 0.0254;
    parts.push(chunk("pHYs", [...numbers(density.x * perMetre, density.y * perMetre), 1]));
  }
  if (exif) parts.push(chunk("eXIf", exif));
  if (xmp) parts.push(chunk("iTXt", joined(XMP_IN_PNG, xmp)));
  return parts;
}

/** A chunk of a PNG. */
export function chunk(name, content) {
  const body = joined(ascii(name), content);
  return joined(numbers(content.length), body, numbers(crc32(body)));
}

/** Whole numbers of four bytes each, the highest first. */
export function numbers(...values) {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((value, i) => view(bytes).setUint32(4 * i, Math.round(value)));
  return bytes;
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** The checksum of PNG chunks and of ZIP archives. */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
