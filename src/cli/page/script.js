"use strict";
const data = JSON.parse(document.getElementById("references").textContent);
const panel = document.getElementById("panel");
const back = data.to.map(() => []);
data.to.forEach((to, from) => to.forEach(n => back[n].push(from)));
function list(title, numbers) {
  const part = document.createElement("div");
  const head = document.createElement("strong");
  head.textContent = title + ": " + (numbers.length || "nothing");
  const items = document.createElement("ul");
  numbers.slice(0, 200).forEach(n => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = "#c" + n;
    link.dataset.n = n;
    link.className = "mono";
    link.textContent = data.paths[n];
    item.append(link);
    items.append(item);
  });
  part.append(head, items);
  return part;
}
function pick(n) {
  document.querySelectorAll(".hit,.pick").forEach(e => e.classList.remove("hit", "pick"));
  const mark = (m, name) => document.querySelectorAll('[data-n="' + m + '"] .cell').forEach(e => e.classList.add(name));
  mark(n, "pick");
  data.to[n].forEach(m => mark(m, "hit"));
  const title = document.createElement("div");
  title.className = "mono";
  title.textContent = data.paths[n];
  panel.replaceChildren(title, list("refers to", data.to[n]), list("referred to by", back[n]));
  panel.hidden = false;
}
document.addEventListener("click", event => {
  const link = event.target.closest("a[data-n]");
  if (!link) return;
  const n = Number(link.dataset.n);
  const row = document.getElementById("c" + n);
  if (!link.closest("svg") && row) {
    const layer = row.closest("details");
    if (layer) layer.open = true;
  } else if (link.closest("svg")) {
    event.preventDefault();
  }
  pick(n);
});
