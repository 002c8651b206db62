// Draws alerts. All that comes from the server goes in as text, never as markup.

import { measuredText, mediaTime, moment, number, place, say, when, word } from "./words.js";

// An element with properties, attributes (names with a dash, role, for) and children.
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const badge = (group, value) => el("span", { className: `badge ${group}-${value}` }, word(group, value));

function thumbnail(alert) {
  if (!alert.snapshot_url) return el("span", { className: "thumb none", "aria-hidden": "true" });
  return el("img", {
    className: "thumb", src: `${alert.snapshot_url}?width=240`, alt: "", loading: "lazy", width: 120, height: 90,
  });
}

export function listItem(alert, selected) {
  const events = alert.event_ids.length;
  const item = el("li", {
    id: `row-${alert.alert_id}`, className: `row severity-edge-${alert.severity} is-${alert.state}`, role: "option",
    "aria-selected": String(selected),
  },
  thumbnail(alert),
  el("div", { className: "row-text" },
    el("div", { className: "row-top" }, el("strong", {}, word("kind", alert.kind)), badge("severity", alert.severity)),
    el("div", { className: "row-top" },
      el("span", { className: "row-rule" }, `${alert.rule} · ${place(alert)}`), badge("state", alert.state)),
    el("div", { className: "row-measured" }, measuredText(alert.measured)),
    el("div", { className: "row-bottom" },
      el("span", {}, `${alert.camera} · ${when(alert)}`),
      events > 1 ? el("span", {}, say("events_n", { n: events })) : null)));
  item.dataset.id = alert.alert_id;
  return item;
}

function facts(alert) {
  const first = alert.events[0];
  const rows = [
    ["time", when(alert)],
    ["measured", measuredText(alert.measured)],
    ["object", word("label", alert.label)],
    ["camera", alert.camera],
    ["rule", alert.rule],
    [alert.line ? "line" : "zone", alert.line ?? alert.zone ?? "–"],
  ];
  if (first?.direction) rows.push(["direction", word("direction", first.direction)]);
  if (first?.recording) {
    const time = mediaTime(first.recording_time_s ?? first.media_time_s.start);
    rows.push(["recording", say("recording_at", { name: first.recording, time })]);
  }
  rows.push(["id", alert.alert_id]);
  return el("dl", { className: "facts" },
    ...rows.flatMap(([name, value]) => [el("dt", {}, say(name)), el("dd", {}, value)]));
}

function eventList(alert) {
  const time = (event) => (event.raised_at
    ? moment(event.raised_at, false) : say("into_recording", { time: mediaTime(event.media_time_s.raised) }));
  return el("section", {}, el("h3", {}, `${say("events")} (${alert.events.length})`),
    el("ol", { className: "events" }, ...alert.events.map((event) => el("li", {},
      el("span", { className: "soft" }, time(event)), ` ${word("label", event.label)}: `,
      measuredText(event.measured)))));
}

const DONE = { acknowledge: "acknowledged_at", resolve: "resolved_at", false_alarm: "false_alarm_at" };

function history(alert) {
  if (alert.changes.length === 0) return null;
  return el("section", {}, el("h3", {}, say("history")),
    el("ol", { className: "events" }, ...alert.changes.map((change) => el("li", {},
      el("span", { className: "soft" }, moment(change.at)), ` ${say(DONE[change.action])}`,
      change.reason ? `: ${word("reason", change.reason)}` : "", change.note ? ` – ${change.note}` : ""))));
}

// The video of one clip; it starts a second before the event.
function video(alert, clip) {
  const at = Math.max(0, alert.first_raised_s - clip.from_s - 1);
  const player = el("video", {
    controls: true, preload: "metadata", muted: true, playsInline: true, src: clip.url, className: "clip",
    "aria-label": say("clip"),
  });
  player.dataset.event = String(at);
  player.addEventListener("loadedmetadata", () => {
    if (at > 0 && at < player.duration) player.currentTime = at;
  }, { once: true });
  return player;
}

function clipBlock(alert, clip) {
  const failed = el("p", { className: "note bad", hidden: true }, say("clip_failed"));
  const player = video(alert, clip);
  player.addEventListener("error", () => { failed.hidden = false; });
  const toEvent = el("button", { type: "button", className: "quiet" }, say("to_event"));
  toEvent.addEventListener("click", () => { player.currentTime = Number(player.dataset.event); });
  const total = alert.clips.length;
  return el("section", { className: "clip-block" },
    el("h3", {}, total > 1 ? say("clip_part", { n: clip.part, total }) : say("clip")),
    player, failed,
    clip.shortfall_s >= 0.05
      ? el("p", { className: "note warn" }, say("shortfall", { seconds: number(clip.shortfall_s) })) : null,
    el("div", { className: "clip-tools" }, toEvent,
      el("a", { className: "button quiet", href: clip.original_url ?? clip.url, download: "" },
        say(clip.rendered ? "original" : "download")),
      el("span", { className: clip.rendered ? "note warn" : "note" }, say(clip.rendered ? "rendered" : "copied"))));
}

function media(alert) {
  if (alert.clips.length > 0) return alert.clips.map((clip) => clipBlock(alert, clip));
  const text = say(alert.media === "pending" ? "clip_pending" : "clip_missing");
  return [el("p", { className: "note" }, alert.media_note ? `${text} ${alert.media_note}` : text)];
}

const KEYS = { acknowledge: "a", resolve: "r", false_alarm: "f" };

export function actionBar(alert, onAction) {
  const buttons = ["acknowledge", "resolve", "false_alarm"].map((action) => {
    const button = el("button", {
      type: "button", className: action === "acknowledge" ? "primary" : "", id: `do-${action}`,
      disabled: !alert.allowed_actions.includes(action), "aria-keyshortcuts": KEYS[action],
    }, say(action), " ", el("kbd", { "aria-hidden": "true" }, KEYS[action].toUpperCase()));
    button.addEventListener("click", () => onAction(action));
    return button;
  });
  return el("div", { className: "actions", id: "actions" }, ...buttons);
}

export function heading(alert) {
  return el("div", { className: "detail-head", id: "detail-head" },
    el("div", {}, el("h2", { id: "detail-title" }, word("kind", alert.kind)),
      el("p", { className: "soft" }, `${place(alert)} · ${alert.camera} · ${when(alert)}`)),
    el("div", { className: "badges" }, badge("severity", alert.severity), badge("state", alert.state)));
}

export function side(alert) {
  return el("div", { className: "side", id: "side" }, facts(alert), eventList(alert), history(alert));
}

export function evidence(alert) {
  const alt = say("snapshot_alt", {
    kind: word("kind", alert.kind), place: place(alert), camera: alert.camera, time: when(alert),
  });
  const picture = alert.snapshot_url
    ? el("a", { href: alert.snapshot_url, target: "_blank", rel: "noopener", title: say("enlarge") },
      el("img", { className: "snapshot", src: `${alert.snapshot_url}?width=1280`, alt }))
    : el("p", { className: "note" }, say("no_snapshot"));
  return el("div", { className: "evidence", id: "evidence" },
    ...media(alert), el("section", {}, el("h3", {}, say("snapshot")), picture));
}
