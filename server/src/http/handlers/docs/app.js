// Shows what openapi.json says, and sends requests. No library, nothing from elsewhere.

const METHODS = ["get", "post", "put", "patch", "delete"];
const LONGEST_SHOWN = 200_000; // characters of an answer
let spec;

/** An element with attributes (`on…` are listeners) and children; texts are never read as HTML. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** A text of the description, in which only `code` is marked. */
const prose = (text) => text.split("`").map((part, index) => index % 2 ? el("code", {}, part) : part);

/** A path that may be broken before its slashes. */
const breakable = (path) => path.split(/(?=\/)/).flatMap((part) => [el("wbr"), part]);

function resolve(object) {
  let target = object;
  for (let hops = 0; target?.$ref && hops < 8; hops++) {
    const steps = target.$ref.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    target = steps.reduce((value, step) => value?.[step], spec);
  }
  return target ?? {};
}

/** JSON as people write it: lists of numbers on one line. */
function pretty(value, indent = "") {
  const plain = (item) => item === null || typeof item !== "object";
  const inner = indent + "  ";
  if (plain(value)) return JSON.stringify(value);
  if (Array.isArray(value)) {
    if (value.every((item) => plain(item) || (item.length === 1 && plain(item[0])))) return JSON.stringify(value);
    return `[\n${value.map((item) => inner + pretty(item, inner)).join(",\n")}\n${indent}]`;
  }
  const entries = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, inner)}`);
  return entries.length ? `{\n${entries.join(",\n")}\n${indent}}` : "{}";
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  const some = schema.oneOf ?? schema.anyOf;
  if (some) return some.map(typeOf).join(" | ");
  const type = [schema.type ?? "any"].flat().join(" | ");
  return type === "array" ? `array of ${typeOf(schema.items ?? {})}` : type;
}

/** A schema as a list of its properties, down to a depth that ends even where schemas name themselves. */
function schemaView(schema, depth = 0) {
  const { properties, required = [], items, additionalProperties, description, enum: values } = resolve(schema);
  const parts = [];
  if (depth === 0 && description) parts.push(el("p", { class: "note" }, prose(description)));
  if (values) parts.push(el("div", {}, values.join(" | ")));
  if (properties && depth < 5) {
    parts.push(el("ul", {}, Object.entries(properties).map(([name, property]) => el("li", {},
      el("span", { class: required.includes(name) ? "required" : undefined }, name), ": ", typeOf(property), " ",
      el("span", { class: "note" }, prose(property.description ?? (property.$ref && resolve(property).description) ?? "")),
      schemaView(property, depth + 1)))));
  }
  if (items) parts.push(schemaView(items, depth + 1));
  if (additionalProperties?.$ref) parts.push(schemaView(additionalProperties, depth + 1));
  return el("div", { class: depth === 0 ? "schema" : undefined }, parts);
}

function requestBody(body, id) {
  const { content, required } = resolve(body);
  const json = content["application/json"] ?? {};
  const examples = Object.entries(json.examples ?? {});
  const text = el("textarea", { id: `${id}-body`, spellcheck: "false" });
  const show = (index) => { text.value = examples[index] ? pretty(resolve(examples[index][1]).value) : ""; };
  show(0);
  const choice = examples.length > 1 && el("label", {}, "Example ",
    el("select", { onchange: (event) => show(event.target.value) },
      examples.map(([name], index) => el("option", { value: index }, name))));
  const view = [
    el("h3", {}, "Body ", el("span", { class: "hint" }, Object.keys(content).join(", ") + (required ? "" : " (may be empty)"))),
    choice || null,
    el("label", { for: text.id }, "JSON"), text,
    json.schema && el("details", { class: "inner" }, el("summary", {}, `Schema ${typeOf(json.schema)}`), el("div", { class: "body" }, schemaView(json.schema))),
  ];
  return { view, text };
}

function parameterField(parameter, id) {
  const { name, in: place, required, description, example } = resolve(parameter);
  const input = el("input", { id: `${id}-${name}`, value: example, autocomplete: "off", spellcheck: "false", required });
  const view = el("div", { class: "field" },
    el("label", { for: input.id }, name, " ", el("span", { class: "where" }, place === "path" ? "" : place)),
    el("p", { class: "hint" }, prose(description ?? "")), input);
  return { view, name, place, input };
}

function answers(responses) {
  return Object.entries(responses).map(([status, response]) => {
    const { description, content = {} } = resolve(response);
    const json = content["application/json"];
    return el("tr", {}, el("th", { scope: "row" }, status), el("td", {}, description,
      el("br"), el("code", {}, Object.keys(content).join(", ")),
      status === "200" && json?.schema
        ? el("details", { class: "inner" }, el("summary", {}, `Schema ${typeOf(json.schema)}`), el("div", { class: "body" }, schemaView(json.schema),
          json.example === undefined ? null : el("pre", { tabindex: "0" }, pretty(json.example))))
        : null));
  });
}

async function shownBody(response) {
  const type = response.headers.get("content-type") ?? "";
  if (!/json|text|javascript/.test(type)) return `${(await response.arrayBuffer()).byteLength} bytes`;
  let text = await response.text();
  if (type.includes("json")) { try { text = pretty(JSON.parse(text)); } catch { /* shown as it came */ } }
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}\n…` : text;
}

async function send(path, method, fields, text, result) {
  const headers = {};
  let address = path;
  for (const { name, place, input } of fields) {
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value) headers[name] = input.value;
  }
  const body = text?.value || undefined;
  if (body) headers["content-type"] = "application/json";
  const started = performance.now();
  try {
    // Relative to this page, so that it works behind a proxy that adds to the path.
    const response = await fetch(address.slice(1) || "./", { method, headers, body, cache: "no-store" });
    const shown = await shownBody(response);
    const took = (performance.now() - started).toFixed(1);
    result.replaceChildren(
      el("p", {}, el("span", { class: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${response.statusText}`),
        ` in ${took} ms, ${method} `, el("span", { class: "path" }, new URL(response.url).pathname)),
      el("pre", { tabindex: "0", "aria-label": "Body of the answer" }, shown || "(empty)"),
      el("details", { class: "inner" }, el("summary", {}, "Headers"), el("div", { class: "body scroll" }, el("table", {},
        [...response.headers].map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)))))));
  } catch (error) {
    result.replaceChildren(el("p", { class: "problem" }, `No answer: ${error.message}`));
  }
}

function fill(body, path, method, operation) {
  const id = operation.operationId;
  const fields = (operation.parameters ?? []).map((parameter) => parameterField(parameter, id));
  const request = operation.requestBody && requestBody(operation.requestBody, id);
  const result = el("div", { class: "result", "aria-live": "polite" });
  const button = el("button", {}, "Send");
  const form = el("form", { onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    await send(path, method.toUpperCase(), fields, request?.text, result);
    button.disabled = false;
  } },
  fields.length ? el("h3", {}, "Parameters") : null, fields.map((field) => field.view), request?.view, button);
  body.append(
    ...(operation.description ? [el("p", {}, prose(operation.description))] : []),
    form, result, el("h3", {}, "Answers"), el("div", { class: "scroll" }, el("table", {}, answers(operation.responses))));
}

/** An operation; what is inside is made when it is first opened. */
function operationView(path, method, operation) {
  const body = el("div", { class: "body" });
  const open = (event) => { if (event.target.open && !body.hasChildNodes()) fill(body, path, method, operation); };
  return el("details", { id: operation.operationId, class: "operation", ontoggle: open,
    "data-text": `${method} ${path} ${operation.summary}`.toLowerCase() },
  el("summary", {}, el("span", { class: `method ${method.toUpperCase()}` }, method.toUpperCase()),
    el("span", { class: "path" }, breakable(path)), el("span", { class: "what" }, operation.summary)), body);
}

function group({ name, description }) {
  const operations = Object.entries(spec.paths).flatMap(([path, item]) => METHODS
    .filter((method) => item[method]?.tags?.includes(name)).map((method) => operationView(path, method, item[method])));
  return el("section", { "aria-labelledby": `group-${name}` },
    el("h2", { id: `group-${name}` }, name), el("p", {}, description ?? ""), operations);
}

function filter(event) {
  const wanted = event.target.value.toLowerCase().trim();
  for (const section of document.querySelectorAll("section")) {
    const operations = [...section.querySelectorAll(".operation")];
    for (const operation of operations) operation.hidden = !operation.dataset.text.includes(wanted);
    section.hidden = operations.every((operation) => operation.hidden);
  }
}

/** Opens the operation that the address names. */
function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named?.matches("details")) named.open = true;
  named?.scrollIntoView();
}

async function start() {
  const main = document.getElementById("operations");
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
    spec = await response.json();
  } catch (error) {
    main.replaceChildren(el("p", { class: "problem" }, `The description cannot be read: ${error.message}`));
    return;
  } finally {
    main.removeAttribute("aria-busy");
  }
  document.getElementById("version").textContent = spec.info.version;
  document.getElementById("about").textContent = spec.info.description ?? "";
  main.replaceChildren(...spec.tags.map(group));
  document.getElementById("groups").append(...spec.tags.map(({ name }) => el("a", { href: `#group-${name}` }, name)));
  document.getElementById("filter").addEventListener("input", filter);
  addEventListener("hashchange", openNamed);
  openNamed();
}

start();
