// Shows the model's answer, its input, and its probabilities.

/** An answer whose probability is lower is "not sure". */
export const SURE = .7;
const BEST_NAMED = 5; // number of bars for a model with many classes
const DIGITS = [..."0123456789"];

const $ = (id) => document.getElementById(id);
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const isUnsure = ({ classes }) => classes[0].value < SURE;

/** Creates an element with properties and children. Names with a hyphen become attributes. */
function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Draws the model's input. White is 255 if any value is above 1, and else 1. */
function develop(canvas, pixels) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  const white = Math.max(...pixels) > 1 ? 255 : 1;
  pixels.forEach((value, at) => {
    image.data.fill(Math.round(255 * value / white), 4 * at, 4 * at + 3);
    image.data[4 * at + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}

export class Result {
  #digits = [];
  #announcing;

  /** Calls `selected(digit)` whenever the bars of another digit are shown. */
  constructor(selected) {
    this.selected = selected;
  }

  /** The kind of the chosen model. */
  set kind(kind) {
    $("result").dataset.kind = kind;
    $("seen").hidden = kind === "rgb";
    this.empty();
  }

  /** Shows that there is no answer, with a message. */
  empty(message = "") {
    this.#digits = [];
    this.index = 0;
    this.#state("empty", message);
    $("digits").replaceChildren(el("span", { className: "empty", "aria-hidden": "true" }, "–"));
    $("sight").getContext("2d").clearRect(0, 0, 28, 28);
    $("sight").setAttribute("aria-label", "Nothing yet");
    $("facts").textContent = "";
    this.#bars($("result").dataset.kind === "rgb" ? [] : DIGITS.map((label, index) => ({ label, index, value: 0 })));
    $("bars").classList.remove("is-unsure");
    this.#announce(message);
    this.selected(undefined);
  }

  /** Shows an error. The last answer stays, but greyed out. */
  fail(message) {
    this.#state(this.#digits.length ? "stale" : "empty", message, true);
    this.#announce(message);
  }

  /** Shows an answer, with the bars of the digit at `index`. */
  show({ digits, version, milliseconds }, model, index) {
    this.#digits = digits;
    this.index = Math.min(index, digits.length - 1);
    this.#tiles();
    this.#select(this.index);
    $("facts").textContent = `${Math.round(milliseconds)} ms · ${model.name}, version ${version}`;
    const { text, spoken } = this.#verdict();
    this.#state("read", text);
    this.#announce(spoken);
  }

  /** The answer in words, for the page and for screen readers. */
  #verdict() {
    const digits = this.#digits;
    const [best, next] = digits[this.index].classes;
    const labels = digits.map(({ classes }) => classes[0].label);
    if (digits.length === 1) {
      const perhaps = [best, next].filter(Boolean).map(({ label, value }) => `${label} (${percent(value)})`).join(" or ");
      if (isUnsure(digits[0])) return { text: `Not sure: ${perhaps}`, spoken: `Not sure: ${perhaps}` };
      return { text: `${percent(best.value)} sure.`, spoken: `${best.label}, ${percent(best.value)} sure.` };
    }
    const unsure = digits.filter(isUnsure).length;
    const text = unsure === 0
      ? `${digits.length} digits, read from left to right.`
      : `${digits.length} digits, ${unsure === digits.length ? "and not sure of any" : `not sure of ${unsure}`}.`;
    return { text: `${labels.join("")} · ${text}`, spoken: `${labels.join(" ")}. ${text}` };
  }

  #state(state, message, isBad = false) {
    $("result").dataset.state = state;
    $("message").textContent = message;
    $("message").classList.toggle("is-bad", isBad);
  }

  /** Announces a text to screen readers after a pause, so that they do not read each intermediate answer. */
  #announce(text) {
    clearTimeout(this.#announcing);
    this.#announcing = setTimeout(() => { $("announcer").textContent = text; }, 700);
  }

  #tiles() {
    const isOnly = this.#digits.length === 1;
    const tiles = this.#digits.map((digit, at) => {
      const { label } = digit.classes[0];
      const canvas = el("canvas", { width: 28, height: 28, "aria-hidden": "true" });
      if (digit.pixels) develop(canvas, digit.pixels);
      const tile = el(isOnly ? "p" : "button", {}, el("span", {}, label), canvas);
      tile.className = "digit";
      tile.classList.toggle("is-only", isOnly);
      tile.classList.toggle("is-unsure", isUnsure(digit));
      tile.classList.toggle("is-name", label.length > 2);
      if (!isOnly) {
        tile.type = "button";
        tile.setAttribute("aria-label", `${label}, digit ${at + 1} of ${this.#digits.length}${isUnsure(digit) ? ", not sure" : ""}`);
        tile.addEventListener("click", () => this.#select(at));
      }
      return tile;
    });
    const focused = [...$("digits").children].indexOf(document.activeElement);
    $("digits").replaceChildren(...tiles);
    if (!isOnly && focused >= 0) tiles[focused]?.focus();
  }

  #select(at) {
    this.index = at;
    const digit = this.#digits[at];
    if (this.#digits.length > 1) {
      [...$("digits").children].forEach((tile, index) => {
        tile.setAttribute("aria-pressed", index === at);
        if (index === at) this.#bringIntoView(tile);
      });
    }
    if (digit.pixels) {
      develop($("sight"), digit.pixels);
      $("sight").setAttribute("aria-label", `The ${digit.classes[0].label} as the model sees it, 28 by 28 pixels`);
    }
    const byIndex = [...digit.classes].sort((one, other) => one.index - other.index);
    this.#bars(digit.classes.length > DIGITS.length ? digit.classes.slice(0, BEST_NAMED) : byIndex, digit.classes[0]);
    $("bars").classList.toggle("is-unsure", isUnsure(digit));
    this.selected(digit);
  }

  /** Scrolls the row of digits, but not the page. */
  #bringIntoView(tile) {
    const row = $("digits");
    const left = tile.offsetLeft - row.offsetLeft;
    if (left < row.scrollLeft) row.scrollLeft = left;
    else if (left + tile.offsetWidth > row.scrollLeft + row.clientWidth) row.scrollLeft = left + tile.offsetWidth - row.clientWidth;
  }

  /** Updates the bars. Existing ones are reused, so that they move smoothly. */
  #bars(classes, best) {
    const list = $("bars");
    list.classList.toggle("is-named", classes.some(({ label }) => label.length > 2));
    while (list.children.length > classes.length) list.lastChild.remove();
    while (list.children.length < classes.length) {
      const fill = el("span", { className: "fill" });
      list.append(el("li", {}, el("span", { className: "label" }), el("span", { className: "track", "aria-hidden": "true" }, fill),
        el("span", { className: "number" })));
    }
    classes.forEach(({ label, value, index }, at) => {
      const [name, track, number] = list.children[at].children;
      name.textContent = label;
      track.firstChild.style.transform = `scaleX(${value})`;
      number.textContent = best ? percent(value) : "";
      list.children[at].classList.toggle("is-best", index === best?.index);
    });
  }
}
