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
