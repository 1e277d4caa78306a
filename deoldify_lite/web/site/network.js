// The network: ONNX Runtime Web and the exported model, on WebGPU where there is one, else WebAssembly.

import { fetchChecked } from "./fetching.js";

const MOST_THREADS = 4; // more rarely help with so small a network
const CHECKED_SIDE = 64;
const TOLERANCE = 0.02; // of chroma, on a GPU: some five levels

/**
 * `{ session, Tensor, backend, threads }`. `report(loaded, total)` is called with bytes as they arrive.
 *
 * A GPU whose answers differ from the processor's is not used.
 */
export async function loadNetwork(report, { gpu = true } = {}) {
  const runtimes = gpu && (await hasGpu()) ? ["webgpu", "wasm"] : ["wasm"];
  for (const name of runtimes) {
    try {
      return await load(name, report);
    } catch (error) {
      if (name === runtimes.at(-1)) throw error;
      console.warn("The GPU is not used:", error);
    }
  }
}

async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

async function load(name, report) {
  const { script, glue, binary } = BUILD.runtimes[name];
  const total = binary.bytes + BUILD.model.bytes;
  const loaded = [0, 0];
  const counting = (part) => (bytes) => {
    loaded[part] = bytes;
    report(Math.min(total, loaded[0] + loaded[1]), total);
  };
  const [ort, wasmBinary, model] = await Promise.all([
    import(new URL(script, import.meta.url)),
    fetchChecked(binary, counting(0)),
    fetchChecked(BUILD.model, counting(1)),
  ]);
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
  ort.env.logLevel = "error"; // it warns of each operator that no GPU needs to do
  Object.assign(ort.env.wasm, { wasmBinary, numThreads: threads, wasmPaths: { mjs: new URL(glue, import.meta.url).href } });
  const create = (provider) => ort.InferenceSession.create(model, { executionProviders: [provider] });
  const session = await create(name);
  if (name === "webgpu") {
    await compare(ort, session, await create("wasm")).catch(async (error) => {
      await session.release();
      throw error;
    });
  }
  return { session, Tensor: ort.Tensor, backend: name, threads };
}

/** Throws if the session's answer to a pattern is not that of the other, which is released. */
async function compare(ort, session, exact) {
  const shape = [1, 1, CHECKED_SIDE, CHECKED_SIDE];
  const pattern = Float32Array.from({ length: CHECKED_SIDE ** 2 }, (_, i) => 0.5 + 0.5 * Math.sin(i / 9));
  const answers = [];
  for (const each of [session, exact]) {
    const { chroma } = await each.run({ luma: new ort.Tensor("float32", pattern, shape) });
    answers.push(await chroma.getData());
  }
  await exact.release();
  const difference = Math.max(...answers[0].map((value, i) => Math.abs(value - answers[1][i])));
  if (!(difference <= TOLERANCE)) throw new Error(`its answers are wrong by ${difference}`);
}
