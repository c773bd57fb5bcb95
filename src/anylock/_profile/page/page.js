function several(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function fillPage() {
  const made = data.locks.reduce((sum, lock) => sum + lock.locks, 0);
  const dropped = data.dropped
    ? `; the first ${data.dropped.toLocaleString("en")} of them were dropped, and are in the `
      + "tables of locks and conditions only"
    : "";
  document.getElementById("summary").textContent =
    `${several(made, "lock")} from ${several(data.locks.length, "place")} in `
    + `${inSeconds(data.seconds)} of ${data.python}; `
    + `${data.events.toLocaleString("en")} events${dropped}.`;
  fillFound();
  fillTables();
  const timeline = new Timeline(document.getElementById("timeline"));
  timeline.draw();
  document.getElementById("more").textContent =
    (data.more_spans ? `${data.more_spans.toLocaleString("en")} shorter holds and waits are left out. ` : "")
    + "Drag to move; Ctrl and the wheel to zoom; click for the stack.";
  drawGraph();
}

fillPage();
