// What the person tried to do and their level does not allow. The frame shows it as a dialog.
import { Store } from "./store.js";

export const wanted = new Store({ what: null });

export const offer = (what) => wanted.set({ what });
export const dropOffer = () => wanted.set({ what: null });
