// The maps of a case: one slider lays what was obtained over what was expected, one makes all maps fainter over the image,
// and a box shows the maps without the image.
const seen = ":not(.base)";
const make = (tag, className, more = {}) => Object.assign(document.createElement(tag), { className, ...more });

// A map and a copy of the image below it.
const layered = (image, photo) => {
  const layers = make("span", "layers");
  image.replaceWith(layers);
  layers.append(copy(photo, "base"), image);
};
const copy = (image, className) => {
  const made = image.cloneNode();
  made.className = className;
  made.alt = "";
  delete made.dataset.alone;
  return made;
};

// A figure in which a line divides what was expected from what was obtained.
const wipeFigure = (row) => {
  const [expected, obtained] = row.querySelectorAll("figure img");
  const figure = make("figure", "wipe");
  const stack = make("div", `stack${expected.classList.contains("coarse") ? " coarse" : ""}`);
  const halves = ["expected", "obtained"].map((word) => {
    const half = make("div", `half ${word}`);
    half.append(make("span", "", { textContent: word }));
    return half;
  });
  const maps = [expected, obtained].map((image) => {
    const made = image.cloneNode();
    made.alt = "";
    return made;
  });
  stack.append(...maps, ...halves, make("span", "line"));
  figure.append(make("figcaption", "", { textContent: "compare" }), stack);
  row.append(figure);
  return stack;
};
const divide = (stack, share) => {
  const [expected, obtained] = stack.querySelectorAll(`img${seen}`);
  // Neither lies over the other, so that both can be faint.
  expected.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  obtained.style.clipPath = `inset(0 0 0 ${share}%)`;
  stack.querySelector(".line").style.left = `${share}%`;
  stack.querySelector(".line").hidden = share === 0 || share === 100;
  // Each half carries its own name, which is cut off with it.
  stack.querySelector(".half.expected").style.width = `${share}%`;
  stack.querySelector(".half.obtained").style.width = `${100 - share}%`;
};

const prepare = (article) => {
  const first = article.querySelector("figure img");
  if (!first) return;
  const tools = document.getElementById("tools").content.cloneNode(true).firstElementChild;
  const control = (name) => tools.querySelector(`[name=${name}]`);
  const heading = article.querySelector("h3").textContent;
  tools.setAttribute("aria-label", `Images of ${heading}`);
  control("full").addEventListener("click", () => fullSize(article));
  (first.closest("section.drift") ?? first.closest(".row, .curves")).before(tools);

  const stacks = [...article.querySelectorAll("[data-wipes]")].map(wipeFigure);
  const output = tools.querySelector("output");
  const slider = control("wipe");
  const wipe = () => {
    const share = Number(slider.value);
    for (const stack of stacks) divide(stack, share);
    const text = share === 0 ? "obtained" : share === 100 ? "expected" : `${share} % expected`;
    slider.setAttribute("aria-valuetext", text);
    output.textContent = text;
  };
  for (const each of tools.querySelectorAll(".both")) each.hidden = !stacks.length;
  if (stacks.length) wipe();
  slider.addEventListener("input", wipe);
  control("switch").addEventListener("click", () => {
    slider.value = slider.value === "100" ? 0 : 100;
    wipe();
  });
  for (const stack of stacks) {
    const drag = (event) => {
      const box = stack.getBoundingClientRect();
      slider.value = Math.round((100 * (event.clientX - box.left)) / box.width);
      wipe();
    };
    stack.addEventListener("pointerdown", (event) => {
      stack.setPointerCapture(event.pointerId);
      drag(event);
    });
    stack.addEventListener("pointermove", (event) => {
      if (stack.hasPointerCapture(event.pointerId)) drag(event);
    });
  }

  const maps = [...article.querySelectorAll("img[data-alone]")];
  const photo = article.querySelector(".panels img:not([data-alone], .coarse)");
  for (const each of tools.querySelectorAll(".over")) each.hidden = !maps.length || !photo;
  if (!maps.length || !photo) return;
  let apart = false;
  const fade = () => {
    if (!apart) {
      for (const image of maps) if (!image.closest(".stack")) layered(image, photo);
      for (const stack of stacks) stack.prepend(copy(photo, "base"));
      apart = true;
    }
    const share = control("strength").value / 100;
    control("strength").setAttribute("aria-valuetext", `${control("strength").value} % map`);
    for (const image of maps) image.style.opacity = share;
  };
  control("strength").addEventListener("input", fade);
  control("alone").addEventListener("change", ({ target }) => {
    control("strength").disabled = target.checked;
    for (const image of maps) {
      image.dataset.drawn ??= image.src;
      image.style.aspectRatio = `${image.getAttribute("width")} / ${image.getAttribute("height")}`;
      image.style.opacity = target.checked ? 1 : control("strength").value / 100;
      image.src = target.checked ? image.dataset.alone : image.dataset.drawn;
    }
  });
};
for (const article of document.querySelectorAll("article")) prepare(article);
// Images beside the page may have been left behind.
document.addEventListener(
  "error",
  ({ target }) => {
    const told = document.getElementById("beside");
    if (!target.matches?.("img") || !told || told.classList.contains("missing")) return;
    told.classList.add("missing");
    told.append(" Some of these files are missing here.");
  },
  true,
);
