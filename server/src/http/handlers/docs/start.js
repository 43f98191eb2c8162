"use strict";

/** Leaves out HEAD, and fills in a model of this server where an operation asks for one. */
function prepared(description, model) {
  for (const item of Object.values(description.paths)) {
    delete item.head; // GET's twin
    for (const operation of Object.values(item)) {
      for (const parameter of operation.parameters ?? []) {
        if (model && parameter.name === "model") parameter.example = model;
      }
    }
  }
  return description;
}

async function start() {
  const [description, { models }] = await Promise.all(
    ["openapi.json", "v2/models"].map(async (address) => (await fetch(address)).json()),
  );
  const list = document.getElementById("models");
  list.replaceChildren(
    ...(models.length ? models : ["none yet"]).map((name) => {
      const item = document.createElement("code");
      item.textContent = name;
      return item;
    }),
  );
  // The server's address is relative to this page, whatever prefix it is served below.
  description.servers = [{ url: new URL(".", location.href).href }];
  SwaggerUIBundle({
    spec: prepared(description, models[0]),
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    presets: [SwaggerUIBundle.presets.apis],
    tryItOutEnabled: true,
  });
}

start();
