// The photos of this visit and what has become of them. One after the other goes to the worker; the selected one first.

const STALE = ["waiting", "working"];

/**
 * Emits "change" (detail: the photo, or null for all), "loading", "ready" and "broken" (detail: the worker's message).
 *
 * A photo: { id, file, before (address), state: "waiting" | "working" | "done" | "failed", stage, message, result }.
 */
export class Queue extends EventTarget {
  photos = [];
  selected = null;
  #settings;
  #worker;
  #ready = false;
  #working = null;
  #repeat = false; // settings changed while a photo was worked on
  #nextId = 1;

  /** Start the worker, or start it again after it broke. */
  start() {
    this.#worker?.terminate();
    this.#ready = false;
    this.#worker = new Worker("worker.js", { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => this.#stopped(event.message);
  }

  add(files) {
    const added = [...files].map((file) => {
      return { id: this.#nextId++, file, before: URL.createObjectURL(file), state: "waiting" };
    });
    this.photos.push(...added);
    if (!this.selected) this.selected = added[0] ?? null;
    this.#emit("change", null);
    this.#next();
  }

  clear() {
    for (const photo of this.photos) {
      URL.revokeObjectURL(photo.before);
      forget(photo);
    }
    this.photos = [];
    this.selected = null;
    this.#emit("change", null);
  }

  select(photo) {
    this.selected = photo;
    this.#emit("change", null);
  }

  /** Do all photos again with other settings. */
  set settings(settings) {
    this.#settings = settings;
    for (const photo of this.photos) if (photo !== this.#working) photo.state = "waiting";
    this.#repeat = Boolean(this.#working);
    this.#emit("change", null);
    this.#next();
  }

  get done() {
    return this.photos.filter((photo) => photo.state === "done");
  }

  get isBusy() {
    return this.photos.some((photo) => STALE.includes(photo.state));
  }

  #next() {
    if (!this.#ready || this.#working) return;
    const waiting = (photo) => photo?.state === "waiting";
    const photo = waiting(this.selected) ? this.selected : this.photos.find(waiting);
    if (!photo) return;
    this.#working = photo;
    photo.state = "working";
    photo.stage = "Reading";
    const { id, file, result } = photo;
    this.#worker.postMessage({ id, file, settings: this.#settings, prediction: result?.prediction });
    this.#emit("change", photo);
  }

  #receive(message) {
    const photo = this.#working;
    if (message.kind === "ready") this.#ready = true;
    if (["loading", "ready", "broken"].includes(message.kind)) this.#emit(message.kind, message);
    else if (message.kind === "stage") photo.stage = message.stage;
    else this.#finish(photo, message);
    if (message.id && this.photos.includes(photo)) this.#emit("change", photo);
    this.#next();
  }

  #finish(photo, { kind, message, ...result }) {
    forget(photo);
    const state = this.#repeat ? "waiting" : kind === "failed" ? "failed" : "done";
    Object.assign(photo, kind === "failed" ? { state, message, result: null } : { state, result });
    if (result.blob && this.photos.includes(photo)) result.address = URL.createObjectURL(result.blob);
    this.#working = null;
    this.#repeat = false;
  }

  /** The worker ended, for want of memory or because it could not be loaded. */
  #stopped(reason) {
    if (this.#working) {
      this.#repeat = false; // it would only end again
      this.#finish(this.#working, { kind: "failed", message: "too large for this browser's memory" });
      this.#emit("change", null);
      this.start();
    } else {
      this.#emit("broken", { message: reason || "this browser is too old for this page" });
    }
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function forget(photo) {
  if (photo.result?.address) URL.revokeObjectURL(photo.result.address);
}
