// Pictures from files (chosen, dropped or pasted) and from the camera.

/** The types that the server decodes. Files of these types are sent unchanged. */
const SENT_AS_IS = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"];
const LARGEST_FILE = 256 * 1024; // bytes
const LONGEST_SIDE = 800; // pixels; larger pictures are shrunk, since a digit needs far fewer

/** Encodes as WebP, which supports transparency and keeps photographs small. Browsers without it write a PNG. */
const encoded = (canvas) => new Promise((resolve, reject) => {
  canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("not enough memory for a picture")), "image/webp", .92);
});

/** Converts a drawable to an item for the paper, shrunk if it is large. */
async function shrunk(drawable, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(drawable, 0, 0, canvas.width, canvas.height);
  return { bitmap: canvas, width: canvas.width, height: canvas.height, blob: await encoded(canvas) };
}

/** Reads a picture file. The error says why it cannot be read. */
export async function fromFile(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    const name = `“${file.name || "What was pasted"}”`;
    throw new Error(file.type.startsWith("image/") ? `${name} cannot be read here: use PNG or JPEG.` : `${name} is not a picture.`);
  }
  const { width, height } = bitmap;
  const isSmall = file.size <= LARGEST_FILE && Math.max(width, height) <= LONGEST_SIDE;
  return isSmall && SENT_AS_IS.includes(file.type) ? { bitmap, width, height, blob: file } : shrunk(bitmap, width, height);
}

/** The first picture in dropped or pasted data, or `undefined` if there is none. */
export function fileIn(transfer) {
  const files = [...transfer?.files ?? []];
  return files.find(({ type }) => type.startsWith("image/")) ?? files[0];
}

/** Opens the camera in `dialog`. Calls `taken` with each picture, or `refused` with the reason why there is no camera. */
export function camera({ dialog, video, take, leave }, { taken, refused }) {
  const stop = () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  dialog.addEventListener("close", stop);
  leave.addEventListener("click", () => dialog.close());
  take.addEventListener("click", async () => {
    if (!video.videoWidth) return; // no frame has arrived yet
    const picture = await shrunk(video, video.videoWidth, video.videoHeight);
    dialog.close();
    taken(picture);
  });
  return async () => {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      dialog.showModal();
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      if (dialog.open) dialog.close();
      refused(error.name === "NotAllowedError"
        ? "The camera may not be used: allow it in the browser, or open a picture instead."
        : "No camera was found. Open a picture instead.");
    }
  };
}
