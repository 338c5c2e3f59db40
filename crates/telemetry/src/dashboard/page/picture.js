// The picture: components on the left, what they talk to on the right, and a curve for each pair that does.
//
// A node is a row; destinations are in the order of the components that talk to them, so that few curves cross. With many
// destinations those that are talked to most are drawn, and the rest is in the table. Nodes are buttons: the focus says all
// about what is at a node below the picture, and pressing one filters the page by it.

import { ago, byId, bytes, count, element, plural, say, short, show } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST = 28;
const REFUSED = 6;
const ROOMY = 10;

let svg = null;
let detailOf = null;
let last = "";

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

// True of a look-up for what is talked to all the same: it is in the table, and would be a second row for one thing here.
function isOnTheWay(edge, talked) {
  return edge.kind === "dns" && !edge.refused && !edge.failed && talked.has(JSON.stringify([edge.component, edge.to]));
}

// The pairs of a component and a destination, each with all ways of talking.
function pairsOf(edges) {
  const pairs = new Map();
  const host = (edge) => JSON.stringify([edge.component, edge.to.replace(/:\d+$/, "")]);
  const talked = new Set(edges.filter((edge) => edge.kind !== "dns").map(host));
  for (const edge of edges) {
    if (isOnTheWay(edge, talked)) continue;
    const key = JSON.stringify([edge.component, edge.to]);
    const pair = pairs.get(key) ?? { from: edge.component, to: edge.to, edges: [], allowed: 0, refused: 0, failed: 0, open: 0, sent: 0, received: 0, last: 0 };
    pair.edges.push(edge);
    for (const sum of ["allowed", "refused", "failed", "open"]) pair[sum] += edge[sum];
    if (edge.kind !== "udp") {
      pair.sent += edge.sent;
      pair.received += edge.received;
    }
    pair.last = Math.max(pair.last, edge.last);
    pairs.set(key, pair);
  }
  return [...pairs.values()];
}

const attempts = (pair) => pair.allowed + pair.refused;
const verdict = (pair) => (pair.allowed === 0 ? "refused" : pair.failed >= pair.allowed && pair.failed > 0 ? "failed" : "allowed");

// Which destinations are drawn, and in which order.
function destinationsOf(pairs, components) {
  const of = new Map();
  for (const pair of pairs) {
    const known = of.get(pair.to) ?? { to: pair.to, pairs: [], total: 0, rank: 0 };
    known.pairs.push(pair);
    known.total += attempts(pair);
    of.set(pair.to, known);
  }
  const all = [...of.values()];
  // By the order of magnitude, so that the picture does not change with every event.
  const weight = (one) => Math.floor(Math.log2(one.total + 1));
  const sorted = all.sort((one, other) => weight(other) - weight(one) || one.to.localeCompare(other.to));
  // What is only refused is rarely busy, and never left out altogether.
  const refused = sorted.filter((one) => one.pairs.every((pair) => pair.allowed === 0));
  const others = sorted.filter((one) => one.pairs.some((pair) => pair.allowed > 0));
  const room = MOST - Math.min(others.length, MOST - Math.min(refused.length, REFUSED));
  const drawn = [...others.slice(0, MOST - Math.min(refused.length, REFUSED)), ...refused.slice(0, room)];
  for (const one of drawn) {
    const places = one.pairs.map((pair) => components.indexOf(pair.from));
    one.rank = places.reduce((sum, place) => sum + place, 0) / places.length;
  }
  drawn.sort((one, other) => one.rank - other.rank || one.to.localeCompare(other.to));
  return { drawn, more: all.length - drawn.length };
}

// So much of a text as there is room for; the end of a destination says more than its middle.
function fit(text, width, size) {
  const most = Math.max(4, Math.floor(width / (size * 0.61)));
  if (text.length <= most) return text;
  const end = Math.min(8, Math.floor(most / 3));
  return `${text.slice(0, most - end - 1)}…${text.slice(-end)}`;
}

export function drawPicture(components, edges, select) {
  const pairs = pairsOf(edges);
  const names = [...new Set([...components, ...pairs.map((pair) => pair.from)])].sort((one, other) => one.localeCompare(other));
  const { drawn, more } = destinationsOf(pairs, names);
  const shownNames = names.filter((name) => drawn.some((one) => one.pairs.some((pair) => pair.from === name)) || components.includes(name)).slice(0, MOST);
  show(byId("picture-empty"), drawn.length === 0);
  say(byId("picture-empty"), byId("filter").value ? "Nothing has that in it." : "Nothing was attempted yet. Send the app a request, or wait for an event: what its components try to reach appears here.");
  show(byId("picture-more"), more > 0);
  say(byId("picture-more"), `${plural(more, "more destination is", "more destinations are")} in the table below; the busiest are drawn.`);
  const place = layout(shownNames, drawn);
  render(place, select);
  drawDetail();
}

function layout(names, drawn) {
  const width = Math.max(240, Math.floor(byId("picture").clientWidth) || 240);
  const isNarrow = width < 560;
  const isRoomy = drawn.length <= ROOMY;
  const row = isRoomy ? 52 : 30;
  const left = isNarrow ? Math.floor(width * 0.32) : Math.min(220, Math.floor(width * 0.24));
  const right = isNarrow ? Math.floor(width * 0.54) : Math.min(460, Math.floor(width * 0.46));
  const height = Math.max(drawn.length * row, names.length * 52, 60) + 12;
  const spread = (many, at) => 6 + ((height - 12) / Math.max(1, many)) * (at + 0.5);
  return {
    width,
    height,
    isNarrow,
    isRoomy,
    row,
    left,
    right,
    names: names.map((name, at) => ({ name, y: spread(names.length, at) })),
    ends: drawn.map((one, at) => ({ ...one, y: spread(drawn.length, at) })),
  };
}

function render(place, select) {
  const { width, height, left, right, isRoomy } = place;
  // Drawn anew only where something has changed: most ticks change a number at most.
  const now = JSON.stringify([width, place.names, place.ends.map((end) => [end.to, end.pairs.map((pair) => [pair.from, verdict(pair), thickness(pair), words(pair)])])]);
  if (now === last) return;
  last = now;
  const focused = document.activeElement?.dataset?.node;
  const fresh = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Components and what they talk to. The table of destinations has the same." });
  const curves = shape("g", { class: "curves", "aria-hidden": "true" });
  const nodes = shape("g", {});
  const heights = new Map(place.names.map(({ name, y }) => [name, y]));
  for (const end of place.ends) {
    for (const pair of end.pairs) {
      if (heights.has(pair.from)) curves.append(curve(pair, heights.get(pair.from), end.y, left, width - right));
    }
  }
  for (const { name, y } of place.names) {
    const of = place.ends.flatMap((end) => end.pairs).filter((pair) => pair.from === name);
    nodes.append(node({ key: `c ${name}`, label: name, lines: [fit(name, left - 24, 14)], x: 0, y, width: left, height: 36, kind: "component", of }, select));
  }
  for (const end of place.ends) {
    const worst = end.pairs.every((pair) => verdict(pair) === "refused") ? "refused" : end.pairs.some((pair) => verdict(pair) === "failed") ? "failed" : "allowed";
    const lines = [fit(end.to, right - (isRoomy || place.isNarrow ? 26 : 130), 13)];
    if (isRoomy) lines.push(fit(summary(end.pairs), right - 26, 11.2));
    const aside = !isRoomy && !place.isNarrow ? aSide(end.pairs) : "";
    nodes.append(node({ aside, key: `d ${end.to}`, label: end.to, lines, x: width - right, y: end.y, width: right, height: isRoomy ? 44 : 26, kind: `destination ${worst}`, of: end.pairs }, select));
  }
  fresh.append(curves, nodes);
  byId("picture").replaceChildren(fresh);
  svg = fresh;
  if (focused) [...svg.querySelectorAll("[data-node]")].find((one) => one.dataset.node === focused)?.focus({ preventScroll: true });
}

const thickness = (pair) => Math.min(7, 1.5 + Math.log10(attempts(pair) + 1) * 1.3).toFixed(1);

// Without times, which change by themselves.
const words = (pair) => [short(attempts(pair)), pair.refused, pair.failed, pair.open, bytes(pair.sent), bytes(pair.received)];

function summary(pairs) {
  const sum = (key) => pairs.reduce((all, pair) => all + pair[key], 0);
  const kinds = [...new Set(pairs.flatMap((pair) => pair.edges.map((edge) => edge.kind)))].join(" ");
  const parts = [kinds];
  if (sum("allowed")) parts.push(`${short(sum("allowed"))} allowed`);
  if (sum("refused")) parts.push(`${short(sum("refused"))} refused`);
  if (sum("failed")) parts.push(`${short(sum("failed"))} failed`);
  if (sum("sent") + sum("received")) parts.push(`↑ ${bytes(sum("sent"))} ↓ ${bytes(sum("received"))}`);
  return parts.join(" · ");
}

function curve(pair, from, to, start, end) {
  const middle = (start + end) / 2;
  const path = shape("path", {
    class: `curve ${verdict(pair)}${pair.open ? " open" : ""}`,
    d: `M${start} ${from.toFixed(1)} C${middle} ${from.toFixed(1)} ${middle} ${to.toFixed(1)} ${end} ${to.toFixed(1)}`,
    "stroke-width": thickness(pair),
    "data-from": pair.from,
    "data-to": pair.to,
  });
  path.append(shape("title", {}, pair.edges.map(sentence).join("\n")));
  return path;
}

// All about an edge, in a line.
function sentence(edge) {
  const parts = [`${edge.component} → ${edge.to} by ${edge.kind}: ${count(edge.allowed)} allowed`];
  if (edge.refused) parts.push(`${count(edge.refused)} refused (${edge.reason})`);
  if (edge.failed) parts.push(`${count(edge.failed)} failed${edge.error ? ` (${edge.error})` : ""}`);
  if (edge.open) parts.push(`${count(edge.open)} open`);
  if (edge.kind !== "udp" && edge.sent + edge.received) parts.push(`${bytes(edge.sent)} sent, ${bytes(edge.received)} received`);
  parts.push(`last ${ago(edge.last)}`);
  if (edge.rule) parts.push(`permitted by ${edge.rule}`);
  return parts.join(", ");
}

// What there is room for beside a destination in one line.
function aSide(pairs) {
  const sum = (key) => pairs.reduce((all, pair) => all + pair[key], 0);
  const kinds = [...new Set(pairs.flatMap((pair) => pair.edges.map((edge) => edge.kind)))];
  const many = sum("allowed") ? short(sum("allowed")) : `${short(sum("refused"))} refused`;
  return `${kinds.length === 1 ? kinds[0] : plural(kinds.length, "kind", "kinds")} · ${many}`;
}

function node({ key, label, lines, aside, x, y, width, height, kind, of }, select) {
  const told = of.length ? summary(of) : "nothing attempted";
  const made = shape("g", { class: `node ${kind}`, tabindex: 0, role: "button", "data-node": key, "aria-label": `${label}: ${told}. Filter by it` });
  made.append(shape("rect", { x: x + 1, y: y - height / 2, width: width - 2, height, rx: 8 }));
  lines.forEach((line, at) => {
    const lift = lines.length === 1 ? 4.5 : at === 0 ? -4 : 13;
    made.append(shape("text", { x: x + 13, y: y + lift, class: at === 0 ? "label" : "small" }, line));
  });
  if (aside) made.append(shape("text", { x: x + width - 13, y: y + 4, class: "small", "text-anchor": "end" }, aside));
  made.append(shape("title", {}, of.length ? of.flatMap((pair) => pair.edges.map(sentence)).join("\n") : `${label}: ${told}`));
  const light = (isLit) => {
    for (const path of svg.querySelectorAll(".curve")) {
      const isOwn = `c ${path.dataset.from}` === key || `d ${path.dataset.to}` === key;
      path.classList.toggle("lit", isLit && isOwn);
    }
    svg.classList.toggle("choosing", isLit);
  };
  made.addEventListener("pointerenter", () => light(true));
  made.addEventListener("pointerleave", () => light(document.activeElement === made));
  made.addEventListener("focus", () => {
    light(true);
    detailOf = { key, edges: of.flatMap((pair) => pair.edges) };
    drawDetail();
  });
  made.addEventListener("blur", () => {
    light(false);
    detailOf = null;
    drawDetail();
  });
  made.addEventListener("click", () => select(label));
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    select(label);
  });
  return made;
}

// What is at the node that has the focus, in words.
function drawDetail() {
  const list = byId("picture-detail");
  const lines = (detailOf?.edges ?? []).slice(0, 12).map(sentence);
  show(list, lines.length > 0);
  if (list.dataset.lines === JSON.stringify(lines)) return;
  list.dataset.lines = JSON.stringify(lines);
  list.replaceChildren(...lines.map((line) => element("li", {}, line)));
}
