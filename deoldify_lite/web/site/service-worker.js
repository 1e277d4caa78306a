// Keeps the site on the visitor's machine, so that it works without a connection, and adds the headers that static
// hosts do not send: isolation, without which there are no threads, and a policy against every other host.

importScripts("build.js");

const PREFIX = `deoldify-lite ${registration.scope} `;
const SHELL = PREFIX + BUILD.version; // the page itself; another version is another cache
const LARGE = `${PREFIX}large`; // network and runtime, named by their hashes; fetching.js has the same name
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": BUILD.policy,
};

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));
addEventListener("message", () => skipWaiting()); // from a page that has loaded: offline.js
addEventListener("fetch", (event) => {
  const { cache, method, url } = event.request;
  if (method !== "GET" || !url.startsWith(registration.scope)) return;
  const file = url.split(/[?#]/)[0].slice(registration.scope.length) || "index.html";
  if (BUILD.shell.includes(file) || BUILD.large.includes(file)) event.respondWith(answer(file, cache)); // no other site's
});

async function install() {
  const cache = await caches.open(SHELL);
  await cache.addAll(BUILD.shell.map((file) => new Request(file, { cache: "reload" })));
  await fetchNewVersions();
}

/** Large files of which an earlier version is kept, so that the site goes on working without a connection. */
async function fetchNewVersions() {
  const large = await caches.open(LARGE);
  const kept = (await large.keys()).map((request) => request.url.slice(registration.scope.length));
  const general = (file) => file.replace(/\.[0-9a-f]{8}(?=\.)/, "");
  const isNew = (file) => !kept.includes(file) && kept.map(general).includes(general(file));
  // fetching.js checks them when they are used.
  await large.addAll(BUILD.large.filter(isNew)).catch((error) => {
    if (error.name !== "QuotaExceededError") throw error; // the installation is tried again at the next visit
  });
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== SHELL && name !== LARGE) await caches.delete(name);
  }
  const large = await caches.open(LARGE);
  for (const request of await large.keys()) {
    if (!BUILD.large.includes(request.url.slice(registration.scope.length))) await large.delete(request);
  }
  await clients.claim();
}

async function answer(file, cache) {
  const address = new URL(file, registration.scope).href;
  const kept = await caches.match(address, { cacheName: BUILD.large.includes(file) ? LARGE : SHELL });
  if (kept && cache !== "reload") return withHeaders(kept);
  return withHeaders(await fetch(address, { cache })); // a large file is kept once it is checked: fetching.js
}

function withHeaders(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
