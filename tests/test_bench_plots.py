"""The pictures of the benchmarks: that they can be read, by programs and by people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from anylock._bench.report import Report
from anylock._bench.spread import GRID
from benches import OURS, everything

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")

from anylock._bench import plots
from anylock._bench.plots import style

# The first use of matplotlib may look at all fonts there are.
pytestmark = pytest.mark.filterwarnings("ignore:.*font.*:UserWarning")

TEXTS = {
    "throughput": {"contenders", "acquisitions per second"},
    "waiters": {"waiters", "time until all are gone (us)"},
    "hand-offs": {"percentile", "hand-off (us)"},
    "waits": {"percentile", "wait (us)"},
    "fairness": {"time (ms); each colour is one contender", "lock"},
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Picture -> what its file says."""
    folder = tmp_path_factory.mktemp("pictures")
    files = plots.draw(everything(), folder)
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def texts(svg: str) -> set[str]:
    """All texts of a picture; which shows that it can be parsed."""
    root = ET.fromstring(svg)  # noqa: S314 - it is ours
    found = root.iter("{http://www.w3.org/2000/svg}text")
    return {"".join(text.itertext()).strip() for text in found}


def test_all_are_drawn(drawn: dict[str, str]) -> None:
    assert set(drawn) == set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_axes_have_labels_and_units(name: str, drawn: dict[str, str]) -> None:
    assert TEXTS[name] <= texts(drawn[name])


@pytest.mark.parametrize("name", TEXTS)
def test_locks_have_names(name: str, drawn: dict[str, str]) -> None:
    assert any(text.startswith(OURS) for text in texts(drawn[name]))


@pytest.mark.parametrize(
    ("name", "panel"),
    [
        ("throughput", "crowd"),
        ("waiters", "crowd"),
        ("hand-offs", "handing over"),
        ("waits", "waiting"),
        ("fairness", "waiting"),
    ],
)
def test_panels_have_titles(name: str, panel: str, drawn: dict[str, str]) -> None:
    assert panel in texts(drawn[name])


def test_the_slope_is_in_the_legend(drawn: dict[str, str]) -> None:
    found = texts(drawn["waiters"])
    assert f"{OURS}, slope 1.00" in found
    assert "a.Lock" in found  # of which there is one point, and no slope


@pytest.mark.parametrize("name", TEXTS)
def test_each_colour_of_the_page_has_one_in_the_dark(
    name: str, drawn: dict[str, str]
) -> None:
    svg = drawn[name]
    rules, _, body = svg.partition("</style>")
    assert "prefers-color-scheme: dark" in rules
    assert body
    neutral = {*style.DARK}
    coloured = {style.OURS, *style.PEERS}
    used = {found.lower() for found in re.findall(r"#[0-9a-fA-F]{6}\b", body)}
    assert style.PAPER in used
    assert style.INK in used
    # Nothing else, black above all, which would be lost in the dark.
    assert used <= neutral | coloured
    for light in neutral & used:
        # As the rules look for it.
        assert re.search(rf'style="[^"]*(fill|stroke): {light}', body)
        assert not re.search(rf"(fill|stroke)(?!: ).{{1,3}}{light}", body)
        assert f'fill: {light}"] {{ fill: {style.DARK[light]}' in rules


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("paper", [style.PAPER, style.DARK[style.PAPER]])
def test_lines_stand_out_from_light_and_dark(paper: str) -> None:
    # What WCAG asks of graphics.
    for colour in (style.OURS, *style.PEERS):
        assert contrast(colour, paper) >= 3, colour


def test_text_stands_out_from_light_and_dark() -> None:
    assert contrast(style.INK, style.PAPER) >= 7
    assert contrast(style.DARK[style.INK], style.DARK[style.PAPER]) >= 7


def test_the_same_report_gives_the_same_files(
    drawn: dict[str, str], tmp_path: Path
) -> None:
    for file in plots.draw(everything(), tmp_path):
        assert file.read_text(encoding="utf-8") == drawn[file.stem]


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert plots.draw(Report({}), tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_many_panels_are_in_rows() -> None:
    figure, axes = style.panels(["one", "two", "three", "four"])
    assert len(axes) == 4
    assert [each.get_visible() for each in figure.axes] == [True] * 4 + [False] * 2


def test_ours_stands_out() -> None:
    looks = style.looks(["a.Lock", OURS, *(f"{n}.Lock" for n in range(10))])
    assert looks[OURS]["color"] == style.OURS
    assert looks["a.Lock"]["color"] != style.OURS
    assert len(looks) == 12
    both = style.looks(["make_lock('a')", "make_lock('b')"]).values()
    assert [look["linestyle"] for look in both] == ["-", "--"]
    assert len(everything().distributions[0].values) == len(GRID)
