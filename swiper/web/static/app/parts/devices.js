// The list of the person's sessions, each with a button that ends it.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { moment } from "../format.js";
import { html, useState } from "../html.js";
import { usePages } from "../paging.js";
import { showError } from "../notices.js";
import { Loaded } from "./states.js";

// The API has names such as "Chrome on Android".
function nameOf({ device }) {
  const [app, system] = device.split(" on ");
  if (!device) return t("devices.unknown");
  return system ? t("devices.name", { app, system }) : app;
}

function Device({ one, onEnd }) {
  const [isBusy, setBusy] = useState(false);
  const name = nameOf(one);
  const end = async () => {
    setBusy(true);
    await onEnd(one);
    setBusy(false);
  };
  return html`<li class="device">
    <div>
      <strong>${name}</strong>
      ${one.is_current && html`<span class="device-current">${t("devices.current")}</span>`}
      ${one.network && html`<small>${t("devices.network", { network: one.network })}</small>`}
      ${one.created_at && html`<small>${t("devices.since", { when: moment(one.created_at) })}</small>`}
      ${!one.is_current && one.last_seen_at && html`<small>${t("devices.seen", { when: moment(one.last_seen_at) })}</small>`}
    </div>
    ${!one.is_current && html`<button class="button" disabled=${isBusy} aria-label=${t("devices.end_named", { name })} onClick=${end}>${t("devices.end")}</button>`}
  </li>`;
}

export function Devices() {
  const loaded = usePages("/api/user/sessions");
  const [isBusy, setBusy] = useState(false);
  const end = async ({ id }) => {
    try {
      await api.del(`/api/user/sessions/${id}`);
      loaded.reload();
    } catch (error) {
      showError(error);
      // The session has ended since the list was loaded.
      if (error.code === api.CODE.NOT_FOUND) loaded.reload();
    }
  };
  const endOthers = async (items) => {
    setBusy(true);
    try {
      for (const one of items) if (!one.is_current) await api.del(`/api/user/sessions/${one.id}`);
    } catch (error) {
      showError(error);
    }
    setBusy(false);
    loaded.reload();
  };
  return html`<section class="panel" aria-labelledby="devices">
    <h2 id="devices">${t("devices.title")}</h2>
    <p class="note">${t("devices.hint")}</p>
    <${Loaded} loaded=${loaded} rows=${2}>
      ${({ items, hasMore }) => html`<ul class="devices">
          ${items.map((one) => html`<${Device} key=${one.id} one=${one} onEnd=${end} />`)}
        </ul>
        ${items.length > 1 && html`<button class="button" disabled=${isBusy} onClick=${() => endOthers(items)}>${t("devices.end_others")}</button>`}
        ${hasMore && html`<button class="button" disabled=${loaded.isBusy} onClick=${loaded.more}>${t("devices.more")}</button>`}`}
    <//>
  </section>`;
}
