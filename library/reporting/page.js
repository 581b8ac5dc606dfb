"use strict";
// Everything can be read without this script. It adds: contents, sorting, filters, the videos of a cell, the map.
const ROWS = 60; // of a long table, until more are asked for
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);

function contents() {
  const list = document.querySelector("nav ul");
  const links = all("main h2[id]").map((title) => {
    const link = make("a", { href: `#${title.id}`, textContent: title.textContent });
    const item = make("li");
    item.append(link);
    list.append(item);
    return [title, link];
  });
  const mark = () => {
    let current = null;
    for (const [title, link] of links) {
      link.removeAttribute("aria-current");
      if (title.getBoundingClientRect().top < 140) current = link;
    }
    if (current) current.setAttribute("aria-current", "true");
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}

const value = (cell) => {
  const text = cell.textContent.trim();
  const number = Number(text.replaceAll(",", ""));
  return text !== "" && !Number.isNaN(number) ? number : text;
};

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}

function sortable(table) {
  const body = table.tBodies[0];
  all("thead th", table).forEach((head, column) => {
    if (head.querySelector(".hidden")) return;
    const button = make("button", { className: "sort", type: "button", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numbers = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : numbers;
      all("thead th", table).forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
      rows.sort((a, b) => (descending ? compare(b[0], a[0]) : compare(a[0], b[0])));
      body.append(...rows.map((pair) => pair[1]));
      table.dispatchEvent(new Event("change"));
    });
  });
}

// Long tables show their first rows, a filter looks at all of them.
function shortened(table) {
  const body = table.tBodies[0];
  const total = body.rows.length;
  if (total <= 12) return;
  const name = table.dataset.filter;
  let most = total > ROWS + 10 ? ROWS : total;
  const input = make("input", { type: "search" });
  const label = make("label", { textContent: `Filter ${name} ` });
  const count = make("span", { className: "soft" });
  count.setAttribute("role", "status");
  const more = make("button", { type: "button", className: "more", textContent: `Show all ${total}` });
  label.append(input);
  const line = make("div", { className: "filter" });
  line.append(label, count);
  table.parentElement.before(line);
  table.parentElement.after(more);
  const show = () => {
    const asked = input.value.trim().toLowerCase();
    let found = 0;
    for (const row of body.rows) {
      const fits = !asked || row.textContent.toLowerCase().includes(asked);
      found += fits;
      row.hidden = !fits || found > most;
    }
    count.textContent = asked ? `${found} of ${total}` : "";
    more.hidden = found <= most;
  };
  input.addEventListener("input", show);
  table.addEventListener("change", show);
  more.addEventListener("click", () => { most = total; show(); });
  addEventListener("beforeprint", () => { most = total; show(); });
  show();
}

function playable(address) {
  return /\.(mp4|m4v|webm|mov|ogv)$/i.test(address);
}

function videoItem(data, number) {
  const [id, sure, address] = data.videos[number];
  const item = make("li");
  const picture = data.pictures[number];
  let shown = null;
  if (picture) {
    shown = make("img", { src: picture, alt: `middle frame of ${id}` });
    item.append(shown);
  }
  item.append(make("span", { className: "id", textContent: id }), make("br"), `${(100 * sure).toFixed(1)} % sure `);
  if (!address) return item;
  if (playable(address)) {
    const play = make("button", { type: "button", className: "link", textContent: "play" });
    play.setAttribute("aria-label", `play ${id}`);
    play.addEventListener("click", () => {
      const film = make("video", { src: address, controls: true, autoplay: true, muted: true });
      if (shown) shown.replaceWith(film); else item.prepend(film);
      play.remove();
    });
    item.append(play, " ");
  }
  const link = make("a", { href: address, textContent: "open", target: "_blank", rel: "noopener" });
  link.setAttribute("aria-label", `open ${id}`);
  item.append(link);
  return item;
}

function cells(data) {
  const dialog = document.querySelector("dialog");
  const [title, list, note] = ["h2", "ul", "p"].map((name) => dialog.querySelector(name));
  addEventListener("click", (event) => {
    const button = event.target.closest("[data-cell]");
    if (!button) return;
    const [count, ...numbers] = data.cells[button.dataset.cell] || [Number(button.textContent)];
    const [own, said] = button.dataset.cell.split("-").map((place) => data.labels[place]);
    title.textContent = own === said ? `${own}, recognised` : `${own}, said ${said}`;
    const kind = own === said ? "least sure" : "surest";
    note.textContent = numbers.length < count ? `${count} videos, the ${numbers.length} ${kind} shown` : `${count} video${count === 1 ? "" : "s"}, the ${kind} first`;
    list.replaceChildren(...numbers.map((number) => videoItem(data, number)));
    dialog.showModal();
  });
  dialog.addEventListener("close", () => list.replaceChildren());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

// One tab stop for the matrix; the arrow keys go to the next number in their direction.
function grid(table) {
  const buttons = all("button", table);
  if (!buttons.length) return;
  buttons.forEach((button, number) => { button.tabIndex = number ? -1 : 0; });
  const place = (button) => [button.closest("tr").rowIndex, button.closest("td").cellIndex];
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  table.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    const from = event.target.closest("button");
    if (!step || !from) return;
    event.preventDefault();
    const [row, column] = place(from);
    const next = buttons
      .map((button) => [button, place(button)])
      .filter(([, [y, x]]) => (y - row) * step[0] > 0 || (x - column) * step[1] > 0)
      .sort((one, other) => far(one[1]) - far(other[1]))[0];
    function far([y, x]) {
      return step[0] ? Math.abs(y - row) + 100 * Math.abs(x - column) : Math.abs(x - column) + 100 * Math.abs(y - row);
    }
    if (!next) return;
    from.tabIndex = -1;
    next[0].tabIndex = 0;
    next[0].focus();
  });
}

function map(box) {
  const told = box.querySelector(".told");
  const pick = document.querySelector("[data-map]");
  pick.parentElement.hidden = false;
  const labels = (point) => point.dataset.t.split(" ");
  const choose = (target) => {
    box.classList.toggle("chosen", target !== "");
    all(".p", box).forEach((point) => point.classList.toggle("on", labels(point).includes(target)));
  };
  pick.addEventListener("change", () => choose(pick.value));
  box.addEventListener("pointerover", (event) => {
    if (!event.target.dataset.told) return;
    told.textContent = event.target.dataset.told;
    choose(labels(event.target)[0]);
  });
  box.addEventListener("pointerout", () => { told.textContent = ""; choose(pick.value); });
}

contents();
all("table.sortable").forEach(sortable);
all("table[data-filter]").forEach(shortened);
all("table.matrix").forEach(grid);
all(".map").forEach(map);
cells(JSON.parse(document.getElementById("data").textContent));
addEventListener("beforeprint", () => all("details").forEach((each) => { each.open = true; }));
