"""The page of a profile, in a browser that has no screen and no network."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from anylock._profile import page
from anylock._profile.report import Report
from browser import run_in
from profiled import profiled, write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("browser")

NASTY = "</script><script>document.title = 'owned'</script><!--<b>&amp;\"'"

PROGRAM = """
import threading, time

lock = threading.Lock()
long = threading.RLock()
brief = threading.RLock()
condition = threading.Condition()
taken = threading.Event()

def hold():
    with lock:
        taken.set()
        while not lock._anylock.waits:
            time.sleep(0.001)  # polled: no event tells that somebody waits

def wait():
    taken.wait()
    with lock:
        pass

holder = threading.Thread(target=hold, name=NASTY)
waiter = threading.Thread(target=wait, name="waiter")
for thread in (holder, waiter):
    thread.start()
for thread in (holder, waiter):
    thread.join()
with long:
    with brief:
        pass
    with lock:
        time.sleep(0.05)  # a hold that is long enough to be seen and clicked on
with brief:
    pass
with lock, long:
    pass
with condition:
    condition.wait(0.001)
# </script><script>document.title = 'owned'
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, and the same as JSON beside it."""
    folder = tmp_path_factory.mktemp("page")
    write(folder, app=f"NASTY = {NASTY!r}\n{PROGRAM}")
    options = ("-o", "page.html", "--json", "data.json")
    done = profiled(folder, "app.py", NASTY, options=options)
    assert done.status == 0, done.err
    return folder / "page.html"


def data_of(made: Path) -> Any:
    return json.loads(made.with_name("data.json").read_text())


def test_it_is_one_file(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    assert not re.search(
        r"\b(src|href)\s*=|@import|https?://(?!www\.w3\.org/2000)", text
    )
    assert "default-src 'none'" in text
    assert text.count("</script>") == 2


def test_what_the_program_says_is_never_markup(made: Path) -> None:
    title, heading, found = run_in(
        made,
        """return [document.title, one("h1").textContent,
          texts("#names div").concat(texts("b")).join(" | ")]""",
    )
    assert title == heading == f"Locks of app.py {NASTY}"
    assert f"thread {NASTY}" in found


def names(rows: list[str]) -> list[str]:
    return [row.rpartition(" ")[2] for row in rows]


def test_tables_are_sorted_by_a_click(made: Path) -> None:
    first, held, back, by_name, marks = run_in(
        made,
        """
        const rows = () => texts("#locks tbody tr td:first-child");
        const heading = (text) => all("#locks th button")
          .find((each) => each.textContent === text);
        const found = [rows()];
        for (const text of ["Held", "Held", "Lock"]) {
          heading(text).click();
          found.push(rows());
        }
        found.push(all("#locks th").map((each) => each.getAttribute("aria-sort")));
        return found;
        """,
    )
    assert names(first)[0] == "lock"
    assert names(held)[0] == "long" or names(held)[0] == "lock"
    assert back == held[::-1]
    assert by_name == sorted(by_name)
    assert marks[0] == "ascending"
    assert not any(marks[1:])


def test_it_tells_what_the_json_tells(made: Path) -> None:
    data = data_of(made)
    locks, conditions, blocked, found, summary = run_in(
        made,
        """return [all("#locks tbody tr").length, texts("#conditions tbody tr td"),
          texts("#blocked tbody tr td"), texts("#found summary"),
          one("#summary").textContent]""",
    )
    assert locks == len(data["locks"]) - 1
    assert names(conditions)[:4] == ["condition", "Condition", "1", "1"]
    assert blocked[:4] == ["app.py:19 in wait", "app:5 lock", "app.py:12 in hold", "1"]
    assert len(found) == len(data["found"]) == 1
    assert found[0].startswith("order: ")
    assert summary.startswith(
        f"5 locks from 5 places in {data['seconds'] * 1000:.0f}"[:24]
    )
    assert f"{data['events']} events." in summary


def test_stacks_on_a_click(made: Path) -> None:
    before, blocked, closed, lock = run_in(
        made,
        """
        const press = (what, key) => what.dispatchEvent(
          new KeyboardEvent("keydown", {key, bubbles: true}));
        const panel = one("#panel");
        const found = [panel.hidden];
        one("#blocked tbody tr").click();
        found.push(panel.innerText);
        press(document, "Escape");
        found.push(panel.hidden);
        press(one("#locks tbody tr"), "Enter");
        found.push(panel.innerText);
        one("#panel > button").click();
        return panel.hidden ? found : "it is not closed";
        """,
    )
    assert before is closed is True
    assert "app.py:19 in wait" in blocked
    assert "with lock:" in blocked
    assert "Waited, among others: waiter" in blocked
    assert "lock = threading.Lock()" in lock


def test_the_timeline(made: Path) -> None:
    data = data_of(made)
    drawn, seconds, zoomed, moved, all_of_it = run_in(
        made,
        """
        const canvas = one("canvas");
        const state = () =>
          [Number(canvas.dataset.drawn), Number(canvas.dataset.seconds)];
        const press = (what) => one(`[data-do=${what}]`).click();
        const first = state();
        const found = [];
        for (const each of ["in", "right", "all"]) {
          press(each);
          found.push(state());
        }
        press("left");
        press("out");
        return [...first, ...found];
        """,
    )
    assert drawn == len(data["spans"])
    assert seconds == pytest.approx(data["seconds"], rel=0.01)
    assert zoomed[1] == moved[1] == pytest.approx(seconds / 2, rel=0.01)
    assert zoomed[0] < drawn
    assert all_of_it == [drawn, seconds]


def test_a_span_is_pointed_at_and_clicked(made: Path) -> None:
    pointed, clicked, dragged, wheeled = run_in(
        made,
        """
        const canvas = one("canvas");
        const all_spans = canvas.getBoundingClientRect();
        const at = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
          clientX: all_spans.left + x, clientY: all_spans.top + y, bubbles: true}));
        // The first lane of the first actor is the hold that others wait for.
        const start = data.spans[0][4] / data.seconds * canvas.clientWidth + 2;
        at("pointermove", start, 8);
        const found = [one("#pointed").textContent];
        at("pointerdown", start, 8);
        at("pointerup", start, 8);
        found.push(one("#panel").innerText);
        one("#panel > button").click();
        one("[data-do=in]").click();
        at("pointerdown", 500, 8);
        at("pointermove", 400, 8);
        at("pointerup", 400, 8);
        found.push(one("#panel").hidden);
        const before = canvas.dataset.seconds;
        for (const ctrlKey of [false, true]) canvas.dispatchEvent(new WheelEvent(
          "wheel", {deltaY: -1, ctrlKey, bubbles: true, cancelable: true}));
        found.push(canvas.dataset.seconds / before);
        return found;
        """,
    )
    assert pointed.startswith(f"thread {NASTY} holds app:5 lock for ")
    assert "app.py:12 in hold" in clicked
    assert dragged is True
    assert wheeled == pytest.approx(0.8, rel=0.01)


def test_the_graph(made: Path) -> None:
    boxes, inverted, others, shown = run_in(
        made,
        """
        const edges = (cls) => texts(`svg g.edge${cls} title`);
        const click = new MouseEvent("click", {bubbles: true});
        one("svg g.edge.inverted").dispatchEvent(click);
        return [texts("svg text"), edges(".inverted"), edges(":not(.inverted)"),
          one("#panel").innerText];
        """,
    )
    assert names(boxes) == ["long", "brief", "lock"]
    assert sorted(inverted) == [
        "app:5 lock, then app:6 long",
        "app:6 long, then app:5 lock",
    ]
    assert others == ["app:6 long, then app:7 brief"]
    assert "which others take in the opposite order" in shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(scheme: str, made: Path) -> None:
    number = {"light": 1, "dark": 0}[scheme]
    ground, text = run_in(
        made,
        """const style = getComputedStyle(document.body);
        return [style.backgroundColor, style.color]""",
        f"--blink-settings=preferredColorScheme={number}",
    )
    assert (brightness(ground) > brightness(text)) == (scheme == "light")
    assert abs(brightness(ground) - brightness(text)) > 500


def brightness(colour: str) -> int:
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_more_spans_than_a_browser_draws(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_MOST_SPANS", 2)
    report = Report(**data_of(made))
    few = tmp_path / "few.html"
    few.write_text(page.page_maker()(report), encoding="utf-8")
    drawn, more = run_in(
        few, """return [one("canvas").dataset.drawn, one("#more").textContent]"""
    )
    assert drawn == "2"
    assert more.startswith(f"{len(report.spans) - 2} shorter holds and waits are left")


def test_a_program_without_locks(tmp_path: Path) -> None:
    write(tmp_path, app="pass")
    profiled(tmp_path, "app.py", options=("-o", "page.html"))
    found = run_in(
        tmp_path / "page.html",
        """return [one("#graph").textContent, all("tbody tr").length,
          one("#conditions").hidden, one("#found").hidden]""",
    )
    assert found == ["No lock was taken while another one was held.", 0, True, True]


MANY = """
import asyncio

async def send(lock):
    async with lock:
        await asyncio.sleep(0)

async def main():
    lock = asyncio.Lock()
    for _ in range(30):
        await asyncio.gather(send(lock), send(lock))

asyncio.run(main())
"""


def test_tasks_without_names_share_rows_where_there_are_many(tmp_path: Path) -> None:
    write(tmp_path, app=MANY)
    assert profiled(tmp_path, "app.py", options=("-o", "x.html")).status == 0
    rows, summary = run_in(
        tmp_path / "x.html",
        """return [texts("#names div"), one("#summary").textContent]""",
    )
    assert rows == ["tasks", "tasks"]
    assert summary.startswith("1 lock from 1 place in ")
