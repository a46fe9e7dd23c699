// Times, money and names of levels in the language of the page.
import { language, t } from "./catalogue.js";

const locale = () => (language.value === "zh" ? "zh-CN" : "en");

export const money = (amount, currency = "CNY") =>
  new Intl.NumberFormat(locale(), { style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(amount);

export const day = (moment) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(new Date(moment));

export const moment = (text) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));

export const clock = (moment) =>
  new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", hour12: false }).format(new Date(moment));

// "1:02:03", or "2:03" for less than an hour.
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => (index ? String(part).padStart(2, "0") : String(part))).join(":");
}

// The age in full years today, as the server computes it.
export function ageOf(birthday) {
  const [year, month, date] = birthday.split("-").map(Number);
  const now = new Date();
  const isBefore = now.getMonth() + 1 < month || (now.getMonth() + 1 === month && now.getDate() < date);
  return now.getFullYear() - year - (isBefore ? 1 : 0);
}

// A name that an operator gave to a level stays. The default names are Chinese, and are translated.
export function levelName({ level, name }) {
  const isSeeded = /^\u4f1a\u5458-\d+$/.test(name);
  return isSeeded ? t("vip.level_name", { level }) : name;
}
