// Numbers, sizes and times as people read them, and the parts of the page: elements whose text is only ever text.

const COUNT = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const count = (number) => COUNT.format(Math.round(number));

// A count where there is little room: 12.3K.
export const short = (number) => (number < 10000 ? count(number) : SHORT.format(number));

export function bytes(number) {
  let unit = 0;
  while (number >= 1024 && unit < UNITS.length - 1) {
    number /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || number >= 100 ? 0 : 1;
  return `${number.toFixed(digits)} ${UNITS[unit]}`;
}

// The clock of the page beside that of the process, whose times these are.
let behind = 0;
export const setClock = (now) => {
  behind = Date.now() - now;
};

export function ago(at) {
  const seconds = Math.max(0, Math.round((Date.now() - behind - at) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export const exact = (at) => new Date(at).toISOString();

export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

// An element with properties that are no code, and children: texts, elements, nothing.
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return made;
}

// Changes a text only where it is another one, so that nothing is laid out anew and no selection is lost.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const byId = (id) => document.getElementById(id);

export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

// A time that is told anew every second.
export function time(at) {
  return element("time", { datetime: exact(at), title: exact(at), "data-at": at }, ago(at));
}

export function setTime(node, at) {
  if (node.dataset.at !== String(at)) {
    node.dataset.at = String(at);
    node.setAttribute("datetime", exact(at));
    node.setAttribute("title", exact(at));
  }
  say(node, ago(at));
}

export function tellTimes() {
  for (const node of document.querySelectorAll("time[data-at]")) say(node, ago(Number(node.dataset.at)));
}
