// Filter the cases, in the sections and in the lists above them. Without script all of them are shown.
const filter = document.getElementById("filter");
if (filter) {
  const boxes = [...filter.querySelectorAll("input")];
  const choices = [...filter.querySelectorAll("select")];
  const cases = [...document.querySelectorAll("[data-state]")];
  // A case may have several causes; anything else is one text, whatever it holds.
  const values = (element, name) => (name === "cause" ? element.dataset.cause.split("|") : [element.dataset[name]]);
  const matches = (element) =>
    (!boxes.length || boxes.some((box) => box.checked && box.value === element.dataset.state)) &&
    choices.every(({ name, value }) => !value || values(element, name).includes(value));
  const apply = () => {
    for (const element of cases) element.hidden = !matches(element);
    for (const section of document.querySelectorAll("main section:has([data-state])")) {
      section.hidden = !section.querySelector("[data-state]:not([hidden])");
    }
    // A case has an article, or a row where its images are left out.
    const articles = cases.filter((element) => element.matches("article, tr"));
    const shown = articles.filter((article) => !article.hidden).length;
    filter.querySelector("output").textContent = shown < articles.length ? `${shown} of ${articles.length} cases` : "";
  };
  // A link to a case that is filtered out must still lead there.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest("[hidden]")) {
      filter.reset();
      target.scrollIntoView();
    }
  };
  filter.hidden = false;
  filter.addEventListener("change", apply);
  filter.addEventListener("submit", (event) => event.preventDefault());
  // The event comes before the values are back.
  filter.addEventListener("reset", () => {
    for (const box of boxes) box.checked = true;
    for (const choice of choices) choice.value = "";
    apply();
  });
  addEventListener("hashchange", reveal);
  apply();
}
// A table that is wider than the screen can be reached and scrolled with the keyboard.
const tables = [...document.querySelectorAll(".scroll")];
const reach = () => {
  for (const table of tables) {
    const wide = table.scrollWidth > table.clientWidth;
    for (const [name, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": "wide table" })) {
      if (wide) table.setAttribute(name, value);
      else table.removeAttribute(name);
    }
  }
};
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);
reach();
// A button beside each command copies it.
for (const command of document.querySelectorAll("code.command")) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "Copy" });
  button.setAttribute("aria-label", `Copy the command ${command.textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // Without the right to write there, the command is marked, for the keyboard to copy.
      getSelection().selectAllChildren(command);
      button.textContent = "Marked: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = "Copy"), 3000);
  });
  command.after(button);
}
// Lay what was obtained over what was expected: the slider wipes, the button flips from one to the other.
for (const wipe of document.querySelectorAll(".wipe")) {
  const [expected, obtained] = wipe.closest(".row").querySelectorAll("figure:not(.wipe) img");
  const stack = wipe.querySelector(".stack");
  const slider = wipe.querySelector("input");
  const output = wipe.querySelector("output");
  const [below, above] = [expected, obtained].map((image) => image.cloneNode());
  const line = document.createElement("span");
  line.className = "line";
  const [left, right] = ["expected", "obtained"].map((word) => {
    const half = document.createElement("div");
    half.className = `half ${word}`;
    half.append(Object.assign(document.createElement("span"), { textContent: word }));
    return half;
  });
  stack.append(below, above, left, right, line);
  const show = () => {
    const share = Number(slider.value);
    above.style.clipPath = `inset(0 0 0 ${share}%)`;
    line.style.left = `${share}%`;
    // Each half carries its own name, which is cut off with it.
    left.style.width = `${share}%`;
    right.style.width = `${100 - share}%`;
    line.hidden = share === 0 || share === 100;
    const text = share === 0 ? "obtained" : share === 100 ? "expected" : `${share} % expected`;
    slider.setAttribute("aria-valuetext", text);
    output.textContent = text;
  };
  const drag = (event) => {
    const box = stack.getBoundingClientRect();
    slider.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show();
  };
  slider.addEventListener("input", show);
  wipe.querySelector("button").addEventListener("click", () => {
    slider.value = slider.value === "100" ? 0 : 100;
    show();
  });
  stack.addEventListener("pointerdown", (event) => {
    stack.setPointerCapture(event.pointerId);
    drag(event);
  });
  stack.addEventListener("pointermove", (event) => {
    if (stack.hasPointerCapture(event.pointerId)) drag(event);
  });
  wipe.hidden = false;
  show();
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
