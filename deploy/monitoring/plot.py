"""Plots what the dashboards' panels ask a Prometheus, a picture for each dashboard, without Grafana.

    plot.py --prometheus http://127.0.0.1:9090 --out FOLDER [--seconds N]

The last N seconds are shown, and rates are taken over a quarter of them.
"""

import argparse
import json
import math
import time
import urllib.parse
import urllib.request
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt  # noqa: E402 - after the choice of what draws
from matplotlib.ticker import FuncFormatter  # noqa: E402

HERE = Path(__file__).parent
COLUMNS = 2
#: Lines of a legend, and its characters: beyond them it would hide the panel.
MOST_LINES, MOST_CHARACTERS = 5, 28
FORMATS = {
    "percentunit": lambda value, _: f"{100 * value:g} %",
    "bytes": lambda value, _: f"{value / 2**20:.3g} MiB",
    "s": lambda value, _: f"{1000 * value:.3g} ms",
}


def ask(prometheus, expression, start, end, step):
    """The series of an expression: their labels, their times and their values."""
    parameters = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": step})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{parameters}", timeout=60) as answer:
        result = json.load(answer)["data"]["result"]
    for series in result:
        points = [(moment - end, float(value)) for moment, value in series["values"]]
        yield series["metric"], [(moment, value) for moment, value in points if math.isfinite(value)]


def legend_of(pattern, labels):
    text = pattern
    for name, value in labels.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def draw(axes, panel, prometheus, seconds):
    end = time.time()
    window = max(seconds // 4, 4)
    unit = panel["fieldConfig"]["defaults"].get("unit", "none")
    is_heatmap = panel["type"] == "heatmap"
    bounds, stack = [], []
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", f"{window}s")
        expression = expression.replace("$job", ".+").replace("$model", ".+")
        found = list(ask(prometheus, expression, end - seconds, end, max(seconds / 60, 1)))
        if is_heatmap:
            bounds = sorted(found, key=lambda series: float(series[0]["le"]))
            continue
        for labels, points in found:
            if points:
                stack.append((legend_of(target.get("legendFormat", ""), labels), points))
    if is_heatmap:
        heatmap(axes, bounds)
    elif panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal":
        moments = sorted({moment for _, points in stack for moment, _ in points})
        rows = [[dict(points).get(moment, 0.0) for moment in moments] for _, points in stack]
        axes.stackplot(moments, rows, labels=[name for name, _ in stack], alpha=0.7)
    else:
        for name, points in stack:
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
    axes.set_title(panel["title"], fontsize=8, loc="left")
    axes.tick_params(labelsize=6)
    axes.set_xlim(-seconds, 0)
    if not is_heatmap:
        highest = axes.dataLim.y1
        # room above the lines, and none for what is 0 but for rounding
        axes.set_ylim(0, 1.15 * highest if highest > 1e-9 else 1)
        axes.grid(alpha=0.25)
        if unit in FORMATS:
            axes.yaxis.set_major_formatter(FuncFormatter(FORMATS[unit]))
        if 0 < len(stack) <= 2 * MOST_LINES and any(name for name, _ in stack):
            axes.legend(fontsize=5, loc="upper left", ncols=1 if len(stack) <= MOST_LINES else 2)


def heatmap(axes, bounds):
    """Rows a second between each bound and the one below, darker where there are more."""
    names, rows, below = [], [], {}
    for labels, points in bounds:
        here = dict(points)
        rows.append([max(value - below.get(moment, 0.0), 0.0) for moment, value in here.items()])
        names.append(labels["le"])
        below, moments = here, list(here)
    if not rows:
        return
    axes.pcolormesh(moments, range(len(rows)), rows, cmap="Blues", shading="nearest")
    axes.set_yticks(range(len(names)), names)


def plot(name, prometheus, seconds, folder):
    board = json.loads((HERE / "grafana" / f"{name}.json").read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "stat"]
    rows = math.ceil(len(panels) / COLUMNS)
    figure, all_axes = plt.subplots(rows, COLUMNS, figsize=(9, 1.7 * rows), layout="constrained", squeeze=False)
    places = [axes for row in all_axes for axes in row]
    for axes, panel in zip(places, panels, strict=False):
        draw(axes, panel, prometheus, seconds)
    for axes in places[len(panels) :]:
        axes.remove()
    figure.suptitle(board["title"], fontsize=10, x=0.01, ha="left")
    # without the program's version, so that a picture changes only with what it shows
    figure.savefig(folder / f"{name}.png", dpi=90, metadata={"Software": None})
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, metavar="ADDRESS")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=int, default=1800, metavar="N")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE / "grafana").glob("*.json")):
        plot(path.stem, arguments.prometheus.rstrip("/"), arguments.seconds, arguments.out)


if __name__ == "__main__":
    main()
