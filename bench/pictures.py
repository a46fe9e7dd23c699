"""What docs/performance.md shows beside its table: the growth of cost, and where the hot requests spend their time."""

import html
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from bench.lab import Lab
from bench.load import Contender
from chaos.servers import ENV

Curve = Sequence[tuple[int, float]]

AXES = {"people": "people in the service", "swipes": "swipes that the caller has made"}
FLAME_SECONDS, FLAME_RATE = 10, 200
# Of a flame graph, in pixels, and the narrowest share of the whole that is drawn: that keeps the files small.
WIDTH, HEIGHT, SMALLEST = 1200, 15, 0.01
LETTER = 6.2
COLORS = {"swiper": "#e8743b", "sqlalchemy": "#5899da", "psycopg": "#19a979", "redis": "#ed4a7b", "gunicorn": "#945ecf"}
OTHERS = "#d0cfc9"


def draw_growth(curves: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Two diagrams with logarithmic axes: cost against people, and against a caller's swipes."""
    # Text stays text, and the same results make the same file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "swiper"})
    figure, places = plt.subplots(1, len(AXES), figsize=(9, 3.6), sharey=True)
    for (name, label), place in zip(AXES.items(), places, strict=True):
        for request, curve in curves[name].items():
            place.plot([max(1, count) for count, _ in curve], [cost for _, cost in curve], marker="o", label=request)
        place.set(xscale="log", yscale="log", xlabel=label)
        place.grid(visible=True, which="both", alpha=0.25)
        place.legend()
    places[0].set_ylabel("CPU of all servers, µs a request")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_flames(lab: Lab, contender: Contender, title: str, path: Path) -> None:
    """The flame graph of one worker under the load of `contender`."""
    worker = lab.web.children()[0].pid
    raw = lab.folder / "stacks"
    command = [str(Path(sys.executable).parent / "py-spy"), "record", "--pid", str(worker), "--format", "raw"]
    command += ["--function", "--rate", str(FLAME_RATE), "--duration", str(FLAME_SECONDS), "--output", str(raw)]
    load = threading.Thread(target=contender.play, args=(lab.folder, FLAME_SECONDS + 2))
    load.start()
    try:
        subprocess.run(command, env=ENV, check=True, capture_output=True, timeout=FLAME_SECONDS + 60)
    finally:
        load.join()
    path.write_text(flame_graph(raw.read_text().splitlines(), title))


def flame_graph(stacks: Sequence[str], title: str) -> str:
    """An SVG of lines such as `outer;inner 12`, the outermost frames at the bottom; hovering shows the whole name."""
    counts: Counter[tuple[str, ...]] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        counts[tuple(stack.split(";"))] += int(count)
    total = sum(counts.values())
    boxes = _boxes(counts, 0, 0, total)
    height = HEIGHT * (max(depth for depth, *_ in boxes) + 3)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace"'
        ' font-size="10">',
        f'<text x="4" y="14">{html.escape(title)}: {total} samples</text>',
        *(_draw(box, WIDTH / total, height) for box in boxes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


Box = tuple[int, int, int, str]


def _boxes(counts: Mapping[tuple[str, ...], int], depth: int, start: int, total: int) -> list[Box]:
    """Depth, start, width (both in samples) and name of each frame from `depth` on, narrow ones left out."""
    inner: dict[str, Counter[tuple[str, ...]]] = {}
    for stack, count in counts.items():
        if len(stack) > depth:
            inner.setdefault(stack[depth], Counter())[stack] += count
    boxes: list[Box] = []
    for name, below in sorted(inner.items()):
        width = sum(below.values())
        if width >= SMALLEST * total:
            boxes += [(depth, start, width, name), *_boxes(below, depth + 1, start, total)]
        start += width
    return boxes


def _draw(box: Box, scale: float, height: int) -> str:
    depth, start, width, name = box
    x, y, wide = start * scale, height - HEIGHT * (depth + 1), width * scale
    color = next((color for part, color in COLORS.items() if part in name), OTHERS)
    label = html.escape(name.partition(" (")[0][: int(wide / LETTER)])
    return (
        f'<g><title>{html.escape(name)} {width}</title><rect x="{x:.1f}" y="{y}" width="{wide:.1f}" '
        f'height="{HEIGHT - 1}" fill="{color}"/><text x="{x + 2:.1f}" y="{y + 11}">{label}</text></g>'
    )
