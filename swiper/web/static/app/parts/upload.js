// Choosing a picture, cropping it, and sending it with progress.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { html, useRef, useState } from "../html.js";
import { reloadMe } from "../session.js";
import { errorText } from "../notices.js";
import { showToast } from "../toasts.js";
import { Crop } from "./crop.js";
import { Icon } from "./icon.js";

const KINDS = "image/jpeg,image/png,image/webp";

// `send(blob)`, and its `progress` from 0 to 1, null while nothing is sent.
function useUpload(path, field, onDone) {
  const [state, setState] = useState({ progress: null, text: "" });
  const send = async (blob) => {
    setState({ progress: 0, text: "" });
    try {
      await api.upload(path, field, blob, (progress) => setState({ progress, text: "" }));
      await reloadMe();
      setState({ progress: null, text: "" });
      showToast(t("photo.stored"), { kind: "good" });
      onDone();
    } catch (error) {
      setState({ progress: null, text: errorText(error) });
    }
  };
  return { ...state, send };
}

function Picker({ label, icon, path, field, className }) {
  const input = useRef(null);
  const [file, setFile] = useState(null);
  const close = () => setFile(null);
  const { progress, text, send } = useUpload(path, field, close);
  const choose = (event) => {
    setFile(event.target.files[0] ?? null);
    // Without this, the same file could not be chosen again.
    event.target.value = "";
  };
  return html`<label class=${className}>
      <input ref=${input} class="hidden" type="file" accept=${KINDS} onChange=${choose} />
      <${Icon} name=${icon} /><span>${label}</span>
    </label>
    ${file && html`<${Crop} file=${file} progress=${progress} text=${text} onDone=${send} onClose=${close} />`}`;
}

export const AvatarPick = () =>
  html`<${Picker} label=${t("photo.change_avatar")} icon="camera" path="/api/user/avatar/upload" field="avatar" className="button file-button" />`;

export const PhotoPick = () =>
  html`<${Picker} label=${t("photo.add")} icon="image-plus" path="/api/user/photos" field="photo" className="album-add" />`;
