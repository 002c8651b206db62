// The words of the page, in the language that the guard chose.

import { page } from "./state.js";

let books = {};
let language = "en";

export async function loadWords() {
  const [shared, phrases] = await Promise.all(["texts", "phrases"].map(async (name) => {
    const response = await fetch(`page/${name}.json`);
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    return response.json();
  }));
  books = Object.fromEntries(Object.keys(shared).map((name) => [name, { ...shared[name], ...phrases[name] }]));
}

export function setLanguage(wanted) {
  language = wanted in books ? wanted : "en";
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;
export const listed = (words) => words.join(books[language].picture.list_separator);
export const knows = (group, key) => key in (books[language][group] ?? {});

function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// A text of the page itself.
export function say(key, values = {}) {
  return fill(books[language].page[key] ?? key, values);
}

// The word for a kind, state, severity, label or direction; one that nobody has named yet is made readable.
export function word(group, key) {
  const named = books[language][group]?.[key];
  if (named) return named;
  const readable = String(key).replaceAll("_", " ");
  return readable.charAt(0).toUpperCase() + readable.slice(1);
}

// The site names its reasons itself.
export function reasonWord(code) {
  const label = page.reasons.find((reason) => reason.code === code)?.label;
  return label?.[language] ?? label?.en ?? word("reason", code);
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

export const measuredText = (measured) => listed(measuredWords(measured));

// --- times ---

export const timeZone = () => page.site?.timezone ?? "UTC";

// Making one takes longer than a hundred uses of it.
const formats = new Map();

function format(withDate) {
  const key = `${withDate} ${timeZone()}`;
  if (!formats.has(key)) {
    const shape = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: timeZone() };
    if (withDate) Object.assign(shape, { year: "numeric", month: "2-digit", day: "2-digit" });
    formats.set(key, new Intl.DateTimeFormat("en-CA", shape));
  }
  return formats.get(key);
}

// A moment in the time zone of the site, not of this computer.
export function moment(iso, withDate = true) {
  return format(withDate).format(new Date(iso)).replace(",", "");
}

// The moment at which the clocks of the site show this ("2026-03-01T22:05"), as ISO 8601 in UTC.
export function fromSiteClock(local) {
  const wanted = Date.parse(`${local}Z`);
  if (Number.isNaN(wanted)) return null;
  let guess = wanted;
  // Twice: the first step may land on the other side of a change of the clocks.
  for (let step = 0; step < 2; step += 1) guess += wanted - shownAt(guess);
  return new Date(guess).toISOString();
}

function shownAt(at) {
  const shape = {
    timeZone: timeZone(), hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric",
    minute: "numeric", second: "numeric",
  };
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-US", shape).formatToParts(new Date(at))
    .map((part) => [part.type, Number(part.value)]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
}

export function mediaTime(seconds) {
  const tenths = Math.round(seconds * 10);
  const two = (value) => String(value).padStart(2, "0");
  return `${Math.floor(tenths / 36000)}:${two(Math.floor(tenths / 600) % 60)}:${two(((tenths % 600) / 10).toFixed(1)).padStart(4, "0")}`;
}

// How long something took: "8 s", "2 min 5 s", "3 h 4 min".
export function lasting(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return say("seconds", { s: whole });
  if (whole < 3600) return say("minutes", { m: Math.floor(whole / 60), s: whole % 60 });
  if (whole < 86400) return say("hours", { h: Math.floor(whole / 3600), m: Math.floor(whole / 60) % 60 });
  return say("days", { d: Math.floor(whole / 86400), h: Math.floor(whole / 3600) % 24 });
}

// Without the date where that is today's.
export const shortMoment = (iso) => moment(iso, moment(iso).slice(0, 10) !== moment(new Date().toISOString()).slice(0, 10));

// When the alert was raised: the wall time, or how far into the recording.
export function when(alert, withDate = true) {
  if (alert.raised_at) return moment(alert.raised_at, withDate);
  return say("into_recording", { time: mediaTime(alert.first_raised_s) });
}

export function place(alert) {
  if (alert.line) return `${say("line")} ${alert.line}`;
  return alert.zone ? `${say("zone")} ${alert.zone}` : "";
}

export const cameraName = (alert) => alert.camera || say("whole_site");
export const joinWords = (...parts) => parts.filter((part) => part).join(" · ");
