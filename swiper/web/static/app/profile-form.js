// What the profile's forms share: cities to suggest, the bounds of birthdays, and saving with reasons by field.
import * as api from "./api.js";
import { useState } from "./html.js";
import { setMe } from "./session.js";
import { wordsOf } from "./tidings.js";

export const YOUNGEST = 18;
export const OLDEST = 100;

// The day on which somebody of that age today has their birthday, as a date field wants it.
export function birthdayOf(age) {
  const day = new Date();
  day.setFullYear(day.getFullYear() - age);
  return [day.getFullYear(), String(day.getMonth() + 1).padStart(2, "0"), String(day.getDate()).padStart(2, "0")].join("-");
}

// `save(changes)` resolves to whether they were stored.
export function useSaving() {
  const [state, setState] = useState({ isBusy: false, text: "", fields: {} });
  const save = async (changes) => {
    setState({ isBusy: true, text: "", fields: {} });
    try {
      setMe(await api.post("/api/user/profile/modify", changes));
      setState({ isBusy: false, text: "", fields: {} });
      return true;
    } catch (error) {
      const fields = error.fields ?? {};
      const isSaid = Object.keys(fields).some((name) => name in changes);
      setState({ isBusy: false, text: isSaid ? "" : wordsOf(error), fields });
      if (!(error instanceof api.ApiError || error instanceof api.Unreachable)) throw error;
      return false;
    }
  };
  return { ...state, save };
}
