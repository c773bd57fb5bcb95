const ROW = 56;
const COLUMN = 300;
const BOX = 28;

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Each lock is to the right of those that are held when it is taken. What is inverted
// leads both ways and orders nothing.
function columnsOf(nodes, orders) {
  const columns = new Map([...nodes].map((node) => [node, 0]));
  const forward = orders.filter((order) => !order.inverted);
  for (let round = 0; round < nodes.size; round++) {
    let changed = false;
    for (const {first, then} of forward) {
      if (columns.get(then) <= columns.get(first)) {
        columns.set(then, columns.get(first) + 1);
        changed = true;
      }
    }
    if (!changed) break;
  }
  return columns;
}

function showOrder(order) {
  const [first, then] = [data.locks[order.first], data.locks[order.then]];
  show(
    element("h3", {}, `${order.who} took ${first.name}, and then ${then.name}`
      + (order.inverted ? ", which others take in the opposite order" : "")),
    element("div", {class: "columns"},
      stackOf(`Where ${first.name} was taken`, order.held),
      stackOf(`Where ${then.name} was taken`, order.taken)));
}

function marker(id, cls) {
  return drawn("marker", {
    id, class: cls, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 9, markerHeight: 9,
    orient: "auto-start-reverse", markerUnits: "userSpaceOnUse",
  }, drawn("path", {d: "M0 0L10 5L0 10z"}));
}

function drawGraph() {
  const area = document.getElementById("graph");
  if (!data.orders.length) {
    area.append(element("p", {class: "faint"}, "No lock was taken while another one was held."));
    return;
  }
  const nodes = new Set(data.orders.flatMap(({first, then}) => [first, then]));
  const columns = columnsOf(nodes, data.orders);
  const used = [];
  const places = new Map();
  for (const node of nodes) {
    const column = columns.get(node);
    used[column] = (used[column] ?? 0) + 1;
    const name = data.locks[node].name;
    places.set(node, {
      x: 10 + column * COLUMN, y: 20 + (used[column] - 1) * ROW, name,
      // Boxes one below the other are joined at their right sides.
      width: Math.min(COLUMN - 80, 20 + name.length * 8)});
  }
  const height = 20 + Math.max(...Object.values(used)) * ROW;
  const width = 160 + (Math.max(...columns.values()) + 1) * COLUMN;
  const picture = drawn("svg", {width, height, role: "img",
    "aria-label": "Which locks are taken while others are held"});
  picture.append(drawn("defs", {}, marker("to", ""), marker("inverted", "inverted")));
  for (const order of data.orders) picture.append(edge(order, places, columns));
  for (const {x, y, width: w, name} of places.values()) {
    const shown = name.length * 8 + 20 > w ? `…${name.slice(-Math.floor((w - 28) / 8))}` : name;
    picture.append(
      drawn("rect", {x, y, width: w, height: BOX, rx: 4}, drawn("title", {}, name)),
      drawn("text", {x: x + 10, y: y + 19}, shown));
  }
  area.append(picture);
}

function edge(order, places, columns) {
  const [from, to] = [places.get(order.first), places.get(order.then)];
  const [startY, endY] = [from.y + BOX / 2, to.y + BOX / 2];
  const start = from.x + from.width;
  let d;
  if (columns.get(order.first) < columns.get(order.then)) {
    const end = to.x;
    const bend = Math.max(40, (end - start) / 2);
    d = `M${start} ${startY}C${start + bend} ${startY} ${end - bend} ${endY} ${end} ${endY}`;
  } else {
    // Back, or within a column: around on the right, a way down beside the way up.
    const shift = order.first < order.then ? 5 : -5;
    const end = to.x + to.width;
    const bend = Math.max(start, end) + 60 + 3 * shift;
    d = `M${start} ${startY + shift}C${bend} ${startY + shift} ${bend} ${endY + shift} `
      + `${end} ${endY + shift}`;
  }
  const title = `${from.name}, then ${to.name}`;
  const made = drawn("g", {class: order.inverted ? "edge inverted" : "edge"},
    drawn("title", {}, title),
    drawn("path", {d, class: "wide"}),
    drawn("path", {d, "marker-end": `url(#${order.inverted ? "inverted" : "to"})`}));
  onChosen(made, () => showOrder(order));
  return made;
}
