// The page: sends the drawing to the model while the user draws. It uses no library and no other site.

import { HEIGHT, Pad, WIDTH } from "./pad.js";
import * as pictures from "./pictures.js";
import { Reader } from "./reader.js";
import { Result } from "./result.js";
import * as server from "./server.js";
import * as snippets from "./snippets.js";

const RELOAD = 2000; // milliseconds between two requests for the list of models, while models are loading
const $ = (id) => document.getElementById(id);
const hint = $("hint").textContent;

let model; // the chosen model
let all = []; // all models
let reading; // the last answer, with its picture
let chosen; // the digit whose bars are shown
let isTaught = false; // whether the server stores corrections

const result = new Result((digit) => {
  chosen = digit;
  pad?.frame(reading?.digits.length > 1 && digit?.box ? reading.picture.onPaper(digit.box) : undefined);
  offer();
});

const reader = new Reader({
  async read(signal) {
    const picture = await pad.picture();
    const by = model;
    return { ...await server.read(by, picture, signal), picture, by };
  },
  show(answer) {
    reading = answer;
    result.show(answer, answer.by, newest(answer));
  },
  fail(error) {
    if (error.status === 400 && /no ink/.test(error.message)) {
      reading = undefined;
      return result.empty("No digit was found here.");
    }
    if (error.status === 404) findModels();
    const again = error.retry === undefined ? "" : " Trying again …";
    result.fail(`${error.message}${again}`);
    offer();
    return error.retry === undefined ? undefined : 1000 * error.retry;
  },
  busy: (isBusy) => $("result").setAttribute("aria-busy", isBusy),
});

/** The index of the digit that was drawn last: its box is nearest to the pen. */
function newest({ digits, picture }) {
  const point = pad.lastPoint;
  if (!point || digits.length < 2) return 0;
  const far = ({ box }) => {
    const { left, top, width, height } = picture.onPaper(box);
    const outside = (at, start, length) => Math.max(start - at, at - start - length, 0);
    return Math.hypot(outside(point.x, left, width), outside(point.y, top, height));
  };
  const distances = digits.map(far);
  return distances.indexOf(Math.min(...distances));
}

const pad = new Pad($("pad"), (what) => {
  if (what === "replaced" || pad.isEmpty) {
    reader.drop();
    reading = undefined;
    result.empty();
  }
  const { isEmpty } = pad;
  const strokes = pad.items.filter(({ points }) => points).length;
  $("invitation").hidden = !isEmpty;
  $("undo").disabled = !pad.canUndo;
  $("clear").disabled = isEmpty;
  say();
  if (what !== "drawn") {
    const shown = pad.items[0]?.picture ? "a picture" : `${strokes} ${strokes === 1 ? "stroke" : "strokes"}`;
    $("pad").setAttribute("aria-label", isEmpty ? "Drawing area, empty" : `Drawing area with ${shown}`);
  }
  offer();
  // A stroke that has just begun is not sent. A dot is sent when the pen is lifted.
  if (!isEmpty && model && pad.isSpeck === (what === "ended")) reader.want();
});

/** Shows a line below the paper: a problem with a picture, or a hint while the paper is empty. */
function say(problem) {
  $("hint").textContent = problem ?? (pad.isEmpty ? hint : "");
  $("hint").classList.toggle("is-bad", problem !== undefined);
}

/** Enables the buttons that need an answer, if there is one. */
function offer() {
  const isRead = reading !== undefined && !pad.isEmpty;
  $("curl").disabled = $("python").disabled = !isRead;
  $("copied").textContent = "";
  $("teach").hidden = !isTaught || model?.kind !== "mnist";
  // A correction must belong to the drawing on the paper, so an answer to an earlier drawing cannot be corrected.
  const isCurrent = isRead && reading.picture.revision === pad.revision;
  for (const button of $("labels").children) button.disabled = !isCurrent;
  if (pad.isDrawing || !isRead) $("thanks").textContent = "";
}

// Models

async function findModels() {
  try {
    all = await server.models();
    const isWaiting = all.some(({ isLoading }) => isLoading) || (all.length === 0 && !await server.isReady());
    listModels(isWaiting);
    if (isWaiting) setTimeout(findModels, RELOAD);
  } catch (error) {
    result.fail(`${error.message}${error.retry === undefined ? "" : " Trying again …"}`);
    if (error.retry !== undefined) setTimeout(findModels, 1000 * error.retry);
  }
}

function listModels(isWaiting) {
  const usable = all.filter(({ kind }) => kind);
  const others = all.filter(({ kind, isLoading }) => !kind && !isLoading);
  const options = usable.map(({ name }) => new Option(name, name));
  $("model").replaceChildren(...options.length ? options : [new Option(isWaiting ? "Loading …" : "None", "")]);
  $("model").disabled = usable.length === 0;
  const names = others.map(({ name }) => name).join(", ");
  $("others").hidden = others.length === 0;
  const link = Object.assign(document.createElement("a"), { href: "docs", textContent: "try them on the API page" });
  $("others").replaceChildren(`Other models here, which take no pictures: ${names}; `, link, ".");
  choose(usable.find(({ name }) => name === model?.name) ?? usable[0]);
  if (usable.length) return;
  if (isWaiting) return result.empty("The server is still loading its models. This page continues automatically.");
  result.empty(others.length
    ? "None of the models here takes pictures."
    : "This server has no models yet.");
}

function choose(next) {
  const isOther = next?.name !== model?.name || next?.kind !== model?.kind;
  model = next;
  if (!isOther) return;
  reader.drop();
  reading = undefined;
  if (model) {
    $("model").value = model.name;
    $("title").textContent = model.kind === "mnist" ? "Draw a digit" : "Show a picture";
    $("invitation").innerText = model.kind === "mnist" ? "Draw a digit here,\nor several side by side" : "Open, drop or paste a picture,\nor draw one";
  }
  result.kind = model?.kind ?? "mnist";
  if (model && !pad.isEmpty) reader.want();
}

$("model").addEventListener("change", () => choose(all.find(({ name }) => name === $("model").value)));

// Tools

$("undo").addEventListener("click", () => pad.undo());
$("clear").addEventListener("click", () => pad.clear());
$("width").addEventListener("input", () => {
  pad.penWidth = Number($("width").value);
  $("nib").setAttribute("r", pad.penWidth / 2);
});
addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z";
  if (!isUndo || $("viewfinder").open) return;
  event.preventDefault();
  pad.undo();
});

// Pictures

async function put(file) {
  try {
    pad.put(await pictures.fromFile(file));
  } catch (error) {
    say(error.message);
  }
}

for (const id of ["file", "capture"]) {
  $(id).addEventListener("change", () => {
    const [file] = $(id).files;
    if (file) put(file);
    $(id).value = ""; // so that the same file can be chosen again
  });
}
$("open").addEventListener("click", () => $("file").click());
const openCamera = pictures.camera(
  { dialog: $("viewfinder"), video: $("video"), take: $("take"), leave: $("leave") },
  { taken: (picture) => pad.put(picture), refused: say },
);
$("camera").addEventListener("click", () => {
  // Without TLS, browsers give a page no access to the camera. On phones, the file dialog offers it.
  if (navigator.mediaDevices?.getUserMedia) openCamera();
  else $("capture").click();
});
addEventListener("paste", (event) => {
  const file = pictures.fileIn(event.clipboardData);
  if (file) put(file);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("paper").classList.add("is-target");
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("paper").classList.remove("is-target"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  $("paper").classList.remove("is-target");
  const file = pictures.fileIn(event.dataTransfer);
  if (file) put(file);
  else say("What you dropped is not a picture.");
});

// Actions on an answer

for (const [id, snippet] of [["curl", snippets.curl], ["python", snippets.python]]) {
  $(id).addEventListener("click", async () => {
    try {
      const picture = reading.picture.revision === pad.revision ? reading.picture : await pad.picture();
      await snippets.copy(snippet(server.pictureAddress(model), picture.type, picture.base64));
      $("copied").textContent = "Copied";
      $("copied").classList.remove("is-bad");
    } catch (error) {
      $("copied").textContent = error.message;
      $("copied").classList.add("is-bad");
    }
  });
}

async function teach(label) {
  const { digits, picture, version, by } = reading;
  try {
    const others = digits.filter((digit) => digit !== chosen).map(({ box }) => box);
    const one = others.length ? await picture.part(chosen.box, others) : picture.base64;
    await server.teach({ model: by.name, version, picture: one, label });
    $("thanks").textContent = `Thank you: stored as a ${label}.`;
    $("thanks").classList.remove("is-bad");
  } catch (error) {
    $("thanks").textContent = `Not stored. ${error.message}`;
    $("thanks").classList.add("is-bad");
  }
}

for (const label of "0123456789") {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: label, disabled: true });
  button.setAttribute("aria-label", `It is a ${label}`);
  button.addEventListener("click", () => teach(label));
  $("labels").append(button);
}

$("paper").style.aspectRatio = `${WIDTH} / ${HEIGHT}`;
result.empty();
server.takesFeedback().then((does) => {
  isTaught = does;
  offer();
});
findModels();
