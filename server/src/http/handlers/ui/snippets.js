// The request as code to paste: for a shell, and for Python.

/** Base64, divided into lines: a terminal accepts at most 4096 characters per line. */
const lines = (base64) => base64.match(/.{1,76}/g).join("\n");

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A curl command for bash, zsh and other POSIX shells. */
export const curl = (address, type, base64) => `base64 -d <<'PICTURE' | curl -sS ${quoted(address)} -H ${quoted(`Content-Type: ${type}`)} --data-binary @-
${lines(base64)}
PICTURE
`;

/** Code for Python 3 without packages, for a file or for the interactive prompt. */
export const python = (address, type, base64) => `import base64, json, urllib.request

picture = base64.b64decode("""
${lines(base64)}
""")
request = urllib.request.Request(${JSON.stringify(address)}, picture, {"Content-Type": ${JSON.stringify(type)}})
output = json.load(urllib.request.urlopen(request))["outputs"][0]
classes = output["shape"][-1]
for start in range(0, len(output["data"]), classes):
    row = output["data"][start : start + classes]
    print("class", row.index(max(row)), "with", max(row))

`;

/** Copies a text to the clipboard. The old command also works on pages without TLS, where the clipboard API does not. */
export async function copy(text) {
  try {
    return await navigator.clipboard.writeText(text);
  } catch { /* as below */ }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!isCopied) throw new Error("The browser does not let this page copy.");
}
