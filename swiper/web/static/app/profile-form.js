// Shared by the forms of the profile: suggested cities, bounds of birthdays, saving with errors for each field.
import * as api from "./api.js";
import { useState } from "./html.js";
import { setMe } from "./session.js";
import { errorText } from "./notices.js";

export const MIN_AGE = 18;
export const MAX_AGE = 100;

// The birthday of a person who reaches that age today, as the value of a date field.
export function birthdayOf(age) {
  const day = new Date();
  day.setFullYear(day.getFullYear() - age);
  return [day.getFullYear(), String(day.getMonth() + 1).padStart(2, "0"), String(day.getDate()).padStart(2, "0")].join("-");
}

// `save(changes)` resolves to true if the changes were stored.
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
      setState({ isBusy: false, text: isSaid ? "" : errorText(error), fields });
      if (!(error instanceof api.ApiError || error instanceof api.Unreachable)) throw error;
      return false;
    }
  };
  return { ...state, save };
}
