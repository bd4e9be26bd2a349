// Filter the cases by state. Without script all of them are shown and the boxes stay hidden.
const filter = document.getElementById("filter");
if (filter) {
  const boxes = [...filter.querySelectorAll("input")];
  const apply = () => {
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    for (const article of document.querySelectorAll("article")) {
      article.hidden = !shown.has(article.dataset.state);
    }
  };
  // A link to a case that is filtered out must still lead there.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      boxes.find((box) => box.value === target.dataset.state).checked = true;
      apply();
      target.scrollIntoView();
    }
  };
  filter.hidden = false;
  filter.addEventListener("change", apply);
  addEventListener("hashchange", reveal);
  apply();
}
// Show only the units whose labels hold what is typed, and open the layers that have such units.
for (const units of document.querySelectorAll(".units")) {
  const input = units.querySelector("input");
  const output = units.querySelector("output");
  const rows = [...units.querySelectorAll("tr[data-concepts]")];
  const apply = () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.concepts.toLowerCase().includes(wanted);
    const found = rows.filter((row) => !row.hidden);
    output.textContent = wanted ? `${found.length} of ${rows.length} units` : "";
    for (const layer of units.querySelectorAll("details.layer")) {
      const some = found.some((row) => layer.contains(row));
      layer.hidden = Boolean(wanted) && !some;
      layer.open = Boolean(wanted) && some;
    }
  };
  units.querySelector(".unit-filter").hidden = false;
  input.addEventListener("input", apply);
}
