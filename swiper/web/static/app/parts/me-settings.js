// Settings of the page, the account, and its sessions.
import { t } from "../catalogue.js";
import { html, useState } from "../html.js";
import { useSaving } from "../profile-form.js";
import { Account } from "./account.js";
import { Devices } from "./devices.js";
import { Switch } from "./form.js";
import { LanguagePick, ThemePick } from "./picks.js";

const SWITCHES = {
  vibration: { label: "settings.vibration", hint: "settings.vibration_hint" },
  auto_play: { label: "settings.auto_play", hint: "settings.auto_play_hint" },
  only_match: { label: "settings.only_match", hint: "settings.only_match_hint" },
};

function Switches({ me }) {
  const { text, save } = useSaving();
  // The change is shown at once. If the server refuses it, the value of the server is shown again.
  const [wanted, setWanted] = useState({});
  const turn = async (name, isOn) => {
    setWanted((old) => ({ ...old, [name]: isOn }));
    await save({ [name]: isOn });
    setWanted((old) => ({ ...old, [name]: undefined }));
  };
  return html`<section class="panel" aria-labelledby="behaviour">
    <h2 id="behaviour">${t("settings.title")}</h2>
    <div class="stack">
      <${LanguagePick} />
      <${ThemePick} />
      ${Object.entries(SWITCHES).map(
        ([name, { label, hint }]) => html`<${Switch} key=${name} label=${t(label)} hint=${t(hint)} isOn=${wanted[name] ?? me[name]}
          onChange=${(isOn) => turn(name, isOn)} />`,
      )}
    </div>
    ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
  </section>`;
}

export const SettingsPart = ({ me }) => html`<div class="columns"><${Switches} me=${me} /><${Account} phone=${me.phone} nickname=${me.nickname} /><${Devices} /></div>`;
