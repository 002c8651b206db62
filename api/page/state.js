// What the page knows at the moment; the other modules change it and draw it.

export const page = {
  me: null, // Who is logged in, as the server says; null: nobody.
  site: null,
  reasons: [],
  cameras: [], names: {},
  items: [], cursor: null, older: false, counts: {}, total: { number: null, exact: true }, known: null, loaded: false,
  filter: { states: "all", severity: "", camera: "", time: "", since: "", until: "", text: "", mine: false },
  marked: new Set(),
  selected: null, detail: null, position: 0, incident: null, arming: null,
  busy: false, lastGood: null,
};

export const OPEN = ["new", "acknowledged", "in_progress"];
export const STATES = [...OPEN, "resolved", "false_alarm", "drill"];
export const SEVERITIES = ["low", "medium", "high", "critical"];

export const may = (permission) => page.me !== null && page.me.permissions.includes(permission);
export const alertPath = (id) => `alerts/${encodeURIComponent(id)}`;
export const incidentPath = (id, ...rest) => ["incidents", ...[id, ...rest].map(encodeURIComponent)].join("/");
