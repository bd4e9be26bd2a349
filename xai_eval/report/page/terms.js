// A term is explained when it is tapped, too, because a finger cannot rest on it.
const tip = document.getElementById("tip");
document.addEventListener("click", ({ target }) => {
  const term = target.closest("abbr.term, .badge[title]");
  tip.hidden = !term;
  if (!term) return;
  tip.textContent = term.title;
  const box = term.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const above = box.bottom + tip.offsetHeight + 8 > innerHeight;
  tip.style.left = `${Math.max(8, left) + scrollX}px`;
  tip.style.top = `${(above ? box.top - tip.offsetHeight - 4 : box.bottom + 4) + scrollY}px`;
});
document.addEventListener("keydown", ({ key }) => key === "Escape" && (tip.hidden = true));
