"""What the members of a crowd have noted, put together."""

from __future__ import annotations

import pytest

from anylock._bench.spread import GRID
from anylock._bench.workers.traces import (
    MOST_SPANS,
    SHOWN,
    Event,
    grid,
    hand_offs,
    longest_run,
    spans,
    summary,
)

# Asked, entered, left. 1 waits for 0 from the start, which comes back twice before;
# then 0 waits for it; later 1 comes when it is free.
NOTED: list[tuple[int, Event]] = [
    (0, (0.000, 0.000, 0.010)),
    (0, (0.010, 0.011, 0.020)),
    (1, (0.001, 0.022, 0.030)),
    (0, (0.021, 0.033, 0.040)),
    (1, (0.050, 0.050, 0.060)),
]


def test_hand_offs_are_to_who_waited() -> None:
    assert hand_offs(NOTED) == pytest.approx([2000.0, 3000.0])


def test_the_longest_run() -> None:
    assert longest_run(NOTED) == 2
    assert longest_run([]) == 0


def test_spans_begin_when_all_are_there() -> None:
    expected = [
        (0, 0.0, 0.019),
        (1, 0.021, 0.029),
        (0, 0.032, 0.039),
        (1, 0.049, 0.059),
    ]
    for span, wanted in zip(spans(NOTED), expected, strict=True):
        assert span == pytest.approx(wanted)
    assert spans([]) == []


def test_spans_end_where_the_picture_does() -> None:
    late = (0, (SHOWN * 2, SHOWN * 2, SHOWN * 3))
    long: list[tuple[int, Event]] = [(0, (0.0, 0.0, 0.01)), (1, (0.0, 0.01, 9.0)), late]
    assert spans(long) == [(0, 0.0, 0.01), (1, 0.01, SHOWN)]


def test_there_are_only_so_many_spans() -> None:
    step = SHOWN / 10_000
    many = [
        (number % 2, (0.0, number * step, (number + 1) * step))
        for number in range(MOST_SPANS + 10)
    ]
    assert len(spans(many)) == MOST_SPANS


def test_a_grid_of_percentiles() -> None:
    assert grid([]) == []
    values = grid([float(number) for number in range(1000, 0, -1)])
    assert len(values) == len(GRID)
    assert values[GRID.index(50)] == 500
    assert values[-1] == 1000


def test_summary() -> None:
    found = summary(NOTED[::-1], {0: "threads", 1: "asyncio tasks"})
    assert found["longest run"] == 2
    assert set(found["waits"]) == {"threads", "asyncio tasks"}
    assert found["waits"]["asyncio tasks"][-1] == pytest.approx(21_000)
    assert found["waits"]["threads"][-1] == pytest.approx(12_000)
    assert found["hand-offs"][-1] == pytest.approx(3000)
    assert found["spans"] == spans(NOTED)
