"""Makes what is derived in this folder: Grafana's dashboards, and the alerts for the Prometheus Operator.

    dashboards.py [--out FOLDER] [--docs ADDRESS]

Writes grafana/{server,model,digits}.json and prometheus-rule.yaml, the latter with rules.yaml word by word. `--docs` is the
address of your copy of the documentation, which the alerts' runbook links then name.
"""

import argparse
import json
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as model_common
from grafana_foundation_sdk.models import dashboard as models

HERE = Path(__file__).parent
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${source}")
#: Where the links of rules.yaml lead, until somebody gives their own address.
DOCS = "https://example.org/decima"
#: What a dashboard is about: Grafana asks Prometheus for the values.
JOB = 'job=~"$job"'
MODEL = f'{JOB},model=~"$model"'
RANGE = "[$__rate_interval]"
HEIGHT, HALF, QUARTER = 8, 12, 6


def query(expression, legend="", form=None):
    target = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)
    return target.format(form) if form else target


def chart(title, description, unit, *targets, stacked=False, most=None):
    """Lines over the time; each target is an expression and its legend."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(HEIGHT)
        .span(HALF)
        .fill_opacity(30 if stacked else 0)
        .line_width(1)
        .show_points(model_common.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(model_common.LegendDisplayMode.LIST)
            .placement(model_common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(model_common.TooltipDisplayMode.MULTI))
    )
    if most is not None:
        panel = panel.max(most)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(model_common.StackingMode.NORMAL))
    for expression, legend in targets:
        panel = panel.with_target(query(expression, legend))
    return panel


def number(title, description, unit, expression, bad=None):
    """One number of now; from `bad` on it is red."""
    steps = [models.Threshold(value=None, color="green")]
    if bad is not None:
        steps.append(models.Threshold(value=bad, color="red"))
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(QUARTER)
        .color_mode("value")
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(query(expression))
    )


def density(title, description, unit, expression):
    """A histogram over the time."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(HEIGHT)
        .span(HALF)
        .unit(unit)
        .with_target(query(expression, "{{le}}", "heatmap"))
    )


def variable(name, label, values):
    """A choice above the panels, of what Prometheus knows."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(values)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".+")
        .multi(True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def board(uid, title, description, *, by_model=True):
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["decima"])
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .readonly()
        .link(
            dashboard.DashboardLink("Decima")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["decima"])
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(variable("job", "Job", "label_values(decima_build_info, job)"))
    )
    if by_model:
        values = f"label_values(decima_model_ready{{{JOB}}}, model)"
        made = made.with_variable(variable("model", "Model", values))
    return made


def rate(metric, matchers, by):
    return f"sum by ({by}) (rate({metric}{{{matchers}}}{RANGE}))"


def quantile(share, metric, matchers, by):
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{{matchers}}}{RANGE})))"


REQUESTS = "decima_request_duration_seconds_count"


def server():
    """All servers of a job: are they well, and have they room?"""
    return (
        board("decima", "Decima: servers", "Whether the servers are well, and what they use.", by_model=False)
        .with_panel(number("Servers", "That Prometheus reaches.", "none", f"sum(up{{{JOB}}})"))
        .with_panel(
            number(
                "Models not ready",
                "On any server: models of which no version is ready.",
                "none",
                f"count(max by (instance, model) (decima_model_ready{{{JOB}}}) == 0) or vector(0)",
                bad=1,
            )
        )
        .with_panel(number("Requests in progress", "", "none", f"sum(decima_in_flight_requests{{{JOB}}})"))
        .with_panel(
            number(
                "Errors",
                "Answers of 500 and above, as a share of all.",
                "percentunit",
                f'(sum(rate({REQUESTS}{{{JOB},code=~"5.."}}{RANGE})) or vector(0)) / '
                f"sum(rate({REQUESTS}{{{JOB}}}{RANGE}))",
                bad=0.01,
            )
        )
        .with_panel(
            chart(
                "Requests a second, by server",
                "Of all models together.",
                "reqps",
                (rate(REQUESTS, JOB, "instance"), "{{instance}}"),
            )
        )
        .with_panel(
            chart(
                "Answers a second, by status",
                "499: the client went away before its answer.",
                "reqps",
                (rate(REQUESTS, JOB, "code"), "{{code}}"),
                stacked=True,
            )
        )
        .with_panel(
            chart(
                "Refused a second, by reason",
                "docs/PROTOCOL.md lists the reasons. overloaded: the queue was full.",
                "reqps",
                (rate("decima_rejected_total", JOB, "reason"), "{{reason}}"),
                stacked=True,
            )
        )
        .with_panel(
            chart(
                "CPU, in cores",
                "Threads do not spin, so this is work.",
                "none",
                (rate("process_cpu_seconds_total", JOB, "instance"), "{{instance}}"),
            )
        )
        .with_panel(
            chart(
                "Memory",
                "In use by the process.",
                "bytes",
                (f"sum by (instance) (process_resident_memory_bytes{{{JOB}}})", "{{instance}}"),
            )
        )
        .with_panel(
            chart(
                "File descriptors, as a share of those allowed",
                "Each connection takes one.",
                "percentunit",
                (
                    f"max by (instance) (process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}})",
                    "{{instance}}",
                ),
            )
        )
        .with_panel(
            chart(
                "Versions",
                "Of the servers and of ONNX Runtime.",
                "none",
                (
                    f"count by (version, onnxruntime) (decima_build_info{{{JOB}}})",
                    "{{version}} on ONNX Runtime {{onnxruntime}}",
                ),
            )
        )
        .with_panel(
            chart(
                "Hours since the start",
                "A line that falls is a restart.",
                "h",
                (f"(time() - max by (instance) (process_start_time_seconds{{{JOB}}})) / 3600", "{{instance}}"),
            )
        )
    )


def model():
    """One model, or some: how quick are the answers, and what are they made of?"""
    return (
        board("decima-model", "Decima: models", "How quick the answers are, and what they are made of.")
        .with_panel(
            chart("Requests a second", "By protocol.", "reqps", (rate(REQUESTS, MODEL, "model, protocol"), "{{model}} {{protocol}}"))
        )
        .with_panel(
            chart(
                "Errors, as a share",
                "Answers of 500 and above.",
                "percentunit",
                (
                    f'sum by (model) (rate({REQUESTS}{{{MODEL},code=~"5.."}}{RANGE})) / '
                    f"sum by (model) (rate({REQUESTS}{{{MODEL}}}{RANGE}))",
                    "{{model}}",
                ),
            )
        )
        .with_panel(
            chart(
                "Answered within",
                "Half of the answers, and 99 of 100.",
                "s",
                (quantile(0.5, "decima_request_duration_seconds", MODEL, "model"), "{{model}} half"),
                (quantile(0.99, "decima_request_duration_seconds", MODEL, "model"), "{{model}} 99 %"),
            )
        )
        .with_panel(
            chart(
                "Slower than the objective",
                "Answers that took longer than 0.25 s, as a share of all. The alerts allow 1 % over a month.",
                "percentunit",
                (
                    f'1 - sum by (model) (rate(decima_request_duration_seconds_bucket{{{MODEL},code="200",le="0.25"}}{RANGE})) / '
                    f'sum by (model) (rate({REQUESTS}{{{MODEL},code="200"}}{RANGE}))',
                    "{{model}}",
                ),
            )
        )
        .with_panel(
            chart(
                "95 of 100 requests wait at most",
                "For their batch to start. Long waits: the replicas are too small or too few.",
                "s",
                (quantile(0.95, "decima_queue_duration_seconds", MODEL, "model"), "{{model}}"),
            )
        )
        .with_panel(
            chart(
                "Rows that wait",
                "Beyond --max-queue-rows for each server, requests are refused.",
                "none",
                (f"sum by (model) (decima_queue_rows{{{MODEL}}})", "{{model}}"),
            )
        )
        .with_panel(
            chart(
                "A batch takes",
                "Half of the batches, and 95 of 100.",
                "s",
                (quantile(0.5, "decima_compute_duration_seconds", MODEL, "model"), "{{model}} half"),
                (quantile(0.95, "decima_compute_duration_seconds", MODEL, "model"), "{{model}} 95 %"),
            )
        )
        .with_panel(
            chart(
                "Rows of a mean batch",
                "",
                "none",
                (
                    f"{rate('decima_batch_rows_sum', MODEL, 'model')} / "
                    f"{rate('decima_batch_rows_count', MODEL, 'model')}",
                    "{{model}}",
                ),
            )
        )
        .with_panel(
            chart(
                "Servers with the version ready",
                "Versions that were replaced are at 0.",
                "none",
                (f"sum by (model, version) (decima_model_ready{{{MODEL}}})", "{{model}} {{version}}"),
            )
        )
        .with_panel(
            chart(
                "Loading took",
                "The last load of each version, warming up included.",
                "s",
                (
                    f"max by (model, version) (decima_model_load_duration_seconds{{{MODEL}}})",
                    "{{model}} {{version}}",
                ),
            )
        )
        .with_panel(
            chart(
                "Runs stopped a second",
                "Nobody waited for them any more.",
                "none",
                (rate("decima_runs_stopped_total", MODEL, "model"), "{{model}}"),
            )
        )
        .with_panel(
            chart(
                "Runs that do not stop",
                "With four of them a version is not ready.",
                "none",
                (f"sum by (model) (decima_unstopped_runs{{{MODEL}}})", "{{model}}"),
            )
        )
    )


def digits():
    """What a classifier answers: the digits, or any model with labels."""
    predictions = "decima_predictions_total"
    share = (
        "{rate} / on (model) group_left () (sum by (model) (rate(decima_predictions_total{{{model}}}{range})) > 0)"
    )

    def shares(window):
        all_of = f"sum by (model, class) (rate({predictions}{{{MODEL}}}[{window}]))"
        return share.format(rate=all_of, model=MODEL, range=f"[{window}]")

    return (
        board("decima-digits", "Decima: predictions", "What models with labels answer, and how sure they are.")
        .with_panel(
            chart(
                "Share of each class",
                "Of the answers of now.",
                "percentunit",
                (shares("$__rate_interval"), "{{model}} {{class}}"),
                stacked=True,
                most=1,
            )
        )
        .with_panel(
            chart(
                "Rows a second, by class",
                "",
                "none",
                (rate(predictions, MODEL, "model, class"), "{{model}} {{class}}"),
                stacked=True,
            )
        )
        .with_panel(
            density(
                "Winning scores",
                "Rows a second by the score of the class that won.",
                "none",
                rate("decima_prediction_score_bucket", MODEL, "le"),
            )
        )
        .with_panel(
            chart(
                "How sure it is",
                "The mean of the winning scores, and the score that one of ten rows stays below.",
                "none",
                (
                    f"{rate('decima_prediction_score_sum', MODEL, 'model')} / "
                    f"{rate('decima_prediction_score_count', MODEL, 'model')}",
                    "{{model}} mean",
                ),
                (quantile(0.1, "decima_prediction_score", MODEL, "model"), "{{model}} lowest tenth"),
                most=1,
            )
        )
        .with_panel(
            chart(
                "Drift",
                "How far the shares of the last hour are from those of the last week: 0 the same, 1 no class in common.",
                "none",
                (f"sum by (model) (abs({shares('1h')} - {shares('1w')})) / 2", "{{model}}"),
                most=1,
            )
        )
        .with_panel(
            chart(
                "Corrections a second, by outcome",
                "Right answers that users sent (--feedback).",
                "none",
                (rate("decima_feedback_total", JOB, "model, outcome"), "{{model}} {{outcome}}"),
            )
        )
    )


DASHBOARDS = {"server": server, "model": model, "digits": digits}


def prometheus_rule(docs):
    """The alerts as an object of the Prometheus Operator: rules.yaml below `spec`, comments included."""
    rules = (HERE / "rules.yaml").read_text(encoding="utf-8").replace(DOCS, docs)
    groups = rules[rules.index("groups:\n") :]
    indented = "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(keepends=True))
    return f"""\
# The alerts of rules.yaml for the Prometheus Operator. Made by `make monitoring`: change rules.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: decima
spec:
{indented}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER")
    parser.add_argument("--docs", default=DOCS, metavar="ADDRESS")
    arguments = parser.parse_args()
    (arguments.out / "grafana").mkdir(parents=True, exist_ok=True)
    for name, made in DASHBOARDS.items():
        text = json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(made().build())), indent=2, sort_keys=True)
        (arguments.out / "grafana" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    rule = prometheus_rule(arguments.docs.rstrip("/"))
    (arguments.out / "prometheus-rule.yaml").write_text(rule, encoding="utf-8")


if __name__ == "__main__":
    main()
