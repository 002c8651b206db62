// Draws alerts.

import { el } from "./dom.js";
import { history, responses } from "./history.js";
import { person } from "./people.js";
import { may, page } from "./state.js";
import {
  cameraName, joinWords, measuredText, mediaTime, moment, number, place, say, shortMoment, when, word,
} from "./words.js";

const badge = (group, value) => el("span", { className: `badge ${group}-${value}` }, word(group, value));

function thumbnail(alert) {
  if (!alert.snapshot_url) return el("span", { className: "thumb none", "aria-hidden": "true" });
  return el("img", {
    className: "thumb", src: `${alert.snapshot_url}?width=240`, alt: "", loading: "lazy", width: 112, height: 80,
  });
}

// Who has it in hand, or the state where nobody has.
function stateWords(alert) {
  const text = alert.state === "in_progress" && alert.assignee
    ? say("with", { who: person(alert.assignee) }) : word("state", alert.state);
  return el("span", { className: `badge state-${alert.state}${alert.assignee === page.me?.name ? " is-mine" : ""}` }, text);
}

export function listItem(alert, selected, marked) {
  const events = alert.event_ids.length;
  const tick = may("incidents.write")
    ? el("span", { className: "mark", title: say("mark"), "aria-hidden": "true" }, el("span", {}, marked ? "✓" : "")) : null;
  const item = el("li", {
    id: `row-${alert.alert_id}`, className: `row severity-edge-${alert.severity} is-${alert.state}`, role: "option",
    "aria-selected": String(selected), ...(tick ? { "aria-checked": String(marked) } : {}),
  },
  el("div", { className: "row-picture" }, thumbnail(alert), tick),
  el("div", { className: "row-text" },
    el("div", { className: "row-top" }, el("strong", {}, word("kind", alert.kind)), badge("severity", alert.severity)),
    el("div", { className: "row-top" },
      el("span", { className: "row-rule" }, joinWords(alert.rule, place(alert))), stateWords(alert)),
    el("div", { className: "row-measured" }, measuredText(alert.measured)),
    el("div", { className: "row-bottom" },
      el("span", {}, `${cameraName(alert)} · ${alert.raised_at ? shortMoment(alert.raised_at) : when(alert)}`),
      joinWords(alert.drill ? say("in_drill") : "", events > 1 ? say("events_n", { n: events }) : "",
        alert.incident_id ? say("in_incident") : ""))));
  item.dataset.id = alert.alert_id;
  return item;
}

export function stateButton(choice, count, chosen) {
  const name = choice === "all" || choice === "open" ? say(choice) : word("state", choice);
  const button = el("button", {
    type: "button", className: `state-choice choice-${choice}`, "aria-pressed": String(chosen),
  }, el("span", {}, name), el("b", {}, String(count)));
  button.dataset.state = choice;
  return button;
}

// What the source of an event from outside said last.
const saidLast = (alert) => alert.events.findLast((event) => event.text)?.text;

function facts(alert) {
  const first = alert.events[0];
  const rows = [
    ["time", when(alert)],
    ["measured", measuredText(alert.measured)],
    ["said", saidLast(alert)],
    ["object", word("label", alert.label)],
    ["camera", cameraName(alert)],
    ["rule", alert.rule],
    [alert.line ? "line" : "zone", alert.line ?? alert.zone ?? "–"],
  ];
  if (first?.direction) rows.push(["direction", word("direction", first.direction)]);
  if (first?.recording) {
    const time = mediaTime(first.recording_time_s ?? first.media_time_s.start);
    rows.push(["recording", say("recording_at", { name: first.recording, time })]);
  }
  rows.push(["id", alert.alert_id]);
  return el("dl", { className: "facts" }, ...rows.filter(([, value]) => value)
    .flatMap(([name, value]) => [el("dt", {}, say(name)), el("dd", {}, value)]));
}

function eventList(alert) {
  const time = (event) => (event.raised_at
    ? moment(event.raised_at, false) : say("into_recording", { time: mediaTime(event.media_time_s.raised) }));
  return el("section", {}, el("h3", {}, `${say("events")} (${alert.events.length})`),
    el("ol", { className: "events" }, ...alert.events.map((event) => el("li", {},
      el("span", { className: "soft" }, time(event)), ` ${joinWords(event.text, event.at_given ? say("clock_said", { time: moment(event.at_given) }) : "", word("label", event.label), measuredText(event.measured))}`))));
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
  player.addEventListener("error", () => { failed.hidden = false; player.dataset.failed = "yes"; });
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

export function heading(alert) {
  const said = saidLast(alert);
  return el("div", { className: "detail-head", id: "detail-head" },
    el("div", {}, el("h2", { id: "detail-title" }, word("kind", alert.kind), said ? `: ${said}` : ""),
      el("p", { className: "soft" }, joinWords(place(alert), cameraName(alert), when(alert)))),
    el("div", { className: "badges" },
      alert.drill ? el("span", { className: "badge in-drill" }, say("in_drill")) : null,
      badge("severity", alert.severity), stateWords(alert)));
}

// `incident`: the section about the incident that the alert belongs to; null: to none.
export function side(alert, incident) {
  return el("div", { className: "side", id: "side" },
    responses(alert), incident, history(alert, person), facts(alert), eventList(alert));
}

export function evidence(alert) {
  const alt = say("snapshot_alt", {
    kind: word("kind", alert.kind), where: joinWords(place(alert), cameraName(alert)), time: when(alert),
  });
  const picture = alert.snapshot_url
    ? el("a", { href: alert.snapshot_url, target: "_blank", rel: "noopener", title: say("enlarge") },
      el("img", { className: "snapshot", src: `${alert.snapshot_url}?width=1280`, alt }))
    : el("p", { className: "note" }, say("no_snapshot"));
  return el("div", { className: "evidence", id: "evidence" },
    ...media(alert), el("section", {}, el("h3", {}, say("snapshot")), picture));
}
