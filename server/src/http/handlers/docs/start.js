"use strict";

/** Elements of an example tensor: beyond, an example is no help. */
const MOST_ELEMENTS = 10000;
/** Models whose inputs and outputs are shown. */
const MOST_MODELS = 50;

const json = async (address) => (await fetch(address)).json();

/** Makes an element: name of a tag, its text, its children. */
function element(tag, text, ...children) {
  const made = document.createElement(tag);
  made.append(...(text ? [text] : []), ...children);
  return made;
}

/** The shape of a request with one row: sizes that vary are 1. */
const oneRow = (shape) => shape.map((size) => (size < 0 ? 1 : size));

const zero = (datatype) => ({ BYTES: "", BOOL: false })[datatype] ?? 0;

/** Zeros, nested like the shape. */
function zeros([size, ...rest], value) {
  if (size === undefined) return value;
  return Array.from({ length: size }, () => zeros(rest, value));
}

/** Whether requests with these inputs are requests to this model. */
function fits(inputs, model) {
  return model.inputs.every((wanted) => {
    const given = inputs.find(({ name }) => name === wanted.name);
    const same = (size, axis) => size < 0 || size === given.shape[axis];
    return (
      given?.datatype === wanted.datatype &&
      given.shape.length === wanted.shape.length &&
      wanted.shape.every(same)
    );
  });
}

/** Bodies that the model takes, by the operation's id; none if they would be too long. */
function bodies(model) {
  const inputs = model.inputs.map(({ name, datatype, shape }) => ({
    name,
    datatype,
    shape: oneRow(shape),
  }));
  const count = ({ shape }) => shape.reduce((product, size) => product * size, 1);
  if (inputs.some((input) => count(input) > MOST_ELEMENTS)) return {};
  const data = ({ datatype, shape }) => zeros(shape, zero(datatype));
  const rows = inputs.map((input) => [input.name, data(input)[0] ?? zero(input.datatype)]);
  return {
    infer: { inputs: inputs.map((input) => ({ ...input, data: data(input) })) },
    predict: { instances: [rows.length === 1 ? rows[0][1] : Object.fromEntries(rows)] },
  };
}

/** The description with a model of this server filled in, in its examples too; without any, with none. */
function prepared(description, model) {
  const made = structuredClone(description);
  const infer = made.paths["/v2/models/{model}/infer"].post.requestBody.content["application/json"];
  const examplesFit = model && fits(Object.values(infer.examples)[0].value.inputs, model);
  const own = model && !examplesFit ? bodies(model) : {};
  for (const item of Object.values(made.paths)) {
    delete item.head; // GET's twin
    for (const operation of Object.values(item)) {
      for (const parameter of operation.parameters ?? []) {
        if (parameter.name === "model" && parameter.in === "path" && parameter.example) {
          if (model) parameter.example = model.name;
          else delete parameter.example;
        }
        if (parameter.name === "version" && model) parameter.example = model.versions.at(-1);
      }
      const content = operation.requestBody?.content["application/json"];
      const id = operation.operationId.replace("_version", "");
      if (content && ["infer", "predict"].includes(id) && !examplesFit) {
        delete content.examples;
        if (own[id]) content.examples = { "One row of zeros": { value: own[id] } };
      }
    }
  }
  return made;
}

function show(description, model) {
  const address = new URL(".", location.href).href.replace(/\/$/, "");
  // A place of its own each time: what was opened and typed was for another model.
  const place = element("div");
  place.id = "swagger-ui";
  document.getElementById("swagger-ui").replaceWith(place);
  SwaggerUIBundle({
    // The server's address is relative to this page, whatever prefix it is served below.
    spec: { ...prepared(description, model), servers: [{ url: address }] },
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    presets: [SwaggerUIBundle.presets.apis],
    tryItOutEnabled: true,
  });
}

/** The models as a list to choose from: the chosen one is filled in below. */
function list(models, choose) {
  const side = (tensors) =>
    tensors.map(({ name, datatype, shape }) => `${name} ${datatype}[${shape}]`).join(", ");
  const buttons = models.map((model) => {
    const button = element("button", model.name);
    button.type = "button";
    button.addEventListener("click", () => {
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      choose(model);
    });
    return button;
  });
  const items = models.map((model, index) => {
    const versions = ` ${model.versions.length > 1 ? "versions" : "version"} ${model.versions.join(", ")}: `;
    const tensors = `${side(model.inputs)} → ${side(model.outputs)}`;
    return element("li", "", buttons[index], versions, element("code", tensors));
  });
  document.getElementById("models").replaceChildren(...items);
  buttons[0].click();
}

async function start() {
  const [description, { models }] = await Promise.all(["openapi.json", "v2/models"].map(json));
  const asked = models.slice(0, MOST_MODELS).map((name) => json(`v2/models/${encodeURIComponent(name)}`));
  // One that is not ready answers with an error.
  const ready = (await Promise.all(asked)).filter((model) => model.versions?.length);
  if (ready.length) {
    list(ready, (model) => show(description, model));
  } else {
    const none = element("li", "None yet: the server is still loading, or no model could be loaded.");
    document.getElementById("models").replaceChildren(none);
    show(description);
  }
}

start();
