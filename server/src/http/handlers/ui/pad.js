// The paper: keeps the drawing as strokes, and redraws it at the paper's current size and pixel density.

/** Size of the paper in its own units. Pictures of it have this number of pixels on every screen. */
export const WIDTH = 480;
export const HEIGHT = 360;

const ON_WHITE = { paper: "#fff", ink: "#000" };
const ON_BLACK = { paper: "#000", ink: "#fff" };
const MARGIN = 24; // pixels around a digit that is cut out of the drawing

/** The position of a picture on the paper: centred, and as large as fits. */
function place({ width, height }) {
  const scale = Math.min(WIDTH / width, HEIGHT / height);
  return { scale, left: (WIDTH - width * scale) / 2, top: (HEIGHT - height * scale) / 2 };
}

/** The colours of paper and ink in the picture that is sent: white strokes on a dark picture, else black ones. */
const colours = ([lowest]) => lowest?.picture?.isDark ? ON_BLACK : ON_WHITE;

/** Whether a picture on a white background is dark on average. */
function isDark({ bitmap }) {
  const context = canvas(16, 16).getContext("2d", { willReadFrequently: true });
  context.fillStyle = ON_WHITE.paper;
  context.fillRect(0, 0, 16, 16);
  context.drawImage(bitmap, 0, 0, 16, 16);
  const { data } = context.getImageData(0, 0, 16, 16);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum += .3 * data[at] + .59 * data[at + 1] + .11 * data[at + 2];
  return sum < 16 * 16 * 128;
}

function paint(context, items, ink) {
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = ink;
  for (const { picture, width, points } of items) {
    if (picture) {
      const { scale, left, top } = place(picture);
      context.drawImage(picture.bitmap, left, top, picture.width * scale, picture.height * scale);
      continue;
    }
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(points[0].x, points[0].y);
    context.lineTo(points[0].x + .01, points[0].y); // so that a touch leaves a dot
    for (const { x, y } of points) context.lineTo(x, y);
    context.stroke();
  }
}

function canvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

const png = (from) => new Promise((resolve, reject) => {
  from.toBlob((blob) => blob ? resolve(blob) : reject(new Error("not enough memory for a picture")), "image/png");
});

/** The bytes of a blob in base64. */
export const base64 = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});

/** Paints the items on the paper with the colours in which they are sent. */
function flatten(context, items) {
  const { paper, ink } = colours(items);
  context.fillStyle = paper;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  paint(context, items, ink);
}

const right = ({ left, width }) => left + width;
const bottom = ({ top, height }) => top + height;

/** The position of the picture on the paper, or the whole paper if the box is not inside the picture. */
function visible(picture, box) {
  const { scale, left, top } = place(picture);
  const area = { left, top, width: picture.width * scale, height: picture.height * scale };
  const isInside = box.left >= left && box.top >= top && right(box) <= right(area) && bottom(box) <= bottom(area);
  return isInside ? area : { left: 0, top: 0, width: WIDTH, height: HEIGHT };
}

/**
 * Cuts a box out of a picture, with some background around it, by which the server distinguishes ink. The background ends
 * at the picture's edge, and half-way to the `others` beside the box.
 */
async function cut(source, area, box, others) {
  const ends = others.map(right).filter((at) => at <= box.left).map((at) => (at + box.left) / 2);
  const starts = others.map(({ left }) => left).filter((at) => at >= right(box)).map((at) => (at + right(box)) / 2);
  const left = Math.ceil(Math.max(area.left, box.left - MARGIN, ...ends));
  const top = Math.ceil(Math.max(area.top, box.top - MARGIN));
  const width = Math.floor(Math.min(right(area), right(box) + MARGIN, ...starts)) - left;
  const height = Math.floor(Math.min(bottom(area), bottom(box) + MARGIN)) - top;
  const part = canvas(width, height);
  part.getContext("2d").drawImage(source, -left, -top);
  return base64(await png(part));
}

/** Cuts a box out of a drawing and puts it on white. */
async function alone(flat, box) {
  const part = canvas(Math.ceil(box.width) + 2 * MARGIN, Math.ceil(box.height) + 2 * MARGIN);
  const context = part.getContext("2d");
  context.fillStyle = ON_WHITE.paper;
  context.fillRect(0, 0, part.width, part.height);
  context.beginPath();
  context.rect(MARGIN - 1, MARGIN - 1, box.width + 2, box.height + 2);
  context.clip();
  context.drawImage(flat, MARGIN - box.left, MARGIN - box.top);
  return base64(await png(part));
}

export class Pad {
  #canvas;
  #history = []; // all items: strokes, pictures, and `{ clear: true }`
  #stroke; // the stroke that is being drawn, with its pointer
  #frame;
  #box;

  /** Calls `changed(what)` for each change: "drawn" if a stroke got longer, "ended" if it ended, "replaced" otherwise. */
  constructor(element, changed) {
    this.#canvas = element;
    this.changed = changed;
    this.penWidth = 22;
    this.revision = 0;
    element.addEventListener("pointerdown", (event) => this.#begin(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(end, (event) => this.#end(event));
    }
    element.addEventListener("contextmenu", (event) => { if (this.#stroke) event.preventDefault(); });
    element.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // no scroll, no zoom
    new ResizeObserver(() => this.redraw()).observe(element);
    this.#watchDensity();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** Redraws when the pixel density changes: the window moves to another screen, or the page is zoomed. */
  #watchDensity() {
    addEventListener("resize", () => this.redraw());
    try {
      new ResizeObserver(() => this.redraw()).observe(this.#canvas, { box: "device-pixel-content-box" });
    } catch { /* Safari has no such box, but it tells of the density */ }
    this.#awaitDensity();
  }

  #awaitDensity() {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", () => {
      this.redraw();
      this.#awaitDensity();
    }, { once: true });
  }

  /** The items on the paper, the lowest first. */
  get items() {
    const start = this.#history.findLastIndex(({ clear, picture }) => clear || picture);
    return this.#history.slice(start < 0 || this.#history[start].picture ? Math.max(start, 0) : start + 1);
  }

  get isEmpty() { return this.items.length === 0; }
  get canUndo() { return this.#history.length > 0; }
  get isDrawing() { return this.#stroke !== undefined; }

  /** Whether the drawing is only the beginning of a stroke, too short to be recognised. */
  get isSpeck() {
    const [{ points }, ...others] = this.items;
    return others.length === 0 && points !== undefined && points.every(({ x, y }) => Math.hypot(x - points[0].x, y - points[0].y) < 12);
  }

  /** The last point of the last stroke, unless a picture was added after it. */
  get lastPoint() { return this.items.at(-1)?.points?.at(-1); }

  clear() {
    if (!this.isEmpty) this.#replace(() => this.#history.push({ clear: true }));
  }

  undo() {
    if (this.canUndo) this.#replace(() => this.#history.pop());
  }

  /** Shows a picture: `bitmap` with `width` and `height`, and its `blob`. */
  put(picture) {
    this.#replace(() => this.#history.push({ picture: { ...picture, isDark: isDark(picture) } }));
  }

  /** Draws a frame around a part of the paper, or removes it. */
  frame(box) {
    this.#box = box;
    this.redraw();
  }

  #replace(change) {
    this.#stroke = undefined; // a pointer that is still down draws no further
    this.#box = undefined;
    change();
    this.#touched("replaced");
  }

  #touched(what) {
    this.revision++;
    this.redraw();
    this.changed(what);
  }

  /** Converts a position on the screen to one on the paper. */
  #point({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const { clientLeft, clientTop, clientWidth, clientHeight } = this.#canvas;
    return { x: (clientX - left - clientLeft) / clientWidth * WIDTH, y: (clientY - top - clientTop) / clientHeight * HEIGHT };
  }

  #begin(event) {
    if (this.#stroke || event.button !== 0) return; // a second finger, or another mouse button
    event.preventDefault();
    try { this.#canvas.setPointerCapture(event.pointerId); } catch { /* it is up again already */ }
    this.#stroke = { pointer: event.pointerId, width: this.penWidth, points: [this.#point(event)] };
    this.#box = undefined;
    this.#history.push(this.#stroke);
    this.#touched("drawn");
  }

  #move(event) {
    if (event.pointerId !== this.#stroke?.pointer) return;
    if (event.buttons === 0) return this.#end(event); // released outside the page, without an event
    const between = event.getCoalescedEvents?.() ?? [];
    this.#stroke.points.push(...(between.length ? between : [event]).map((each) => this.#point(each)));
    this.#touched("drawn");
  }

  #end(event) {
    if (event.pointerId !== this.#stroke?.pointer) return;
    this.#stroke = undefined;
    this.changed("ended");
  }

  /** Redraws everything at the next frame. */
  redraw() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#draw();
    });
  }

  #draw() {
    const { clientWidth, clientHeight } = this.#canvas;
    const width = Math.max(1, Math.round(clientWidth * devicePixelRatio));
    const height = Math.max(1, Math.round(clientHeight * devicePixelRatio));
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    const style = getComputedStyle(this.#canvas);
    const context = this.#canvas.getContext("2d");
    context.setTransform(width / WIDTH, 0, 0, height / HEIGHT, 0, 0);
    context.clearRect(0, 0, WIDTH, HEIGHT);
    const { items } = this;
    if (items[0]?.picture) flatten(context, items);
    else paint(context, items, style.getPropertyValue("--ink"));
    if (!this.#box) return;
    const { left, top, width: wide, height: high } = this.#box;
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    context.strokeStyle = style.getPropertyValue("--accent");
    context.strokeRect(left - 6, top - 6, wide + 12, high + 12);
    context.setLineDash([]);
  }

  /**
   * Encodes the paper as a picture. Its `onPaper` converts a box of the picture to the paper's units. Its `part` cuts a box
   * out of the picture, without the content of the boxes `others`.
   */
  async picture() {
    const { revision, items } = this;
    if (items.length === 1 && items[0].picture) {
      const { picture } = items[0];
      const { scale, left, top } = place(picture);
      const onPaper = (box) => ({
        left: left + box.left * scale, top: top + box.top * scale, width: box.width * scale, height: box.height * scale,
      });
      const all = { left: 0, top: 0, width: picture.width, height: picture.height };
      const part = (box, others) => cut(picture.bitmap, all, box, others);
      return { revision, type: picture.blob.type, base64: await base64(picture.blob), onPaper, part };
    }
    const flat = canvas(WIDTH, HEIGHT);
    flatten(flat.getContext("2d"), items);
    const blob = await png(flat);
    const part = (box, others) => items[0]?.picture ? cut(flat, visible(items[0].picture, box), box, others) : alone(flat, box);
    return { revision, type: blob.type, base64: await base64(blob), onPaper: (box) => box, part };
  }
}
