"use strict";
// The page is whole without this: it adds the legend's switches, what a pointer reads, and the order of the table.
(() => {
  const charts = document.querySelector(".charts");
  const buttons = [...document.querySelectorAll(".legend [data-entry]")];
  const LINE = 17;

  // Names at the side of a plot stay apart, whichever of them are to be seen.
  function spread(plot) {
    const height = plot.querySelector(".frame").clientHeight;
    const names = [...plot.querySelectorAll(".series:not(.off) svg.name")];
    if (!height || !plot.classList.contains("aside")) return;
    const places = names.map((name) => ({ name, y: Number(name.dataset.place) / 100 * height }));
    places.sort((one, other) => one.y - other.y);
    const gap = Math.min(LINE, height / Math.max(places.length - 1, 1));
    places.forEach((each, at) => { if (at) each.y = Math.max(each.y, places[at - 1].y + gap); });
    for (let at = places.length - 1, low = height; at >= 0; at--, low -= gap) places[at].y = Math.min(places[at].y, low);
    for (const { name, y } of places) name.setAttribute("y", `${100 * y / height}%`);
  }

  function show(button, on) {
    button.setAttribute("aria-pressed", String(on));
    for (const series of charts.querySelectorAll(`.series.${button.dataset.entry}`)) {
      if (series.closest(".plot").classList.contains("aside")) series.classList.toggle("off", !on);
    }
  }

  function lift(entry) {
    for (const series of charts.querySelectorAll(".series")) series.classList.toggle("over", series.dataset.entry === entry);
    if (entry) charts.dataset.over = "";
    else delete charts.dataset.over;
  }

  const spreadAll = () => document.querySelectorAll(".plot").forEach(spread);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      show(button, button.getAttribute("aria-pressed") !== "true");
      spreadAll();
    });
    button.addEventListener("pointerenter", () => lift(button.dataset.entry));
    button.addEventListener("pointerleave", () => lift(null));
    button.addEventListener("focus", () => button.matches(":focus-visible") && lift(button.dataset.entry));
    button.addEventListener("blur", () => lift(null));
  }
  const all = document.querySelector("[data-all]");
  if (all) {
    const first = buttons.map((button) => button.getAttribute("aria-pressed") === "true");
    all.addEventListener("click", () => {
      const on = all.getAttribute("aria-pressed") !== "true";
      all.setAttribute("aria-pressed", String(on));
      all.textContent = on ? "show the best" : "show all";
      buttons.forEach((button, at) => show(button, on || first[at]));
      spreadAll();
    });
  }
  for (const radio of document.querySelectorAll("[name=axis]")) radio.addEventListener("change", spreadAll);
  window.addEventListener("resize", spreadAll);
  spreadAll();

  // A pointer reads the nearest point of what is to be seen.
  for (const plot of document.querySelectorAll(".plot")) {
    const frame = plot.querySelector(".frame"), tip = plot.querySelector(".tip");
    const tips = [...plot.querySelectorAll(".series")].map((series) => [series, JSON.parse(series.dataset.tips)]);
    const hide = () => { tip.hidden = true; };
    const read = (event) => {
      const box = frame.getBoundingClientRect();
      const across = event.clientX - box.left, down = event.clientY - box.top;
      let best = null, least = 40;
      for (const [series, points] of tips) {
        if (series.classList.contains("off")) continue;
        for (const [x, y, text] of points) {
          const far = Math.hypot(x / 100 * box.width - across, y / 100 * box.height - down);
          if (far < least) { least = far; best = { series, x, y, text }; }
        }
      }
      if (!best) { hide(); return; }
      const title = document.createElement("b");
      title.textContent = best.series.dataset.title;
      tip.replaceChildren(title, best.text);
      tip.hidden = false;
      const left = frame.getBoundingClientRect().left - plot.getBoundingClientRect().left + best.x / 100 * box.width;
      const room = plot.clientWidth - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(left + 14, room))}px`;
      tip.style.top = `${Math.max(0, best.y / 100 * box.height - tip.offsetHeight - 12)}px`;
    };
    frame.addEventListener("pointermove", read);
    frame.addEventListener("pointerdown", read);
    frame.addEventListener("pointerleave", hide);
  }

  // On a map a pointer sees the row of the nearest dot, and a group of the legend stands out when it is pressed.
  const sheet = document.getElementById("rows");
  const rows = sheet ? JSON.parse(sheet.dataset.rows) : [];
  function row(kind, payload) {
    if (kind === "image" && payload.startsWith("data:image/")) {
      const image = document.createElement("img");
      image.src = payload;
      image.alt = "";
      return image;
    }
    const text = kind === "table" ? Object.entries(payload).map(([name, value]) => `${name} ${value}`).join("\n") : payload;
    return document.createTextNode(String(text));
  }
  for (const map of document.querySelectorAll(".map")) {
    const frame = map.querySelector("svg"), tip = map.querySelector(".tip");
    const points = JSON.parse(map.dataset.points), groups = JSON.parse(map.dataset.groups);
    const hide = () => { tip.hidden = true; };
    const read = (event) => {
      const box = frame.getBoundingClientRect(), unit = box.width / 1040;
      const across = event.clientX - box.left, down = event.clientY - box.top;
      let best = null, least = 24;
      for (const point of points) {
        if (map.dataset.only !== undefined && groups[point[2]] !== map.dataset.only) continue;
        const far = Math.hypot((point[0] + 20) * unit - across, (point[1] + 20) * unit - down);
        if (far < least) { least = far; best = point; }
      }
      if (!best) { hide(); return; }
      const title = document.createElement("b");
      title.textContent = [best[2] >= 0 ? groups[best[2]] : "", best[4] || ""].filter(Boolean).join(" · ");
      tip.replaceChildren(title, ...(best[3] >= 0 ? [row(...rows[best[3]])] : []));
      tip.hidden = false;
      tip.style.left = `${Math.max(0, Math.min((best[0] + 20) * unit + 14, map.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = `${Math.max(0, (best[1] + 20) * unit - tip.offsetHeight - 10)}px`;
    };
    frame.addEventListener("pointermove", read);
    frame.addEventListener("pointerdown", read);
    frame.addEventListener("pointerleave", hide);
    for (const button of map.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        for (const other of map.querySelectorAll("button")) other.setAttribute("aria-pressed", String(on && other === button));
        if (on) map.dataset.only = button.dataset.group;
        else delete map.dataset.only;
        for (const group of map.querySelectorAll("g")) group.classList.toggle("only", on && group.dataset.group === button.dataset.group);
      });
    }
  }

  function sortBy(table, column) {
    const headings = table.tHead.rows[0].cells, heading = headings[column];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const cell of headings) cell.removeAttribute("aria-sort");
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

  for (const name of document.querySelectorAll(".ways .name")) {
    name.addEventListener("click", () => name.classList.toggle("whole"));
  }

  for (const table of document.querySelectorAll(".sortable")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = cell.querySelector("button");
      if (button) button.addEventListener("click", () => sortBy(table, column));
    });
  }
})();
