// Registers the service worker, and offers a new release as soon as it is installed.
import { t } from "./catalogue.js";
import { showToast } from "./toasts.js";

function offer(waiting) {
  const run = () => waiting.postMessage("take over");
  showToast(t("app.new_release"), { action: { label: t("app.reload"), run }, shownMs: 60_000, slot: "release" });
}

function watch(registration) {
  registration.installing?.addEventListener("statechange", (event) => {
    // Without a controller this is the first worker, which replaces nothing.
    if (event.target.state === "installed" && navigator.serviceWorker.controller) offer(event.target);
  });
}

export async function startWorker() {
  // Browsers have service workers only on secure pages and on localhost.
  if (!navigator.serviceWorker) return;
  let isControlled = Boolean(navigator.serviceWorker.controller);
  // All tabs reload, not only the one that accepted the release: an old page would import screens of the new release.
  // The first worker replaces nothing.
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (isControlled) location.reload();
    isControlled = true;
  });
  try {
    const registration = await navigator.serviceWorker.register("/sw.js");
    if (registration.waiting && navigator.serviceWorker.controller) offer(registration.waiting);
    registration.addEventListener("updatefound", () => watch(registration));
  } catch (error) {
    console.warn("the page is not kept for later:", error.name);
  }
}
