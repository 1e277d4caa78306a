// Fetches the large files of the site, which are stored compressed, and checks them.

/** A file that could not be fetched, or is not what it should be. The message says what to do. */
export class FetchError extends Error {}

/**
 * The content of `{ file, sha256 }` as a Uint8Array. `report(bytes)` is called with how much has arrived.
 *
 * Without `https` (or localhost) a browser has no SHA-256; the content is then taken as it comes.
 */
export async function fetchChecked({ file, sha256 }, report) {
  const url = new URL(file, import.meta.url);
  for (const cache of ["default", "reload"]) { // what is damaged may lie in the browser's own cache
    const stored = await read(url, cache, report);
    const isCompressed = stored[0] === 0x1f && stored[1] === 0x8b; // some servers tell the browser to decompress it
    const content = isCompressed ? await decompress(stored).catch(() => null) : stored;
    if (!content || (self.crypto.subtle && (await hash(content)) !== sha256)) continue;
    await keep(url, stored, cache).catch(() => null); // no room on the disk, or plain http: next time it is fetched again
    return content;
  }
  throw new FetchError(`${file} arrived damaged; try again`);
}

async function read(url, cache, report) {
  try {
    const response = await fetch(url, { cache });
    if (!response.ok) throw new FetchError(`${url.pathname} is missing on the server (${response.status})`);
    const parts = [];
    let bytes = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      bytes += value.length;
      report(bytes);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch (error) {
    throw error instanceof FetchError ? error : new FetchError("no connection; try again when there is one");
  }
}

/** Keep a file that is right for visits without a connection; the service worker hands it out. */
async function keep(url, stored, mode) {
  const cache = await caches.open(`deoldify-lite ${new URL(".", url)} large`);
  if (mode === "reload" || !(await cache.match(url))) await cache.put(url, new Response(stored));
}

async function decompress(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function hash(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
