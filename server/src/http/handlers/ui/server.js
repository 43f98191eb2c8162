// The page's requests to the server: models, predictions, feedback. All addresses are relative to the page.

const TIMEOUT = 15_000; // milliseconds to wait for an answer
const AT_ONCE = 6; // number of concurrent requests for configurations
const ALL_CLASSES = 100_000; // more classes than any model has: asks the classification extension for all

/** An error with a message for the user. `retry` is the number of seconds after which a retry may succeed, if any. */
export class Failure extends Error {
  constructor(message, { status = 0, retry } = {}) {
    super(message);
    this.status = status;
    this.retry = retry;
  }
}

async function ask(path, { body, signal } = {}) {
  const control = new AbortController();
  const abort = () => control.abort();
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  let isLate = false;
  const alarm = setTimeout(() => { isLate = true; control.abort(); }, TIMEOUT);
  try {
    const post = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(path, { ...post, signal: control.signal, cache: "no-store" });
    const text = await response.text();
    if (!response.ok) throw refusal(response, text);
    return text ? JSON.parse(text) : undefined;
  } catch (error) {
    if (error instanceof Failure || signal?.aborted) throw error;
    if (isLate) throw new Failure(`The server has not answered for ${TIMEOUT / 1000} seconds.`, { retry: 2 });
    if (error instanceof SyntaxError) throw new Failure("What answered is not this server: its answer is no JSON.");
    throw new Failure("The server cannot be reached.", { retry: 2 });
  } finally {
    clearTimeout(alarm);
    signal?.removeEventListener("abort", abort);
  }
}

function refusal(response, text) {
  const { status } = response;
  let said = "";
  try { said = JSON.parse(text).error; } catch { /* no answer of this server's */ }
  const wait = Number(response.headers.get("retry-after")) || 2;
  if (status === 429) return new Failure("The server is busy.", { status, retry: wait });
  if (status === 503) return new Failure("The model is not ready yet.", { status, retry: wait });
  if (!said && status >= 500) return new Failure(`The server cannot be reached (${status}).`, { status, retry: wait });
  return new Failure(said || `The server answered ${status}.`, { status });
}

const modelPath = (name) => `v2/models/${encodeURIComponent(name)}`;

/** The absolute address to which a picture is sent. */
export function pictureAddress(model) {
  const query = model.kind === "mnist" ? "?digits=all" : "";
  return new URL(`${modelPath(model.name)}/infer${query}`, document.baseURI).href;
}

/** Describes a model. `kind` is its kind of preprocessing, if it takes pictures. */
async function describe(name) {
  let config;
  try {
    config = await ask(`${modelPath(name)}/config`);
  } catch (error) {
    if (error.status === 503) return { name, isLoading: true };
    if (error.status) return { name }; // the model has failed or was removed
    throw error;
  }
  const needed = config.input.filter((input) => !input.optional);
  const input = needed[0] ?? config.input[0];
  const output = config.output.find(({ data_type: type }) => /^TYPE_(FP|BF)/.test(type)) ?? config.output[0];
  const kind = needed.length < 2 && output ? config.parameters?.image?.string_value : undefined;
  return { name, kind: ["mnist", "rgb"].includes(kind) ? kind : undefined, input: input?.name, output: output?.name };
}

/** All models, in the server's order. */
export async function models() {
  const { models: names } = await ask("v2/models");
  const found = [];
  for (let start = 0; start < names.length; start += AT_ONCE) {
    found.push(...await Promise.all(names.slice(start, start + AT_ONCE).map(describe)));
  }
  return found;
}

/** Whether all models are loaded. */
export const isReady = () => ask("v2/health/ready").then(() => true, (error) => {
  if (error.status === 503) return false;
  throw error;
});

/** Classes of one row, the most probable first. Values that are not probabilities are converted by softmax. */
function classes(row) {
  const read = row.map((text) => {
    const [value, index, ...label] = text.split(":");
    return { value: Number(value), index: Number(index), label: label.length ? label.join(":") : index };
  });
  const sum = read.reduce((total, { value }) => total + value, 0);
  if (read.every(({ value }) => value >= 0) && Math.abs(sum - 1) < .01) return read;
  const powers = read.map(({ value }) => Math.exp(value - read[0].value)); // softmax; the first value is the largest
  const total = powers.reduce((one, other) => one + other, 0);
  return read.map((each, at) => ({ ...each, value: powers[at] / total }));
}

/** The rows of an output, of `length / shape[0]` elements each. */
function rows(output) {
  const [count] = output.shape;
  const data = output.data.flat(Infinity);
  const length = data.length / count;
  return Array.from({ length: count }, (_, at) => data.slice(at * length, (at + 1) * length));
}

/** Sends a picture to the model. Returns its digits from left to right, or the classes of the picture. */
export async function read(model, picture, signal) {
  const started = performance.now();
  const body = {
    inputs: [{ name: model.input, datatype: "BYTES", shape: [1], data: [picture.base64] }],
    outputs: [{ name: model.output, parameters: { classification: ALL_CLASSES } }],
  };
  if (model.kind === "mnist") body.parameters = { digits: "all", return_input: true };
  const answer = await ask(`${modelPath(model.name)}/infer`, { body, signal });
  const output = (name) => answer.outputs.find((each) => each.name === name);
  const seen = output(model.input);
  const boxes = output("boxes");
  const pixels = seen && rows(seen);
  const places = boxes && rows(boxes);
  const digits = rows(output(model.output)).map((row, at) => ({
    classes: classes(row),
    pixels: pixels?.[at],
    box: places && { left: places[at][1], top: places[at][2], width: places[at][3], height: places[at][4] },
  }));
  return { digits, version: answer.model_version, milliseconds: performance.now() - started };
}

/** Whether the server stores corrections. */
export const takesFeedback = () => ask("feedback").then(({ enabled }) => enabled === true, () => false);

/** Sends a correction. */
export const teach = (correction) => ask("feedback", { body: correction });
