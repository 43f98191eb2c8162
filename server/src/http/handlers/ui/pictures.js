// Pictures from elsewhere: a file that was chosen, dropped or pasted, or the camera.

/** What the server decodes: such a file is sent as it is. */
const SENT_AS_IS = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"];
const LARGEST_FILE = 256 * 1024; // bytes
const LONGEST_SIDE = 800; // pixels; a digit needs far fewer

/** WebP keeps what is transparent, and a photograph small; browsers that cannot write it make a PNG. */
const encoded = (canvas) => new Promise((resolve, reject) => {
  canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("no room for a picture")), "image/webp", .92);
});

/** A drawable of this size as the paper takes it, made smaller where it is large. */
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

/** Reads a file, or says why it cannot. */
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

/** The first picture among what was dropped or pasted; `undefined` where there is nothing but text. */
export function fileIn(transfer) {
  const files = [...transfer?.files ?? []];
  return files.find(({ type }) => type.startsWith("image/")) ?? files[0];
}

/** Opens the camera in `dialog`; `taken` gets each picture, and `refused` a sentence where there is none. */
export function camera({ dialog, video, take, leave }, { taken, refused }) {
  const stop = () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  dialog.addEventListener("close", stop);
  leave.addEventListener("click", () => dialog.close());
  take.addEventListener("click", async () => {
    if (!video.videoWidth) return; // it has shown nothing yet
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
