// The page: what the stream told so far, drawn anew when it changed.
//
//   /events ── activity, overview ──▶ known ── a frame of the browser at most 4 times a second ──▶ picture, tables
//
// Nothing is drawn while the page is not looked at; what comes meanwhile is kept, of which there is a bound: the process sends
// so many edges, and of refusals the newest are kept, by the same rule as there. While it is paused nothing comes: the stream is
// closed, and the next one goes on behind the last message of it.

import { drawPicture } from "./picture.js";
import { drawComponents, drawEdges, drawGrants, drawLimits, drawRefusals } from "./tables.js";
import { byId, bytes, count, exact, plural, say, setClock, short, tellTimes } from "./words.js";

const REFUSALS = 300;
const PERIOD = 250;
const BETWEEN_ANNOUNCEMENTS = 15000;
const LONG_LOST = 10000;

const known = { components: [], edges: new Map(), refusals: new Map(), folded: 0, overview: null };
let paused = false;
let due = false;
let drawn = 0;

let stream = null;
let seen = "";
function follow() {
  stream?.close();
  // A stream that breaks off is begun again by the browser, which says itself what it has seen.
  stream = new EventSource(seen ? `events?since=${seen}` : "events");
  stream.addEventListener("open", () => tell("live"));
  stream.addEventListener("error", () => {
    tell("lost");
    // A browser gives up where it was refused rather than cut off: by a server that has too many pages open.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => paused || follow(), 5000);
  });
  stream.addEventListener("activity", (event) => {
    seen = event.lastEventId;
    take(JSON.parse(event.data));
  });
  stream.addEventListener("overview", (event) => {
    known.overview = JSON.parse(event.data);
    setClock(known.overview.now);
    draw();
  });
}

function take(activity) {
  setClock(activity.now);
  if (activity.components) {
    known.components = activity.components;
    known.edges.clear();
    known.refusals.clear();
  }
  known.folded = activity.folded;
  for (const edge of activity.edges) known.edges.set(edge.id, edge);
  for (const refusal of activity.refusals) {
    if (!known.refusals.has(refusal.id)) unannounced += 1;
    // Newest last, as a map keeps them.
    known.refusals.delete(refusal.id);
    known.refusals.set(refusal.id, refusal);
  }
  for (const id of known.refusals.keys()) {
    if (known.refusals.size <= REFUSALS) break;
    known.refusals.delete(id);
  }
  announce();
  draw();
}

// What is read out: not each refusal, but that there were some, now and then.
let unannounced = 0;
let announced = -Infinity;
function announce() {
  if (unannounced === 0 || performance.now() - announced < BETWEEN_ANNOUNCEMENTS) return;
  say(byId("announcements"), `${plural(unannounced, "new refusal", "new refusals")}`);
  announced = performance.now();
  unannounced = 0;
}

const STATES = { live: "Live", lost: "Connection lost, trying again", paused: "Paused", waiting: "Connecting" };
let connection = "waiting";
// A process that was started again has another secret: this page never finds it.
let longLost = null;
function tell(state) {
  if (connection !== state && (state === "lost" || connection === "lost")) say(byId("announcements"), STATES[state]);
  connection = state;
  const away = state === "lost" && !paused;
  if (!away) {
    clearTimeout(longLost);
    longLost = null;
    byId("long-lost").hidden = true;
  } else if (longLost === null) {
    longLost = setTimeout(() => {
      byId("long-lost").hidden = false;
      say(byId("announcements"), byId("long-lost").textContent);
    }, LONG_LOST);
  }
  const shown = paused ? "paused" : state;
  byId("state").dataset.state = shown;
  say(byId("state-words"), STATES[shown]);
}

function draw() {
  if (due || document.hidden) return;
  due = true;
  setTimeout(() => requestAnimationFrame(drawNow), Math.max(0, drawn + PERIOD - performance.now()));
}

function drawNow() {
  due = false;
  drawn = performance.now();
  const filter = byId("filter").value.trim().toLowerCase();
  const edges = [...known.edges.values()];
  const shown = edges.filter((edge) => matches(edge, filter));
  drawFigures(edges);
  drawPicture(filter ? [] : known.components, shown, select);
  drawEdges(shown, edges.length, known.folded);
  const refusals = [...known.refusals.values()].reverse().filter((refusal) => matchesRefusal(refusal, filter));
  drawRefusals(refusals);
  if (known.overview) drawOverview(known.overview, filter);
}

function matches(edge, filter) {
  if (!filter) return true;
  const words = [edge.component, edge.kind, edge.to, edge.address, edge.rule, edge.reason, edge.error];
  if (edge.refused) words.push("refused");
  if (edge.failed) words.push("failed");
  if (edge.open) words.push("open");
  return words.some((word) => word && word.toLowerCase().includes(filter));
}

function matchesRefusal(refusal, filter) {
  if (!filter || "refused".startsWith(filter)) return true;
  const reasons = refusal.reasons.map((why) => why.reason);
  const words = [refusal.component, refusal.attempt, refusal.to, refusal.name, ...reasons];
  return words.some((word) => word && word.toLowerCase().includes(filter));
}

// Choosing what is chosen already takes the choice back.
function select(text) {
  const filter = byId("filter");
  filter.value = filter.value === text ? "" : text;
  draw();
}

function drawFigures(edges) {
  const sum = (key) => edges.reduce((all, edge) => all + edge[key], 0);
  // Datagrams are no bytes.
  const carried = (key) => edges.reduce((all, edge) => all + (edge.kind === "udp" ? 0 : edge[key]), 0);
  byId("figure-refused").classList.toggle("some", sum("refused") > 0);
  for (const key of ["open", "allowed", "refused", "failed"]) {
    const figure = byId(`figure-${key}`);
    say(figure, short(sum(key)));
    figure.title = count(sum(key));
  }
  say(byId("figure-sent"), bytes(carried("sent")));
  say(byId("figure-received"), bytes(carried("received")));
}

function drawOverview(overview, filter) {
  say(byId("app"), overview.app ?? "");
  document.title = overview.app ? `${overview.app} – Outport` : "Outport";
  say(byId("version"), overview.version);
  say(byId("since"), exact(overview.since).replace("T", " ").slice(0, 19) + " UTC");
  drawLimits(overview.limits);
  drawComponents(overview.components, overview.more_components);
  const has = (grant) => [grant.component, grant.name, ...grant.addresses].some((word) => word.toLowerCase().includes(filter));
  drawGrants(filter ? overview.grants.filter(has) : overview.grants, overview.more_grants);
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  say(byId("pause"), paused ? "Resume" : "Pause");
  if (paused) stream.close();
  else follow();
  tell(connection);
});
byId("filter").addEventListener("input", draw);
document.addEventListener("visibilitychange", draw);
new ResizeObserver(draw).observe(byId("picture"));
setInterval(() => {
  if (!paused && !document.hidden) tellTimes();
  announce();
}, 1000);
follow();
