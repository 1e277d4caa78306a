// The page: what the visitor does goes to the queue, and what the queue says is shown.

import { Queue } from "./queue.js";
import { isReloading, letNewVersionIn, register } from "./offline.js";
import { groups, zip } from "./zip.js";

const get = (id) => document.getElementById(id);
const inputs = { strength: get("strength"), factor: get("factor"), format: get("format") };
const queue = new Queue();

// Settings

inputs.factor.value = BUILD.engine.renderFactor;

function readSettings() {
  return {
    strength: Number(inputs.strength.value),
    renderFactor: Number(inputs.factor.value),
    format: inputs.format.value,
  };
}

function showSettings() {
  get("settings").querySelector("output[for=strength]").value = Number(inputs.strength.value).toFixed(2);
  get("settings").querySelector("output[for=factor]").value = inputs.factor.value;
}

for (const input of Object.values(inputs)) {
  input.addEventListener("input", showSettings);
  input.addEventListener("change", () => (queue.settings = readSettings()));
}

// Photos in

function add(files) {
  if (files.length) queue.add(files);
}

get("files").addEventListener("change", ({ target }) => {
  add([...target.files]);
  target.value = ""; // so that the same photo can be chosen again
});
get("sample").addEventListener("click", async () => {
  const response = await fetch(BUILD.sample).catch(() => null);
  if (response?.ok) add([new File([await response.blob()], BUILD.sample, { type: "image/jpeg" })]);
  get("sample").hidden = !response?.ok;
  get("files").focus(); // the button has gone
});
document.addEventListener("paste", (event) => add([...event.clipboardData.files]));

let inside = 0; // how many nested elements the pointer has entered
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
const drag = (change) => (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  inside = Math.max(0, inside + change);
  document.body.classList.toggle("dragging", inside > 0);
};
document.addEventListener("dragenter", drag(1));
document.addEventListener("dragleave", drag(-1));
document.addEventListener("dragover", drag(0));
document.addEventListener("drop", (event) => {
  drag(-Infinity)(event);
  if (hasFiles(event)) add([...event.dataTransfer.files]);
});

// Photos out

get("download-all").addEventListener("click", async ({ currentTarget: button }) => {
  button.disabled = true;
  try {
    const archives = groups(queue.done.map((photo) => photo.result));
    for (const [i, entries] of archives.entries()) {
      const address = URL.createObjectURL(await zip(entries));
      const download = archives.length > 1 ? `colorized ${i + 1}.zip` : "colorized.zip";
      Object.assign(document.createElement("a"), { href: address, download }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000); // not before the browser has begun
    }
  } finally {
    button.disabled = false;
  }
});
get("clear").addEventListener("click", () => {
  queue.clear();
  get("files").focus();
});

// What is shown

const STATES = { waiting: "…", working: "…", done: "", failed: "failed" };

function show() {
  const { photos, selected } = queue;
  document.body.classList.toggle("working", photos.length > 0);
  get("work").hidden = !photos.length;
  if (selected) showSelected(selected);
  showList();
  const failed = photos.filter((photo) => photo.state === "failed").length;
  const parts = [`${queue.done.length} of ${photos.length} colorized`, ...(failed ? [`${failed} failed`] : [])];
  get("count").textContent = parts.join(", ");
  get("download-all").hidden = queue.done.length < 2 || queue.isBusy;
  get("download-all").textContent = `Download all ${queue.done.length} (ZIP)`;
}

function showSelected(photo) {
  const { result, state } = photo;
  setSource(get("before"), state === "failed" ? null : photo.before, `${photo.file.name}, before`);
  setSource(get("after"), result?.address, `${photo.file.name}, colorized`);
  get("compare").hidden = state === "failed";
  for (const part of [get("handle"), get("split"), document.querySelector(".right")]) part.hidden = !result;
  get("name").textContent = photo.file.name;
  const message = get("message");
  message.classList.toggle("failed", state === "failed");
  message.textContent = describe(photo);
  get("notes").replaceChildren(...(result?.notes ?? []).map((note) => element("li", note)));
  const download = get("download");
  download.hidden = state !== "done";
  if (state === "done") Object.assign(download, { href: result.address, download: result.name, textContent: `Download ${result.format.toUpperCase()}` });
}

function setSource(image, address, text) {
  image.hidden = !address;
  if (!address) image.removeAttribute("src");
  else if (image.src !== address) image.src = address;
  image.alt = text;
}

function describe({ state, stage, message, result }) {
  if (state === "failed") return `This photo was not colorized: ${message}.`;
  if (state === "waiting") return "Waiting …";
  if (state === "working") return `${stage} …`;
  const size = `${result.width} × ${result.height}`;
  return `${size} pixels, colorized in ${result.seconds.toFixed(1)} seconds`;
}

const tiles = new Map();

function showList() {
  const { photos, selected } = queue;
  for (const [photo, tile] of tiles) {
    if (!photos.includes(photo)) {
      tile.remove();
      tiles.delete(photo);
    }
  }
  for (const photo of photos) {
    if (!tiles.has(photo)) {
      tiles.set(photo, makeTile(photo));
      get("photos").append(tiles.get(photo));
    }
    showTile(tiles.get(photo), photo, photo === selected);
  }
}

function makeTile(photo) {
  const tile = element("li");
  const button = Object.assign(element("button"), { type: "button" });
  const image = Object.assign(element("img"), { alt: "", loading: "lazy", decoding: "async", src: photo.before });
  const label = element("span", photo.file.name);
  const state = element("span");
  [label.className, state.className] = ["label", "state"];
  button.append(image, state, label);
  button.addEventListener("click", () => queue.select(photo));
  tile.append(button);
  return tile;
}

function showTile(tile, photo, isSelected) {
  const button = tile.firstChild;
  button.setAttribute("aria-current", isSelected);
  button.classList.toggle("failed", photo.state === "failed");
  button.querySelector(".state").textContent = STATES[photo.state];
  setSource(button.querySelector("img"), photo.state === "failed" ? null : photo.result?.address ?? photo.before, "");
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

get("split").addEventListener("input", ({ target }) => get("compare").style.setProperty("--split", `${target.value}%`));
get("before").addEventListener("load", ({ target }) => get("compare").classList.toggle("small", target.width < 160));

// The network

queue.addEventListener("change", show);
queue.addEventListener("loading", ({ detail: { loaded, total } }) => {
  const megabytes = (bytes) => Math.round(bytes / 1e6);
  get("loading").hidden = !get("broken").hidden || (get("loading").hidden && loaded === total);
  get("loading").firstElementChild.textContent = `Loading the network: ${megabytes(loaded)} of ${megabytes(total)} MB`;
  get("loaded").value = loaded / total;
});
queue.addEventListener("ready", ({ detail: { backend, threads } }) => {
  get("loading").hidden = get("broken").hidden = true;
  get("again").hidden = false;
  const how = backend === "webgpu" ? "on the graphics processor" : `on ${threads} ${threads === 1 ? "thread" : "threads"}`;
  get("backend").textContent = `Computes on this computer, ${how}.`;
  get("offline").hidden = !navigator.serviceWorker?.controller;
});
for (const outcome of ["ready", "broken"]) queue.addEventListener(outcome, letNewVersionIn, { once: true });
queue.addEventListener("broken", ({ detail: { message } }) => {
  get("loading").hidden = true;
  get("broken").hidden = false;
  get("broken").firstElementChild.textContent = `The network could not be loaded: ${message}.`;
});
get("again").addEventListener("click", () => {
  get("broken").hidden = true;
  get("loading").hidden = false;
  get("files").focus();
  queue.start();
});

if (BUILD.sample) {
  get("sample-picture").src = BUILD.sample;
  get("sample").hidden = false;
}
showSettings();
queue.settings = readSettings();
await register(() => queue.photos.length > 0);
if (!isReloading()) queue.start();
self.started = true; // for starting.js
