"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const charts = [...document.querySelectorAll("[data-chart]")];
  const narrow = window.matchMedia("(max-width: 640px)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const buttons = [...document.querySelectorAll(".key button")];
  let picked = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // The figures carry no theme: text, grid and the matrix's scale take the colours of the page.
  function themed(figure) {
    const { data, layout } = structuredClone(figure);
    const ink = colour("--ink"), soft = colour("--soft"), grid = colour("--grid"), line = colour("--line");
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
      hoverlabel: { bgcolor: colour("--raised"), bordercolor: line, font: { color: ink, size: 13 }, align: "left" },
      dragmode: false,
    });
    for (const axis of [layout.xaxis, layout.yaxis]) {
      Object.assign(axis, { gridcolor: grid, linecolor: line, zeroline: false, fixedrange: true });
      if (axis.title) axis.title = { ...axis.title, standoff: 12, font: { color: soft, size: 13 } };
    }
    for (const trace of data) {
      if (trace.type === "heatmap") trace.colorscale = [[0, grid], [1, colour("--accent")]];
      if (trace.mode && trace.mode.includes("text")) trace.textfont = { color: ink, size: 12.5 };
      if (picked !== null && trace.meta) trace.opacity = trace.meta.entry === picked ? 1 : 0.1;
    }
    if (narrow.matches) {
      if (layout.width === undefined) thin(layout.xaxis);
      else shrink(layout);
      if (layout.width === undefined && layout.yaxis.ticktext) {
        layout.yaxis.ticktext = layout.yaxis.ticktext.map((name) => name.replaceAll(" &gt;&gt; ", "<br>&gt;&gt; "));
      }
      if ((layout.annotations || []).some((each) => each.name === "wide")) {
        layout.annotations = [];
        layout.margin.r = 14;
      }
      for (const trace of data) if (trace.mode === "markers+text") trace.mode = "markers";
    }
    return { data, layout };
  }

  // A matrix that nearly fits is made to fit; a larger one scrolls.
  function shrink(layout) {
    const excess = layout.width - charts[0].parentElement.clientWidth;
    if (excess > 0 && excess < 0.4 * layout.width) {
      layout.width -= excess;
      layout.height -= excess;
    }
  }

  // On a telephone fewer ticks are enough, and none is turned.
  function thin(axis) {
    axis.nticks = 4;
    axis.tickangle = 0;
    if (axis.type === "log" && axis.tickvals && axis.tickvals.length > 5) {
      const keep = (_, at) => at % 2 === 0;
      axis.tickvals = axis.tickvals.filter(keep);
      axis.ticktext = axis.ticktext.filter(keep);
    }
  }

  function draw() {
    for (const place of charts) {
      const { data, layout } = themed(figures[place.dataset.chart]);
      Plotly.react(place, data, layout, { displayModeBar: false, responsive: layout.width === undefined });
    }
  }

  function pick(name) {
    picked = picked === name ? null : name;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.entry === picked));
    draw();
  }

  for (const button of buttons) button.addEventListener("click", () => pick(button.dataset.entry));
  for (const query of [narrow, dark]) query.addEventListener("change", draw);
  draw();

  function sortBy(table, column) {
    const heading = table.tHead.rows[0].cells[column];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => {
      const text = row.cells[column].dataset.value;
      return text === "" ? null : Number(text);
    };
    const rows = [...table.tBodies[0].rows].sort((one, other) => {
      const a = value(one), b = value(other);
      if (a === null || b === null) return (a === null) - (b === null);
      return up ? a - b : b - a;
    });
    table.tBodies[0].append(...rows);
  }

  for (const table of document.querySelectorAll(".sortable")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      cell.querySelector("button").addEventListener("click", () => sortBy(table, column));
    });
  }
})();
