"use strict";
// A task of a map that is pointed at, tapped or focused: its values after every step, and its video if there is one.

function cell(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function about(task, steps) {
  const parts = [document.createElement("div")];
  parts[0].append(cell("h4", task.name));
  const table = parts[0].appendChild(document.createElement("table"));
  steps.forEach((words, k) => {
    const row = table.insertRow();
    row.append(cell("th", words), cell("td", task.values[k]));
  });
  const film = task.film && document.getElementById(task.film);
  if (film) {
    const video = document.createElement("video");
    Object.assign(video, { src: film.src, muted: true, loop: true, autoplay: true, playsInline: true, controls: true });
    parts.push(video);
  }
  return parts;
}

for (const map of document.querySelectorAll(".task-map")) {
  const { steps, tasks } = JSON.parse(map.querySelector("script").textContent);
  const detail = map.querySelector(".detail");
  const drawings = [...map.querySelectorAll("svg.chart, svg.plane")];
  const last = [...drawings.at(-1).querySelectorAll(".task")];
  let chosen = -1;

  const choose = (number) => {
    if (number === chosen) return;
    chosen = number;
    for (const each of map.querySelectorAll(".task")) each.classList.toggle("chosen", each.dataset.task === String(number));
    detail.replaceChildren(...about(tasks[number], steps));
  };

  for (const drawing of drawings) {
    const marks = [...drawing.querySelectorAll(".task circle")];
    const nearest = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
      const distance = (mark) => Math.hypot(mark.cx.baseVal.value - at.x, mark.cy.baseVal.value - at.y);
      const best = marks.reduce((one, other) => (distance(other) < distance(one) ? other : one), marks[0]);
      if (best && distance(best) < 30) choose(Number(best.parentNode.dataset.task));
    };
    drawing.addEventListener("pointermove", nearest);
    drawing.addEventListener("click", nearest);
  }

  // One stop of the Tab key; arrow keys go on from there.
  last.forEach((task, i) => {
    task.setAttribute("tabindex", i ? -1 : 0);
    task.addEventListener("focus", () => choose(Number(task.dataset.task)));
    task.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = last[(i + step + last.length) % last.length];
      task.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    });
  });
}
