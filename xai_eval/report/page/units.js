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
