// The lists and tables of the page. Rows stay where they are and change in place, so that a selection and the focus do too.

import { byId, bytes, count, element, plural, say, setTime, show, time } from "./words.js";

const NONE = "–";
const ROWS = 60;
const REFUSALS = 50;

let allEdges = false;
byId("edges-all").addEventListener("click", () => {
  allEdges = true;
  show(byId("edges-all"), false);
});

// A table whose rows are found by their keys. A column has a title, a kind for its looks, and fills its cell.
class Table {
  constructor(id, columns) {
    this.table = byId(id);
    this.columns = columns;
    this.rows = new Map();
    const titles = columns.map(({ title, kind }) => element("th", { scope: "col", role: "columnheader", class: kind }, title));
    this.body = element("tbody", { role: "rowgroup" });
    this.table.append(element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...titles)), this.body);
  }

  draw(items, keyOf, classOf = () => "") {
    const keys = new Set();
    let before = null;
    for (const item of items) {
      const key = keyOf(item);
      keys.add(key);
      const row = this.rows.get(key) ?? this.add(key);
      if (row.className !== classOf(item)) row.className = classOf(item);
      this.columns.forEach(({ fill }, at) => {
        const cell = row.cells[at];
        fill(cell, item);
        // On a narrow page, where a row is a list, what is not there is left out.
        cell.toggleAttribute("data-none", cell.textContent === NONE);
      });
      const place = before ? before.nextSibling : this.body.firstChild;
      if (place !== row) this.body.insertBefore(row, place);
      before = row;
    }
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.rows.delete(key);
    }
    show(this.table, items.length > 0);
  }

  add(key) {
    const cells = this.columns.map(({ title, kind }) => element("td", { role: "cell", class: kind, "data-title": title }));
    const row = element("tr", { role: "row" }, ...cells);
    this.rows.set(key, row);
    return row;
  }
}

const text = (of) => (cell, item) => {
  const words = of(item);
  say(cell, words);
  // What is cut off on a narrow page can be read all the same.
  if (cell.title !== words) cell.title = words;
};
const number = (key) => (cell, item) => say(cell, item[key] ? count(item[key]) : NONE);
const moment = (key) => (cell, item) => {
  if (cell.firstChild) setTime(cell.firstChild, item[key]);
  else cell.append(time(item[key]));
};
const amount = (key) => (cell, item) => say(cell, item.kind === "udp" || !item[key] ? NONE : bytes(item[key]));

function decided(edge) {
  if (edge.refused && !edge.allowed) return edge.reason ?? "";
  const also = edge.refused && edge.reason ? `; refused by ${edge.reason}` : "";
  const failed = edge.error ? `; last failure ${edge.error}` : "";
  return `${edge.rule ?? "needs no entry"}${also}${failed}`;
}

const where = (edge) => (edge.address && edge.address !== edge.to ? `${edge.to} (${edge.address})` : edge.to);

const edgesTable = new Table("edges", [
  { title: "Component", kind: "name", fill: text((edge) => edge.component) },
  { title: "Kind", kind: "kind", fill: text((edge) => edge.kind) },
  { title: "Destination", kind: "code", fill: text(where) },
  { title: "Allowed", kind: "number", fill: number("allowed") },
  { title: "Refused", kind: "number bad", fill: number("refused") },
  { title: "Failed", kind: "number", fill: number("failed") },
  { title: "Open", kind: "number", fill: number("open") },
  { title: "Sent", kind: "number", fill: amount("sent") },
  { title: "Received", kind: "number", fill: amount("received") },
  { title: "Last", kind: "when", fill: moment("last") },
  { title: "Decided by", kind: "code rule", fill: text(decided) },
]);

const byPlace = (one, other) =>
  one.component.localeCompare(other.component) || one.to.localeCompare(other.to) || one.kind.localeCompare(other.kind);

export function drawEdges(edges, inAll, folded) {
  const sorted = edges.sort(byPlace);
  const drawn = allEdges ? sorted : sorted.slice(0, ROWS);
  edgesTable.draw(drawn, (edge) => edge.id, (edge) => (edge.refused && !edge.allowed ? "refused" : ""));
  say(byId("edges-count"), edges.length === inAll ? count(inAll) : `${count(edges.length)} of ${count(inAll)}`);
  show(byId("edges-empty"), edges.length === 0);
  say(byId("edges-empty"), inAll === 0 ? "No component has tried to reach anything." : "Nothing has that in it.");
  show(byId("edges-all"), !allEdges && sorted.length > ROWS);
  say(byId("edges-all"), `Show all ${count(sorted.length)}`);
  show(byId("edges-more"), folded > 0);
  say(byId("edges-more"), `There are more destinations than are kept apart: ${plural(folded, "attempt is", "attempts are")} summed up as “others”.`);
}

// What is to be written down, of a sentence that says where: an entry, or an option.
function toCopy(remedy) {
  const entry = remedy.match(/"[^"]+"/g);
  const option = remedy.match(/`--[^`]+`/g);
  if (entry?.length === 1) return { what: "entry", text: entry[0] };
  if (!entry && option?.length === 1) return { what: "option", text: option[0].slice(1, -1) };
  return { what: "sentence", text: remedy };
}

async function copy(button, text) {
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    told = "Not copied: the browser forbids it";
  }
  const before = button.dataset.words;
  say(button, told);
  say(byId("announcements"), told);
  setTimeout(() => say(button, before), 2000);
}

function reason(why, isFirst) {
  const item = element(
    "div",
    { class: "why" },
    element("p", { class: "reason" }, element("code", {}, why.reason), ` ${isFirst ? "" : "as well: "}${why.detail}`),
  );
  if (why.rule) item.append(element("p", { class: "cited" }, "by ", element("code", {}, why.rule)));
  if (why.remedy) {
    const { what, text } = toCopy(why.remedy);
    const words = `Copy ${what}`;
    const button = element("button", { type: "button", class: "copy", "data-words": words, "aria-label": `${words}: ${text}` }, words);
    button.addEventListener("click", () => copy(button, text));
    item.append(element("div", { class: "remedy" }, element("p", {}, why.remedy), button));
  }
  return item;
}

function refusalItem(refusal) {
  const name = refusal.name && refusal.name !== refusal.to ? ` (${refusal.name})` : "";
  const item = element(
    "li",
    {},
    element(
      "div",
      { class: "what" },
      element("span", { class: "who" }, refusal.component),
      element("span", { class: "kind" }, refusal.attempt),
      element("code", { class: "to" }, `${refusal.to}${name}`),
      element("span", { class: "often" }, element("span", { class: "times" }), ", ", time(refusal.last)),
    ),
    ...refusal.reasons.map((why, at) => reason(why, at === 0)),
  );
  if (refusal.closest) item.append(element("p", { class: "cited" }, "closest is ", element("code", {}, refusal.closest)));
  return item;
}

const refusalItems = new Map();

// Newest first; those that are there are moved only where the order has changed, and never while one of them has the focus.
export function drawRefusals(refusals) {
  const list = byId("refusals-list");
  const drawn = refusals.slice(0, REFUSALS);
  const isBusy = list.contains(document.activeElement) || list.matches(":hover");
  const ids = new Set();
  let before = null;
  for (const refusal of drawn) {
    ids.add(refusal.id);
    const isKnown = refusalItems.has(refusal.id);
    const item = isKnown ? refusalItems.get(refusal.id) : refusalItem(refusal);
    refusalItems.set(refusal.id, item);
    say(item.querySelector(".times"), refusal.count === 1 ? "once" : `${count(refusal.count)} times`);
    setTime(item.querySelector("time"), refusal.last);
    const place = before ? before.nextSibling : list.firstChild;
    if (!isKnown && isBusy) list.append(item);
    else if (!isKnown || (!isBusy && place !== item)) list.insertBefore(item, place);
    before = item;
  }
  for (const [id, item] of refusalItems) {
    if (ids.has(id)) continue;
    item.remove();
    refusalItems.delete(id);
  }
  say(byId("refusals-count"), refusals.length ? count(refusals.length) : "");
  show(byId("refusals-empty"), refusals.length === 0);
  show(byId("refusals-more"), refusals.length > REFUSALS);
  say(byId("refusals-more"), `${count(refusals.length - REFUSALS)} more, longer ago; filter to see them.`);
}

const limitItems = new Map();

export function drawLimits(limits) {
  for (const limit of limits) {
    let item = limitItems.get(limit.what);
    if (!item) {
      const bar = element("div", { class: "bar", "aria-hidden": "true" }, element("span", {}));
      const option = limit.option ? element("code", { class: "option" }, limit.option) : null;
      const head = element("p", {}, element("span", { class: "label" }, limit.what, " ", option), element("span", { class: "used" }));
      item = element("li", {}, head, bar);
      limitItems.set(limit.what, item);
      byId("limits").append(item);
    }
    const words = limit.is_bytes ? bytes : count;
    const bound = limit.limit === null ? "no bound" : `of ${words(limit.limit)}`;
    say(item.querySelector(".used"), `${words(limit.used)} ${bound}`);
    const share = limit.limit ? Math.min(1, limit.used / limit.limit) : 0;
    const bar = item.querySelector(".bar span");
    bar.style.width = `${(share * 100).toFixed(1)}%`;
    bar.className = share >= 0.9 ? "full" : share >= 0.7 ? "high" : "";
    show(item.querySelector(".bar"), limit.limit !== null);
  }
}

const componentsTable = new Table("components", [
  { title: "Component", kind: "name", fill: text((component) => component.name) },
  { title: "Instances", kind: "number", fill: number("instances") },
  { title: "Requests", kind: "number", fill: number("requests") },
  { title: "Connections", kind: "number", fill: number("connections") },
  { title: "Memory", kind: "number", fill: (cell, component) => say(cell, component.memory ? bytes(component.memory) : NONE) },
]);

export function drawComponents(components, more) {
  componentsTable.draw(components, (component) => component.name);
  show(byId("components-empty"), components.length === 0);
  show(byId("components-more"), more > 0);
  say(byId("components-more"), `and ${count(more)} more`);
}

const grantsTable = new Table("grants", [
  { title: "Name", kind: "code", fill: text((grant) => [grant.name, ...grant.chain].join(" → ")) },
  {
    title: "Addresses",
    kind: "code",
    fill: text((grant) => grant.addresses.join(", ") + (grant.more_addresses ? ` and ${count(grant.more_addresses)} more` : "")),
  },
  { title: "Component", kind: "name", fill: text((grant) => grant.component) },
  { title: "Instance", kind: "number", fill: text((grant) => String(grant.instance)) },
  { title: "Looked up", kind: "when", fill: moment("at") },
]);

export function drawGrants(grants, more) {
  grantsTable.draw(grants, (grant) => `${grant.component} ${grant.instance} ${grant.name}`);
  say(byId("grants-count"), grants.length + more ? count(grants.length + more) : "");
  show(byId("grants-empty"), grants.length === 0);
  show(byId("grants-more"), more > 0);
  say(byId("grants-more"), `and ${count(more)} more`);
}
