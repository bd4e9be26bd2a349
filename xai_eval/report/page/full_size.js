// The images of a case at full size, one at a time; a click on an image, a button or a key opens it.
const dialog = document.getElementById("full");
const canvas = dialog.querySelector(".canvas");
const part = (name) => dialog.querySelector(`[name=${name}]`);
const LARGEST = 32;
let images = [];
let current = 0;
let scale = 0; // 0 fits the image into the window
const imagesOf = (article) => [...article.querySelectorAll("figure:not(.wipe) img:not(.base, .strip)")];
const fitting = (image) =>
  Math.min((canvas.clientWidth - 4) / Number(image.getAttribute("width")), (canvas.clientHeight - 4) / Number(image.getAttribute("height")));
const draw = () => {
  const image = canvas.firstElementChild;
  const shown = scale || fitting(image);
  image.style.width = `${Math.max(1, Math.round(shown * Number(image.getAttribute("width"))))}px`;
  image.style.aspectRatio = `${image.getAttribute("width")} / ${image.getAttribute("height")}`;
  dialog.querySelector(".size").textContent = `${Math.round(100 * shown)} %`;
};
const choose = (place) => {
  current = (place + images.length) % images.length;
  const own = images[current];
  const image = own.cloneNode();
  image.loading = "eager";
  image.style.opacity = "";
  canvas.replaceChildren(image);
  const caption = own.closest("figure").querySelector("figcaption").textContent;
  const about = own.closest("section.drift")?.querySelector("h4").textContent.split(":")[0];
  const name = own.closest("article").querySelector("h3").textContent;
  dialog.querySelector("h2").textContent = `${name} · ${about ? `${about}, ` : ""}${caption}`;
  dialog.querySelector(".place").textContent = `${current + 1} of ${images.length}`;
  draw();
};
const fullSize = (article, image = null) => {
  images = article ? imagesOf(article) : [];
  if (!images.length) return;
  if (image) article.querySelector("[name=full]").focus({ preventScroll: true });
  scale = 0;
  dialog.showModal();
  choose(image ? images.indexOf(image) : 0);
};
const resize = (factor) => {
  scale = Math.min(Math.max((scale || fitting(canvas.firstElementChild)) * factor, 0.1), LARGEST);
  draw();
};
const controls = {
  close: () => dialog.close(),
  back: () => choose(current - 1),
  on: () => choose(current + 1),
  smaller: () => resize(1 / 1.5),
  larger: () => resize(1.5),
  fit: () => ((scale = 0), draw()),
};
for (const [name, action] of Object.entries(controls)) part(name).addEventListener("click", action);
dialog.addEventListener("keydown", (event) => {
  const scrolls = event.target === canvas && canvas.scrollWidth > canvas.clientWidth;
  const keys = { "+": "larger", "-": "smaller", 0: "fit", ...(scrolls ? {} : { ArrowLeft: "back", ArrowRight: "on" }) };
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  controls[keys[event.key]]();
});
dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
dialog.addEventListener("close", () => canvas.replaceChildren());
addEventListener("resize", () => dialog.open && draw());
document.addEventListener("click", ({ target }) => {
  const article = target.closest("article");
  if (article && target.matches("figure:not(.wipe) img:not(.base, .strip)")) fullSize(article, target);
});
