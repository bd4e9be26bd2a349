// Go from case to case, with buttons and with keys.
const step = (way) => {
  const shown = find.shown();
  if (!shown.length) return;
  const top = (form?.getBoundingClientRect().bottom ?? 0) + 8;
  const onScreen = (each) => {
    const box = each.getBoundingClientRect();
    return box.bottom > top && box.top < innerHeight;
  };
  let place = shown.indexOf(find.here);
  // After scrolling away, the first case on the screen counts.
  if (place < 0 || !onScreen(shown[place])) {
    const first = shown.findIndex((each) => each.getBoundingClientRect().bottom > top);
    place = first < 0 ? shown.length - (way < 0 ? 0 : 1) : first - (way > 0 ? 1 : 0);
    if (first >= 0 && way > 0 && shown[first].getBoundingClientRect().top < top - 16) place = first;
  }
  find.go(shown[Math.min(Math.max(place + way, 0), shown.length - 1)].id, "replaceState");
};
const typing = (target) => target.closest("input:not([type=checkbox], [type=range]), select, textarea");
if (form) {
  form.elements.next.addEventListener("click", () => step(1));
  form.elements.previous.addEventListener("click", () => step(-1));
  const { q } = form.elements;
  q.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    q.value = "";
    q.dispatchEvent(new Event("input", { bubbles: true }));
    q.blur();
  });
  const focusSearch = () => {
    q.focus();
    q.select();
  };
  const actions = { j: () => step(1), k: () => step(-1), "/": focusSearch, f: () => fullSize(find.here ?? find.shown()[0]) };
  document.addEventListener("keydown", (event) => {
    const other = event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]");
    if (other || !find.keys || typing(event.target) || !Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  });
}
