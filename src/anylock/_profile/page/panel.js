const data = JSON.parse(document.getElementById("data").textContent);

// All text goes in as text: whatever the program calls its locks is never markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function inSeconds(seconds) {
  if (!seconds) return "–";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${seconds.toPrecision(4)} s`;
}

function stackOf(title, number) {
  const list = element("ol");
  for (const frame of data.stacks[number]) {
    const place = `${frame.file}:${frame.line} in ${frame.function}`;
    list.append(element("li", {},
      element("span", {class: "faint"}, place),
      element("span", {class: "code"}, frame.source)));
  }
  return element("div", {}, element("h3", {}, title), list);
}

const panel = document.getElementById("panel");

function show(...parts) {
  panel.lastElementChild.replaceChildren(...parts);
  panel.hidden = false;
}

function hide() {
  panel.hidden = true;
}

panel.firstElementChild.addEventListener("click", hide);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
});

// What a click does, the Enter key does as well.
function onChosen(what, action) {
  what.tabIndex = 0;
  what.addEventListener("click", action);
  what.addEventListener("keydown", (event) => {
    if (event.key === "Enter") action();
  });
}
