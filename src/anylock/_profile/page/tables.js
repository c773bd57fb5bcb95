// A column: its heading, the value that it is sorted by, and how that is shown if it is
// not a word.
const words = (heading, value) => ({heading, value, number: false, text: value});
const count = (heading, value) =>
  ({heading, value, number: true, text: (row) => value(row).toLocaleString("en")});
const time = (heading, value, bar = null) =>
  ({heading, value, number: true, bar, text: (row) => inSeconds(value(row))});

class Table {
  constructor(section, columns, rows, chosen) {
    this.section = section;
    this.columns = columns;
    this.rows = rows;
    this.chosen = chosen;
    this.body = element("tbody");
    this.headings = columns.map((column, number) => {
      const button = element("button", {type: "button"}, column.heading);
      button.addEventListener("click", () => this.turn(number));
      return element("th", column.number ? {class: "number"} : {}, button);
    });
    const head = element("thead", {}, element("tr", {}, ...this.headings));
    section.querySelector(".table").append(element("table", {}, head, this.body));
    section.hidden = false;
  }

  turn(number) {
    const first = this.columns[number].number ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const before = this.headings[number].getAttribute("aria-sort");
    this.sort(number, before === first ? other : first);
  }

  sort(number, direction) {
    const column = this.columns[number];
    const sign = direction === "descending" ? -1 : 1;
    const compare = (a, b) => {
      const [one, other] = [column.value(a), column.value(b)];
      return sign * (column.number ? one - other : one.localeCompare(other));
    };
    this.headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    this.headings[number].setAttribute("aria-sort", direction);
    this.body.replaceChildren(...[...this.rows].sort(compare).map((row) => this.line(row)));
  }

  line(row) {
    const line = element("tr", {}, ...this.columns.map((column) => this.cell(column, row)));
    onChosen(line, () => this.chosen(row));
    return line;
  }

  cell(column, row) {
    const cell = element("td", {}, column.text(row));
    if (column.number) cell.classList.add("number");
    if (column.bar) {
      const most = Math.max(...this.rows.map(column.value)) || 1;
      cell.classList.add("bar", column.bar);
      cell.style.setProperty("--part", column.value(row) / most);
    }
    return cell;
  }
}

function showLock(lock) {
  show(
    element("h3", {}, `${lock.kind} ${lock.family} ${lock.name}`),
    element("p", {class: "faint"}, `made at ${lock.file}:${lock.line} in ${lock.function}`),
    element("pre", {}, lock.source));
}

function showBlocked(blocked) {
  show(
    element("h3", {},
      `${blocked.waits} waits of ${inSeconds(blocked.seconds)} for ${data.locks[blocked.lock].name}`),
    element("p", {}, `Waited, among others: ${blocked.waiters.join(", ")}. `
      + `Held it meanwhile: ${blocked.holders.join(", ")}.`),
    element("div", {class: "columns"},
      stackOf("Where it is waited for", blocked.waiter_stack),
      stackOf("Where it was taken by who held it", blocked.holder_stack)));
}

function fillTables() {
  const name = words("Lock", (lock) => lock.name);
  const kind = words("Kind", (lock) => `${lock.kind} ${lock.family}`);
  const made = count("Made", (lock) => lock.locks);
  const waits = count("Waits", (lock) => lock.contended);
  const waited = time("Waited", (lock) => lock.total_wait, "wait");
  const longest = time("Longest wait", (lock) => lock.max_wait);
  const given = [
    count("Timed out", (lock) => lock.timeouts),
    count("Cancelled", (lock) => lock.cancellations)];
  const isCondition = (lock) => lock.family === "Condition";
  const locks = new Table(document.getElementById("locks"), [
    name, kind, made, count("Acquired", (lock) => lock.acquisitions), waits, waited, longest,
    time("Held", (lock) => lock.total_hold, "hold"),
    time("Longest hold", (lock) => lock.max_hold), ...given,
  ], data.locks.filter((lock) => !isCondition(lock)), showLock);
  locks.sort(5, "descending");
  const conditions = data.locks.filter(isCondition);
  if (conditions.length) {
    new Table(document.getElementById("conditions"), [
      words("Condition", (lock) => lock.name), kind, made, waits,
      count("Notified", (lock) => lock.acquisitions), waited, longest, ...given,
    ], conditions, showLock).sort(5, "descending");
  }
  new Table(document.getElementById("blocked"), [
    words("Who waits at", (each) => shortPlace(each.waiter)),
    words("for", (each) => data.locks[each.lock].name),
    words("which is held by who came to", (each) => shortPlace(each.holder)),
    count("Waits", (each) => each.waits),
    time("Waited", (each) => each.seconds, "wait"),
  ], data.blocked, showBlocked).sort(4, "descending");
}

function shortPlace(place) {
  return place.split(", for ").map((each) => each.replace(/^.*[/\\]/, "")).join(", for ");
}

function fillFound() {
  const section = document.getElementById("found");
  for (const found of data.found) {
    const title = `${found.kind}: ${found.locks.join(", ")}, by ${found.who} after ${inSeconds(found.when)}`;
    section.hidden = false;
    section.append(element("details", {},
      element("summary", {}, title), element("pre", {}, found.message)));
  }
}
