// Colorizes beside the page, so that the page stays quick. One photo at a time.
//
// From the page:  { id, file, settings: { strength, renderFactor, format }, prediction }
// To the page:    { kind: "loading", loaded, total }      bytes of the network and what runs it
//                 { kind: "ready", backend, threads }     or { kind: "broken", message }
//                 { kind: "stage", id, stage }            "Reading", ...
//                 { kind: "done", id, ... }               or { kind: "failed", id, message }

import "./build.js"; // first: it sets BUILD, which the others read
import { merge, predict, preprocess } from "./engine.js";
import { loadNetwork } from "./network.js";
import { BadPhoto, readPhoto } from "./photo.js";
import { encode, resultFormat, resultName } from "./writing.js";

let network;
let latest = {}; // the photo that was read last, which another strength needs again
let turn = load();

self.onmessage = ({ data }) => {
  turn = turn.then(() => handle(data));
};

async function load() {
  try {
    if (!self.DecompressionStream || !self.OffscreenCanvas) throw new Error("this browser is too old for this page");
    network = await loadNetwork((loaded, total) => postMessage({ kind: "loading", loaded, total }));
    postMessage({ kind: "ready", backend: network.backend, threads: network.threads });
  } catch (error) {
    postMessage({ kind: "broken", message: String(error.message ?? error) });
  }
}

async function handle({ id, ...job }) {
  try {
    postMessage({ kind: "done", id, ...(await colorize(id, job)) });
  } catch (error) {
    latest = {};
    if (!(error instanceof BadPhoto)) console.error(error);
    const message = error instanceof BadPhoto ? error.message : `this browser could not do it (${error.message ?? error})`;
    postMessage({ kind: "failed", id, message });
  }
}

async function colorize(id, { file, settings, prediction }) {
  const began = performance.now();
  const enter = (stage) => postMessage({ kind: "stage", id, stage });
  enter("Reading");
  if (latest.id !== id) {
    latest = {}; // frees the memory of the one before
    latest = { id, photo: await readPhoto(file) };
  }
  const { photo } = latest;
  if (prediction?.renderFactor !== settings.renderFactor) {
    enter("Colorizing");
    prediction = await predictAnyhow(preprocess(photo, settings.renderFactor));
    prediction.renderFactor = settings.renderFactor;
  }
  enter("Saving");
  const format = resultFormat(photo, settings.format);
  const notes = [...photo.notes];
  const output = { ...photo };
  if (photo.alpha && format === "jpeg") {
    output.alpha = null;
    notes.push("its transparency was left out, which JPEG cannot hold");
  }
  const merged = merge(output, prediction, settings.strength, format === "jpeg");
  const blob = await encode(output, merged, format, notes);
  const { width, height } = photo;
  const seconds = (performance.now() - began) / 1000;
  return { blob, format, name: resultName(file.name, format), width, height, notes, prediction, seconds };
}

/** A GPU may go away, as when the computer sleeps; then the processor goes on, with this photo and all others. */
async function predictAnyhow(input) {
  try {
    return await predict(network, input);
  } catch (error) {
    if (network.backend !== "webgpu") throw error;
    console.warn("The GPU is not used any more:", error);
    network = await loadNetwork(() => null, { gpu: false });
    return await predict(network, input);
  }
}
