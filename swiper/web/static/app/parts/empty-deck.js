// Says why the deck is empty, with buttons that relax a preference.
import { t } from "../catalogue.js";
import { fill, reshuffle } from "../deck.js";
import { html } from "../html.js";
import { go } from "../router.js";
import { MAX_AGE, MIN_AGE, useSaving } from "../profile-form.js";
import { Icon } from "./icon.js";
import { Empty } from "./states.js";

const REASONS = { all_swiped: "deck.all_swiped", nobody_fits: "deck.nobody_fits", end_of_deck: "deck.end_of_deck" };
const RELAXED = {
  dating_sex: { label: "deck.relax_sex", changes: { dating_sex: "any" } },
  min_dating_age: { label: "deck.relax_min_age", changes: { min_dating_age: MIN_AGE } },
  max_dating_age: { label: "deck.relax_max_age", changes: { max_dating_age: MAX_AGE } },
};

function again() {
  reshuffle();
  return fill();
}

export function EmptyDeck({ empty: { reason, relax } }) {
  const { isBusy, text, save } = useSaving();
  const widen = async (changes) => {
    if (await save(changes)) await again();
  };
  const offers = relax.filter((name) => name in RELAXED);
  return html`<${Empty} icon="search-x" title=${t("deck.empty")} text=${t(REASONS[reason])}>
    ${relax.length > 0 && html`<p>${t("deck.relax")}</p>`}
    <div class="state-actions">
      ${offers.map((name) => {
        const { label, changes } = RELAXED[name];
        return html`<button key=${name} class="button button-primary" disabled=${isBusy} onClick=${() => widen(changes)}>${t(label)}</button>`;
      })}
      ${relax.includes("dating_location") && html`<button class="button button-primary" onClick=${() => go("me/wishes")}>${t("deck.relax_city")}</button>`}
      <button class="button" onClick=${again}><${Icon} name="refresh-cw" />${t("deck.look_again")}</button>
    </div>
    ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
  <//>`;
}
