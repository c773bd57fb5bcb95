const HEIGHT = 14; // of a lane
const [ACTOR, LOCK, NUMBER, WHAT, START, END, STACK, OUTCOME, LABEL] = Array(9).keys();

// An actor may hold several locks and wait for another one: each at the same time has a
// lane of its own.
function lanesOf(spans) {
  const ends = [];
  return spans.map((span) => {
    let lane = ends.findIndex((end) => end <= span[START]);
    if (lane < 0) lane = ends.length;
    ends[lane] = span[END];
    return {span, lane};
  });
}

// A server that has a task or a thread for each request has thousands of them. Where that
// is so, those without a name of their own share rows, one after the other.
const MANY = 50;
const NAMELESS = {tasks: /^task Task-\d+$/, threads: /^thread (Thread|Dummy)-\d+/};

function rowsOf(byActor) {
  const sortOf = (actor) =>
    Object.keys(NAMELESS).find((sort) => NAMELESS[sort].test(data.actors[actor]));
  const numbers = {};
  for (const actor of byActor.keys()) {
    numbers[sortOf(actor)] = (numbers[sortOf(actor)] ?? 0) + 1;
  }
  const rows = [];
  for (const [actor, spans] of byActor) {
    const sort = sortOf(actor);
    const shared = sort && numbers[sort] > MANY;
    const end = spans.reduce((last, span) => Math.max(last, span[END]), 0);
    const row = shared && rows.find((each) => each.sort === sort && each.end <= spans[0][START]);
    if (row) {
      row.spans.push(...spans);
      row.end = end;
    } else {
      rows.push({title: shared ? sort : data.actors[actor], sort: shared && sort, spans, end});
    }
  }
  return rows;
}

class Timeline {
  constructor(section) {
    this.area = section.querySelector("#lanes");
    this.names = section.querySelector("#names");
    this.canvas = section.querySelector("canvas");
    this.pointed = section.querySelector("#pointed");
    this.begin = 0;
    this.end = this.all = Math.max(data.seconds, 1e-6);
    this.arrange();
    const act = {
      in: () => this.zoom(0.5), out: () => this.zoom(2), left: () => this.move(-0.3),
      right: () => this.move(0.3), all: () => this.look(0, this.all),
    };
    for (const button of section.querySelectorAll("[data-do]")) {
      button.addEventListener("click", act[button.dataset.do]);
    }
    this.area.addEventListener("scroll", () => this.draw());
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), {passive: false});
    new ResizeObserver(() => this.draw()).observe(this.area);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  arrange() {
    const byActor = new Map();
    for (const span of [...data.spans].sort((a, b) => a[START] - b[START])) {
      if (!byActor.has(span[ACTOR])) byActor.set(span[ACTOR], []);
      byActor.get(span[ACTOR]).push(span);
    }
    this.rows = [];
    let top = 0;
    for (const {title, spans} of rowsOf(byActor)) {
      const placed = lanesOf(spans);
      const lanes = 1 + placed.reduce((most, {lane}) => Math.max(most, lane), 0);
      const height = lanes * HEIGHT + 6;
      this.rows.push({top, height, placed});
      const name = element("div", {title}, title);
      name.style.height = name.style.lineHeight = `${height}px`;
      this.names.append(name);
      top += height;
    }
    this.height = top;
    this.names.style.height = `${top}px`;
  }

  // What is seen: all of the width, and as much of the height as there is room for.
  draw() {
    const width = this.canvas.clientWidth;
    const height = Math.min(this.height, Math.round(innerHeight * 0.7));
    const ratio = devicePixelRatio || 1;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(name).trim();
    const paint = this.canvas.getContext("2d");
    paint.scale(ratio, ratio);
    paint.translate(0, -this.area.scrollTop);
    this.boxes = [];
    for (const row of this.rows) {
      if (row.top + row.height < this.area.scrollTop) continue;
      if (row.top > this.area.scrollTop + height) break;
      paint.fillStyle = this.colour("--line");
      paint.fillRect(0, row.top + row.height - 1, width, 1);
      for (const {span, lane} of row.placed) {
        if (span[END] < this.begin || span[START] > this.end) continue;
        const left = Math.max(-1, this.place(span[START], width));
        const right = Math.min(width + 1, this.place(span[END], width));
        const box = {
          span, left, top: row.top + 3 + lane * HEIGHT, width: Math.max(right - left, 1)};
        this.boxes.push(box);
        this.paint(paint, box);
      }
    }
    this.canvas.dataset.drawn = this.boxes.length;
    this.canvas.dataset.seconds = (this.end - this.begin).toPrecision(4);
  }

  place(moment, width) {
    return (moment - this.begin) / (this.end - this.begin) * width;
  }

  paint(paint, {span, left, top, width}) {
    const height = HEIGHT - 3;
    if (span[WHAT] === "hold") {
      // Neighbours in the list are far apart
      // in colour, and none is red.
      const hue = (span[LOCK] * 137.5 + 180) % 300 + 30;
      paint.fillStyle =
        `hsl(${hue} ${this.colour("--hold-full")} ${this.colour("--hold-light")})`;
      paint.fillRect(left, top, width, height);
      return;
    }
    const colour = this.colour(span[WHAT] === "wait" ? "--wait" : "--notice");
    paint.strokeStyle = paint.fillStyle = colour;
    if (width < 3) {
      paint.fillRect(left, top + height / 2 - 1, width, 3);
      return;
    }
    paint.lineWidth = 1;
    paint.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    if (span[WHAT] === "wait") {
      paint.beginPath();
      for (let x = left + 4; x < left + width - 1; x += 5) {
        paint.moveTo(x, top + 1);
        paint.lineTo(x - 4, top + height - 1);
      }
      paint.stroke();
    }
  }

  look(begin, end) {
    const length = Math.min(Math.max(end - begin, 1e-6), this.all);
    this.begin = Math.min(Math.max(begin, 0), this.all - length);
    this.end = this.begin + length;
    this.draw();
  }

  zoom(factor, part = 0.5) {
    const length = this.end - this.begin;
    const fixed = this.begin + part * length;
    this.look(fixed - part * length * factor, fixed + (1 - part) * length * factor);
  }

  move(part) {
    const length = this.end - this.begin;
    this.look(this.begin + part * length, this.end + part * length);
  }

  wheel(event) {
    if (!event.ctrlKey && !event.shiftKey) return; // it scrolls the page
    event.preventDefault();
    const turned = event.deltaY || event.deltaX;
    this.zoom(turned > 0 ? 1.25 : 0.8, event.offsetX / this.canvas.clientWidth);
  }

  press(event) {
    this.pressed = {x: event.offsetX, begin: this.begin, moved: false};
    this.canvas.setPointerCapture(event.pointerId);
  }

  release(event) {
    const {moved} = this.pressed || {moved: true};
    this.pressed = null;
    const box = this.boxAt(event);
    if (!moved && box) this.chosen(box.span);
  }

  point(event) {
    if (this.pressed) {
      const moved = event.offsetX - this.pressed.x;
      this.pressed.moved ||= Math.abs(moved) > 3;
      if (!this.pressed.moved) return;
      const length = this.end - this.begin;
      const begin = this.pressed.begin - moved / this.canvas.clientWidth * length;
      this.look(begin, begin + length);
      return;
    }
    const box = this.boxAt(event);
    this.pointed.textContent = box ? this.title(box.span) : "";
  }

  // The last one that is drawn lies above the others. A narrow one is met beside it, too.
  boxAt(event) {
    const [x, y] = [event.offsetX, event.offsetY + this.area.scrollTop];
    return this.boxes.findLast((box) =>
      y >= box.top && y < box.top + HEIGHT && x >= box.left - 2 && x <= box.left + box.width + 2);
  }

  title(span) {
    const verbs = {hold: "holds", wait: "waits for", notice: "waits to be notified by"};
    const label = span[LABEL] === null ? "" : ` [${span[LABEL]}]`;
    const outcome = span[OUTCOME] && span[OUTCOME] !== "got" ? `, ${span[OUTCOME]}` : "";
    return `${data.actors[span[ACTOR]]}${label} ${verbs[span[WHAT]]} `
      + `${data.locks[span[LOCK]].name} for ${inSeconds(span[END] - span[START])} `
      + `from ${span[START].toFixed(6)} s on${outcome}`;
  }

  chosen(span) {
    const where = span[WHAT] === "hold" ? "Where it was taken" : "Where it waits";
    show(element("h3", {}, this.title(span)), stackOf(where, span[STACK]));
  }
}
