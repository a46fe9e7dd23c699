// The album of up to nine photos.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { html, useState } from "../html.js";
import { reloadMe } from "../session.js";
import { showError } from "../notices.js";
import { Confirm } from "./dialog.js";
import { Icon } from "./icon.js";
import { PhotoPick } from "./upload.js";

const MOST = 9;

export function Album({ photos }) {
  const [doomed, setDoomed] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const drop = async () => {
    setBusy(true);
    try {
      await api.del(`/api/user/photos/${doomed.id}`);
      await reloadMe();
      setDoomed(null);
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  return html`<section class="panel" aria-labelledby="album">
    <h2 id="album">${t("photo.album")}</h2>
    <p class="note">${t("photo.album_count", { count: photos.length, most: MOST })}</p>
    <ul class="album">
      ${photos.map(
        (photo, index) => html`<li key=${photo.id}>
          <img src=${photo.url} alt=${t("photo.number", { number: index + 1 })} loading="lazy" />
          <button class="icon-button" aria-label=${t("photo.drop_number", { number: index + 1 })} onClick=${() => setDoomed(photo)}><${Icon} name="trash" /></button>
        </li>`,
      )}
      ${photos.length < MOST && html`<li><${PhotoPick} /></li>`}
    </ul>
    ${doomed &&
    html`<${Confirm} title=${t("photo.drop")} text=${t("photo.drop_text")} label=${t("photo.drop")} isBusy=${isBusy}
      onYes=${drop} onNo=${() => setDoomed(null)} />`}
  </section>`;
}
