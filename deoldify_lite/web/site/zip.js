// A ZIP archive of files that are compressed already, and so only stored.

import { crc32 } from "./metadata.js";

const UTF8_NAMES = 0x800;
const LARGEST = 2 ** 31; // bytes in an archive, and
const MOST = 10_000; // files; the format ends at 2 ** 32 and 2 ** 16

/** The entries, in order, in groups that each fit into an archive. */
export function groups(entries, largest = LARGEST) {
  const found = [];
  let size = Infinity;
  for (const entry of entries) {
    size += entry.blob.size;
    if (size > largest || found.at(-1).length === MOST) {
      found.push([]);
      size = entry.blob.size;
    }
    found.at(-1).push(entry);
  }
  return found;
}

/** A Blob of `{ name, blob }` entries. Names that are there already get a number. */
export async function zip(entries) {
  const parts = [];
  const directory = [];
  const taken = new Set();
  let offset = 0;
  for (const { name, blob } of entries) {
    const encodedName = new TextEncoder().encode(unique(name, taken));
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    const described = [20, UTF8_NAMES, 0, ...dosTime(new Date()), crc, blob.size, blob.size, encodedName.length, 0];
    const sizes = [2, 2, 2, 2, 2, 4, 4, 4, 2, 2];
    const local = record(0x04034b50, described, sizes);
    directory.push(record(0x02014b50, [20, ...described, 0, 0, 0, 0, offset], [2, ...sizes, 2, 2, 2, 4, 4]), encodedName);
    parts.push(local, encodedName, blob);
    offset += local.length + encodedName.length + blob.size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(0x06054b50, [0, 0, taken.size, taken.size, length, offset, 0], [2, 2, 2, 2, 4, 4, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function unique(name, taken) {
  const [, stem, extension] = name.match(/^(.*?)(\.[^.]*)?$/s);
  let free = name;
  for (let number = 2; taken.has(free.toLowerCase()); number++) free = `${stem} (${number})${extension ?? ""}`;
  taken.add(free.toLowerCase()); // Windows and macOS take a.jpg and A.JPG for one file
  return free;
}

/** A signature, and numbers of 2 or 4 bytes. */
function record(signature, values, sizes) {
  const bytes = new Uint8Array(4 + sizes.reduce((a, b) => a + b, 0));
  const data = new DataView(bytes.buffer);
  data.setUint32(0, signature, true);
  values.reduce((at, value, i) => {
    if (sizes[i] === 2) data.setUint16(at, value, true);
    else data.setUint32(at, value, true);
    return at + sizes[i];
  }, 4);
  return bytes;
}

function dosTime(date) {
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  return [time, ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate()];
}
