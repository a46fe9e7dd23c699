// The person's own page: profile, preferences, settings.
import { t } from "../catalogue.js";
import { html } from "../html.js";
import { ProfilePart } from "../parts/me-profile.js";
import { SettingsPart } from "../parts/me-settings.js";
import { WishesPart } from "../parts/me-wishes.js";
import { route } from "../router.js";
import { session } from "../session.js";
import { useStore } from "../store.js";

const PARTS = {
  profile: { title: "me.profile", Content: ProfilePart },
  wishes: { title: "me.wishes", Content: WishesPart },
  settings: { title: "me.settings", Content: SettingsPart },
};

export default function Me() {
  const { part } = useStore(route);
  const { me, vip } = useStore(session);
  const name = part in PARTS ? part : "profile";
  const { Content } = PARTS[name];
  return html`<h1 class="page-title">${t("nav.me")}</h1>
    <nav class="tabs" aria-label=${t("me.parts")}>
      ${Object.entries(PARTS).map(
        ([link, { title }]) => html`<a key=${link} href=${`#/me/${link}`} aria-current=${link === name ? "page" : undefined}>${t(title)}</a>`,
      )}
    </nav>
    <${Content} me=${me} vip=${vip} />`;
}
