// Keeps the page up to date: the server's stream of events, or, while there is none, asking every few seconds.

const ASK_MS = 4000;
const CHECK_MS = 30000;
const AT_MOST_EVERY_MS = 700;
const PATIENCE_MS = 3000;
const AGAIN_MS = [1000, 2000, 5000, 10000, 20000];
const SUBJECTS = {
  alert: ["raised", "joined", "evidence", "evidence_missing", "seen", "acknowledge", "claim", "assign", "release", "resolve",
    "false_alarm", "drill", "reopen", "note", "merged", "unmerged", "removed"],
  incident: ["opened", "changed", "closed", "note"],
  arming: ["profile", "override"],
};

// `refresh({ids, raised, arming})` asks the server for what is shown and says whether it answered; `ids`: the alerts that
// changed, null where that is unknown; `raised`: those that are new; `arming`: whether that may have changed. `show(state)` is told "live", "asking" or "down".
export class Live {
  constructor({ address, refresh, show }) {
    Object.assign(this, { address, refresh, show, source: null, streaming: false, reached: true, failures: 0 });
    this.changed = new Set();
    this.raised = [];
    this.everything = false;
    this.arming = false;
    this.running = false;
    this.last = 0;
  }

  start() {
    if (this.started) return;
    this.started = true;
    this.connect();
    this.schedule(this.streaming ? CHECK_MS : ASK_MS);
  }

  stop() {
    this.started = false;
    this.streaming = false;
    clearTimeout(this.asking);
    clearTimeout(this.again);
    clearTimeout(this.soon);
    clearTimeout(this.patience);
    this.source?.close();
    this.source = null;
  }

  connect() {
    this.source?.close();
    const source = new EventSource(this.address);
    this.source = source;
    source.addEventListener("open", () => {
      clearTimeout(this.patience);
      this.failures = 0;
      this.streaming = true;
      this.tell();
      // Something may have happened before the stream began; after a break the browser names the last event it had.
      this.changedBy(null);
    });
    source.addEventListener("error", () => this.broken(source));
    const hear = (event) => this.changedBy(event);
    for (const [subject, actions] of Object.entries(SUBJECTS)) {
      for (const action of actions) source.addEventListener(`${subject}.${action}`, hear);
    }
    source.addEventListener("reset", () => this.changedBy(null));
  }

  broken(source) {
    if (source !== this.source || !this.started) return;
    // Short breaks are not worth a word: the browser connects again by itself.
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      this.streaming = false;
      this.tell();
      this.ask();
    }, this.streaming ? PATIENCE_MS : 0);
    if (source.readyState !== EventSource.CLOSED) return;
    // Refused (the session has ended, the server starts anew): the browser has given up.
    const pause = AGAIN_MS[Math.min(this.failures, AGAIN_MS.length - 1)];
    this.failures += 1;
    clearTimeout(this.again);
    this.again = setTimeout(() => { if (this.started) this.connect(); }, pause);
  }

  changedBy(event) {
    let entry = null;
    try { entry = event && JSON.parse(event.data); } catch { /* Whatever it was: everything is looked at anew. */ }
    if (entry?.subject === "alert") {
      this.changed.add(entry.subject_id);
      if (entry.action === "raised" && entry.alert) this.raised.push(entry.alert);
    } else if (entry?.subject === "arming") this.arming = true;
    else this.everything = true;
    this.later();
  }

  later() {
    clearTimeout(this.soon);
    if (this.running) return;
    this.soon = setTimeout(() => this.ask(), Math.max(0, this.last + AT_MOST_EVERY_MS - performance.now()));
  }

  // Asks now; what comes in meanwhile is asked for afterwards.
  async ask() {
    if (this.running || !this.started) return;
    this.running = true;
    const ids = this.everything ? null : [...this.changed];
    const news = { ids, raised: this.raised, arming: this.everything || this.arming };
    this.everything = false;
    this.arming = false;
    this.raised = [];
    this.changed.clear();
    try {
      this.reached = await this.refresh(news);
    } finally {
      this.running = false;
      this.last = performance.now();
    }
    this.tell();
    if (!this.reached) this.everything = true;
    else if (this.everything || this.arming || this.changed.size > 0) this.later();
    this.schedule(this.streaming && this.reached ? CHECK_MS : ASK_MS);
  }

  schedule(pause) {
    clearTimeout(this.asking);
    if (this.started) this.asking = setTimeout(() => { this.everything = true; this.ask(); }, pause);
  }

  tell() {
    if (this.started) this.show(!this.reached ? "down" : this.streaming ? "live" : "asking");
  }
}
