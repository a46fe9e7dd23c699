// Cropping by Cropper.js, which is loaded when a picture is chosen. Its handles need a pointer; buttons and arrow keys
// do the same.
import { t } from "../catalogue.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";

const VENDOR = new URL("../../vendor/cropper/", import.meta.url);
const RATIO = 3 / 4;
const WIDTH_PX = 1080;
const QUALITY = 0.9;
const STEP_PX = 12;
const MOVES = { ArrowLeft: [-STEP_PX, 0], ArrowRight: [STEP_PX, 0], ArrowUp: [0, -STEP_PX], ArrowDown: [0, STEP_PX] };

let loading = null;

function add(tag, attributes) {
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.onload = resolve;
    element.onerror = () => reject(new Error("Cropper.js did not load"));
    document.head.append(element);
  });
}

// Loaded once for all pictures; after a failure the next picture tries again.
function loadCropper() {
  loading ??= Promise.all([
    add("link", { rel: "stylesheet", href: new URL("cropper.min.css", VENDOR) }),
    add("script", { src: new URL("cropper.min.js", VENDOR) }),
  ]).then(
    () => window.Cropper,
    (error) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

const OPTIONS = {
  aspectRatio: RATIO,
  viewMode: 1,
  dragMode: "move",
  autoCropArea: 1,
  background: false,
  // Otherwise the library would request the file again to rotate it, which browsers do by themselves.
  checkOrientation: false,
  checkCrossOrigin: false,
};

function useCropper(image, file) {
  const [cropper, setCropper] = useState(null);
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    const url = URL.createObjectURL(file);
    let made = null;
    let isOpen = true;
    const start = async () => {
      const Cropper = await loadCropper();
      if (!isOpen) return;
      image.current.src = url;
      await image.current.decode();
      if (isOpen) made = new Cropper(image.current, { ...OPTIONS, ready: () => setCropper(made) });
    };
    start().catch(() => setBroken(true));
    return () => {
      isOpen = false;
      made?.destroy();
      URL.revokeObjectURL(url);
    };
  }, [file]);
  return { cropper, isBroken };
}

const toBlob = (cropper) =>
  new Promise((resolve) => {
    const options = { maxWidth: WIDTH_PX, maxHeight: WIDTH_PX / RATIO, fillColor: "#fff", imageSmoothingQuality: "high" };
    cropper.getCroppedCanvas(options).toBlob(resolve, "image/jpeg", QUALITY);
  });

function Tools({ cropper }) {
  const tools = [
    { icon: "zoom-in", label: t("crop.zoom_in"), run: () => cropper.zoom(0.1) },
    { icon: "zoom-out", label: t("crop.zoom_out"), run: () => cropper.zoom(-0.1) },
    { icon: "rotate-cw", label: t("crop.turn"), run: () => cropper.rotate(90) },
  ];
  return html`<div class="crop-tools">
    ${tools.map(({ icon, label, run }) => html`<button key=${icon} class="icon-button" aria-label=${label} disabled=${!cropper} onClick=${run}><${Icon} name=${icon} /></button>`)}
  </div>`;
}

export function Crop({ file, progress, text, onDone, onClose }) {
  const image = useRef(null);
  const { cropper, isBroken } = useCropper(image, file);
  const isBusy = progress !== null;
  const move = (event) => {
    if (!cropper || !MOVES[event.key]) return;
    event.preventDefault();
    cropper.move(...MOVES[event.key]);
  };
  const use = async () => onDone(await toBlob(cropper));
  return html`<${Dialog} className="crop" title=${t("crop.title")} onClose=${onClose}>
    <div class="crop-place" tabindex="0" role="group" aria-label=${t("crop.place")} onKeyDown=${move}><img ref=${image} alt="" /></div>
    <${Tools} cropper=${cropper} />
    ${isBroken && html`<p class="note note-wrong" role="alert">${t("crop.broken")}</p>`}
    ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
    ${isBusy && html`<progress max="1" value=${progress} aria-label=${t("crop.sending")}></progress>`}
    <div class="dialog-actions">
      <button class="button" onClick=${onClose}>${t("app.cancel")}</button>
      <button class="button button-primary" disabled=${!cropper || isBusy} onClick=${use}>${isBusy ? t("crop.sending") : t("crop.use")}</button>
    </div>
  <//>`;
}
