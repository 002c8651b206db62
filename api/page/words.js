// The words of the page, in the language that the guard chose.

let books = {};
let language = "en";
let timeZone = "UTC";

export async function loadWords() {
  const response = await fetch("page/texts.json");
  if (!response.ok) throw new Error(`texts: ${response.status}`);
  books = await response.json();
}

export function setPlace(zone) {
  timeZone = zone;
}

export function setLanguage(wanted) {
  language = wanted in books ? wanted : "en";
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;

export const REASONS = () => Object.keys(books[language].reason);
export const STATES = () => Object.keys(books[language].state);

function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// A text of the page itself.
export function say(key, values = {}) {
  return fill(books[language].page[key] ?? key, values);
}

// The word for a kind, state, severity, reason, label or direction; one that nobody has named yet is made readable.
export function word(group, key) {
  const named = books[language][group]?.[key];
  if (named) return named;
  const readable = String(key).replaceAll("_", " ");
  return readable.charAt(0).toUpperCase() + readable.slice(1);
}

export function number(value) {
  const size = Math.abs(value);
  return String(Number(value.toFixed(size >= 1000 ? 0 : size >= 10 ? 1 : 2)));
}

// Each measured condition in words: "dwell 34.2 s, limit 30 s".
function measuredWords(measured) {
  const book = books[language];
  return Object.entries(measured).map(([name, pair]) => {
    const cut = name.lastIndexOf("_");
    const unit = cut > 0 ? book.unit[name.slice(cut + 1)] ?? "" : "";
    const values = {
      name: (unit ? name.slice(0, cut) : name).replaceAll("_", " "),
      unit, value: number(pair.value), threshold: number(pair.threshold),
    };
    return fill(book.measured[name] ?? book.measured_other, values);
  });
}

export const measuredText = (measured) => measuredWords(measured).join(books[language].picture.list_separator);

export const placeTimeZone = () => timeZone;

// A moment in the time zone of the site, not of this computer.
export function moment(iso, withDate = true) {
  const shape = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone };
  if (withDate) Object.assign(shape, { year: "numeric", month: "2-digit", day: "2-digit" });
  return new Intl.DateTimeFormat(language === "en" ? "en-CA" : language, shape).format(new Date(iso)).replace(",", "");
}

export function mediaTime(seconds) {
  const tenths = Math.round(seconds * 10);
  const two = (value) => String(value).padStart(2, "0");
  return `${Math.floor(tenths / 36000)}:${two(Math.floor(tenths / 600) % 60)}:${two(((tenths % 600) / 10).toFixed(1)).padStart(4, "0")}`;
}

// When the alert was raised: the wall time, or how far into the recording.
export function when(alert, withDate = true) {
  if (alert.raised_at) return moment(alert.raised_at, withDate);
  return say("into_recording", { time: mediaTime(alert.first_raised_s) });
}

export function place(alert) {
  return alert.line ? `${say("line")} ${alert.line}` : `${say("zone")} ${alert.zone ?? "–"}`;
}
