"""The figures of a run, in Plotly. Every one works on its own in a paper and inside the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ge_engine.notation import shown_dimension
from ge_engine.report import counts
from ge_engine.report.data import RunData
from ge_engine.report.drawing import Drawing, short
from ge_engine.report.lineage import lineage
from ge_engine.report.pareto import pareto
from ge_engine.report.theme import FATE_COLOURS, colour, label

MOST_GROUPS = 24
FEWEST = 5
ROW_HEIGHT = 26
Figures = Mapping[str, Drawing]


def draw(run: RunData) -> Figures:
    """All figures by name: pareto, hypervolume, checks, success-operator ... success-block, lineage."""
    figures = {"pareto": pareto(run), "hypervolume": hypervolume(run), "checks": checks(run)}
    for group in counts.GROUPS:
        figures[f"success-{group}"] = success(run, group)
    figures["lineage"] = lineage(run)
    return figures


def hypervolume(run: RunData) -> Drawing:
    """How much of the space between worst and best the front dominates, after each evaluation."""
    progress = counts.progress(run)
    count = list(range(1, len(progress.volumes) + 1))
    figure = go.Figure(
        go.Scatter(
            x=count,
            y=list(progress.volumes),
            mode="lines",
            line={"shape": "hv", "color": colour("front"), "width": 2.5},
            hovertemplate="after %{x:,} evaluations<br>hypervolume %{y:.4f}<extra></extra>",
        )
    )
    spaced = progress.starts[:: max(1, len(progress.starts) // 8)]
    for evaluation, generation in spaced:
        figure.add_vline(x=evaluation, line={"color": colour("grid"), "width": 1}, layer="below")
        figure.add_annotation(
            x=evaluation, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"g{generation}",
            font={"size": 11, "color": colour("faint")},
        )  # fmt: skip
    last = progress.volumes[-1] if progress.volumes else 0.0
    if count:
        figure.add_annotation(
            x=count[-1], y=last, text=f"{last:.3f}", showarrow=False, xanchor="right", yanchor="bottom",
            yshift=3, font={"color": colour("front"), "size": 14},
        )  # fmt: skip
    figure.update_xaxes(
        title_text="evaluations (scored models, the baseline first)", tickformat="~s", rangemode="tozero"
    )
    figure.update_yaxes(title_text="hypervolume (share of the box)", rangemode="tozero", tickformat=".2f")
    figure.update_layout(height=360, showlegend=False)
    first = progress.volumes[0] if progress.volumes else 0.0
    summary = f"From {first:.4f} for the baseline to {last:.4f} after {len(count):,} evaluations."
    return Drawing("Hypervolume over evaluations", summary, figure)


def checks(run: RunData) -> Drawing:
    """The checks as a funnel: how many children passed each."""
    steps = counts.check_pipeline(run)
    total = max(steps[0].passed, 1)
    figure = go.Figure(
        go.Bar(
            y=[label(step.name) for step in steps],
            x=[step.passed for step in steps],
            base=[-step.passed / 2 for step in steps],
            orientation="h",
            text=[_step_text(step, total) for step in steps],
            textposition="auto",
            insidetextanchor="middle",
            constraintext="none",
            textangle=0,
            customdata=[[step.passed, step.passed / total, step.lost] for step in steps],
            hovertemplate="%{y}: %{customdata[0]:,} left (%{customdata[1]:.1%}), "
            "%{customdata[2]:,} out<extra></extra>",
            marker={"color": [*[colour("trained")] * (len(steps) - 1), colour("front")]},
            insidetextfont={"color": "#0b1220"},
            outsidetextfont={"color": colour("ink")},
            cliponaxis=False,
        )
    )
    figure.update_xaxes(visible=False, range=[-0.52 * total, 0.52 * total])
    figure.update_yaxes(ticks="", showgrid=False, autorange="reversed")
    figure.update_layout(height=60 + 30 * len(steps), showlegend=False, bargap=0.12)
    figure.update_layout(margin={"t": 16, "b": 16})
    lost = ", ".join(f"{step.lost:,} at {step.name}" for step in steps[1:-3] if step.lost) or "none"
    summary = f"Of {steps[0].passed:,} children {steps[-3].passed:,} were scored; out: {lost}. "
    summary += "Improved: better than its parents, or on the front."
    return Drawing("From children to the front", summary, figure)


def success(run: RunData, group: counts.Group) -> Drawing:
    """What became of the children of each operator, mutation type, persona or block, as shares."""
    tallies = counts.success(run, group)
    shown = tallies[:MOST_GROUPS][::-1]
    figure = go.Figure()
    names = [f"{label(short(tally.name))}  <b>{tally.total:,}</b>" for tally in shown]
    for fate, (name, shade) in enumerate(zip(counts.FATES, FATE_COLOURS, strict=True)):
        number = [tally.fates[fate] for tally in shown]
        share = [n / tally.total for n, tally in zip(number, shown, strict=True)]
        figure.add_trace(
            go.Bar(
                y=names, x=share, orientation="h", name=name, customdata=number,
                marker={"color": colour(shade), "line": {"color": colour("outline"), "width": 1}},
                hovertemplate="%{y}<br>" + name + ": %{customdata:,} (%{x:.1%})<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="share of children", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(ticks="", showgrid=False)
    figure.update_layout(barmode="stack", bargap=0.25, height=120 + ROW_HEIGHT * max(len(shown), 2))
    figure.update_layout(legend={"traceorder": "normal"})
    rest = (
        f" Shown are the {MOST_GROUPS} with most children of {len(tallies)}."
        if len(tallies) > MOST_GROUPS
        else ""
    )
    return Drawing(f"Success by {shown_dimension(group)}", _most_successful(tallies) + rest, figure)


def _most_successful(tallies: Sequence[counts.Tally]) -> str:
    """The group whose children were most often better, among those with a fifth of the largest's children."""
    enough = [tally for tally in tallies if 5 * tally.total >= tallies[0].total and tally.total >= FEWEST]
    if len(enough) < 2:
        return f"Too few children to compare: fewer than two of these have {FEWEST} or more."
    best = max(enough, key=_gains)
    if not _gains(best):
        return "No child was better than its parents."
    number = best.fates[0] + best.fates[1]
    share = f"{number:,} of {best.total:,} ({_gains(best):.0%})"
    return f"Most often better than its parents or on the front: {best.name or 'none'}, {share}."


def _gains(tally: counts.Tally) -> float:
    return (tally.fates[0] + tally.fates[1]) / tally.total


def _step_text(step: counts.PipelineStep, total: int) -> str:
    lost = f"  −{step.lost:,}" if step.lost else ""
    return f"{step.passed:,} ({step.passed / total:.0%}){lost}"
