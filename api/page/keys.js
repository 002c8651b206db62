// The keyboard.

import { ACTIONS, begin, permitted } from "./alert.js";
import { $, el } from "./dom.js";
import { say } from "./words.js";

let keys = [];

function withClip(step) {
  const clips = [...$("detail").querySelectorAll("video")];
  const clip = clips.find((video) => !video.paused) ?? clips[0];
  if (clip) Promise.resolve(step(clip)).catch(() => {});
}

// Each: names, its text, what it does, how it is shown, the action that it needs.
function table({ move, mark, search, arming }) {
  return [
    [["j", "ArrowDown"], "key_next", () => move(1), ["J", "↓"]],
    [["k", "ArrowUp"], "key_previous", () => move(-1), ["K", "↑"]],
    ...ACTIONS.map(({ name, key }) => [[key], `key_${name}`, () => begin(name), [key.toUpperCase()], name]),
    [["x"], "key_mark", mark, ["X"], "incident"],
    [["/"], "key_search", search, ["/"]],
    [["p"], "key_arming", arming, ["P"]],
    [[" "], "key_play", () => withClip((clip) => (clip.paused ? clip.play() : clip.pause())), ["space"]],
    [["e"], "key_event", () => withClip((clip) => { clip.currentTime = Number(clip.dataset.event); }), ["E"]],
    [["ArrowLeft"], "key_seek", () => withClip((clip) => { clip.currentTime -= 5; }), ["←", "→"]],
    [["ArrowRight"], null, () => withClip((clip) => { clip.currentTime += 5; }), []],
    [["?"], "key_help", () => $("help").showModal(), ["?"]],
  ];
}

const offers = (action) => !action || permitted().some((one) => one.name === action);

export function drawKeys() {
  const shown = keys.filter(([, text, , , action]) => text && offers(action));
  $("key-list").replaceChildren(...shown.flatMap(([, text, , caps]) => [
    el("dt", {}, ...caps.flatMap((cap) => [el("kbd", {}, cap === "space" ? say("space") : cap), " "])),
    el("dd", {}, say(text))]),
  el("dt", {}, el("kbd", {}, "Esc")), el("dd", {}, say("key_escape")));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const target = event.target;
  if (target.closest("select, textarea") || target.matches("input:not([type=checkbox])")) {
    if (event.key === "Escape" && target.id === "filter-text") $("list").focus();
    return;
  }
  if (target.closest("video") && [" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
  if (event.key === " " && target.closest("button, a, input")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const entry = keys.find(([names]) => names.includes(key));
  if (!entry || event.repeat && entry[4] || !offers(entry[4])) return;
  event.preventDefault();
  entry[2]();
}

export function listenToKeys(steps) {
  keys = table(steps);
  document.addEventListener("keydown", onKey);
}
