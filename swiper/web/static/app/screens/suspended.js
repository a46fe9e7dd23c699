// The page for suspended people: the end of the suspension, export, deletion, logout.
import { t } from "../catalogue.js";
import { moment } from "../format.js";
import { html, useState } from "../html.js";
import { Account } from "../parts/account.js";
import { Icon } from "../parts/icon.js";
import { PhoneField, international } from "../parts/phone.js";
import { LanguagePick } from "../parts/picks.js";
import { session, setPhone } from "../session.js";
import { useStore } from "../store.js";

// After a reload the page does not know the phone number to which the codes for export and deletion are sent.
function OwnNumber() {
  const [region, setRegion] = useState(document.documentElement.dataset.region);
  const [number, setNumber] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    setPhone(await international(region, number));
  };
  return html`<form class="panel stack" onSubmit=${submit}>
    <p>${t("suspended.which_number")}</p>
    <${PhoneField} region=${region} number=${number} onRegion=${setRegion} onNumber=${setNumber} />
    <button class="button" disabled=${!number.trim()}>${t("suspended.go_on")}</button>
  </form>`;
}

export default function Suspended() {
  const { until, phone } = useStore(session);
  return html`<main class="outside">
    <div class="state" role="status">
      <span class="state-icon"><${Icon} name="lock" /></span>
      <h1>${t("suspended.title")}</h1>
      <p>${until ? t("suspended.until", { when: moment(until) }) : t("suspended.for_good")}</p>
      <p>${t("suspended.text")}</p>
    </div>
    ${phone ? html`<${Account} phone=${phone} />` : html`<${OwnNumber} />`}
    <${LanguagePick} />
  </main>`;
}
