// Find cases: search, states, filters and the order. All of it stays in the address, after a `?` behind the name of a case.
// Without script all cases are shown.
const form = document.getElementById("filter");
const cases = [...document.querySelectorAll("article[data-state], tr[data-state]")];
const byId = new Map(cases.map((each) => [each.id, each]));
const find = { ordered: cases, shown: () => find.ordered.filter((each) => !each.hidden), here: null, keys: true };
// Go to a part of the page, even if it is filtered out.
find.go = (id) => document.getElementById(id)?.scrollIntoView();

if (form) {
  const { q, sort, keys } = form.elements;
  const boxes = [...form.querySelectorAll("[name=state]")];
  const choices = [...form.querySelectorAll("select[data-filter]")];
  const listed = [...document.querySelectorAll("[data-of]")];
  const marked = "[data-state], [data-of]";
  const sections = [...document.querySelectorAll(`main section:has(${marked})`)];
  // What each section holds; looked up once per order, because it takes long in a long page.
  const held = () => sections.map((each) => [each, [...each.querySelectorAll(marked)]]);
  let holds = held();
  const flat = document.getElementById("in-order");
  const homes = [...document.querySelectorAll(".cases")].map((home) => [home, [...home.children]]);
  const tables = [...document.querySelectorAll(".without-images tbody")].map((body) => [body, [...body.children]]);
  const ranks = new Map(boxes.map((box, rank) => [box.value, rank]));

  // What is searched in a case. It is read when it is first needed.
  const texts = new Map();
  const said = ".head, .about, .says, .audit, dl.facts";
  const read = (each) =>
    each.matches("tr") ? each.textContent : [...each.querySelectorAll(said)].map((part) => part.textContent).join(" ");
  const text = (each) => {
    if (!texts.has(each)) {
      const { task, model, state, severity, cause } = each.dataset;
      texts.set(each, [task, model, state, severity, cause, read(each)].join(" ").toLowerCase());
    }
    return texts.get(each);
  };

  // A case may have several causes; anything else is one text, whatever it holds.
  const values = (each, name) => (name === "cause" ? each.dataset.cause.split("|") : [each.dataset[name]]);
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const words = () => q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matcher = () => {
    const [states, wanted] = [chosen(), words()];
    const filters = choices.filter((choice) => choice.value);
    return (each) =>
      (!states.length || states.includes(each.dataset.state)) &&
      filters.every(({ name, value }) => values(each, name).includes(value)) &&
      wanted.every((word) => text(each).includes(word));
  };
  const filter = () => {
    const matches = matcher();
    for (const each of cases) each.hidden = !matches(each);
    for (const item of listed) item.hidden = byId.get(item.dataset.of)?.hidden ?? false;
    for (const [section, own] of holds) section.hidden = own.every((each) => each.hidden);
    flat.hidden = [...flat.children].every((each) => each.hidden);
  };

  const collator = new Intl.Collator(undefined, { numeric: true });
  const name = (each) => each.querySelector("h3, th").textContent;
  const distance = (each) => Number(each.dataset.distance.replace("inf", "Infinity"));
  // The order of the page, by task and then the worst first, decides between cases that are equal.
  const orders = {
    distance: () => distance,
    state: () => (each) => -ranks.get(each.dataset.state),
    name: () => {
      const sorted = [...cases].sort((a, b) => collator.compare(name(a), name(b)));
      const places = new Map(sorted.map((each, place) => [each, -place]));
      return (each) => places.get(each);
    },
  };
  let order = "";
  const arrange = () => {
    if (sort.value === order) return;
    order = sort.value;
    const key = orders[order]?.();
    const sorted = (every) => (key ? [...every].sort((a, b) => key(b) - key(a) || 0) : every);
    for (const [body, rows] of tables) body.append(...sorted(rows));
    if (key) flat.append(...sorted(cases.filter((each) => each.matches("article"))));
    else for (const [home, own] of homes) home.append(...own);
    find.ordered = [...document.querySelectorAll("article[data-state], tr[data-state]")];
    holds = held();
  };

  const active = () => Boolean(chosen().length || q.value.trim() || choices.some((choice) => choice.value));
  const tell = () => {
    const shown = find.shown();
    const place = shown.indexOf(find.here) + 1;
    const found = shown.length < cases.length ? `${shown.length} of ${cases.length}` : `${cases.length}`;
    form.querySelector(".place").textContent = `${place ? `${place} / ` : ""}${found} cases`;
    form.querySelector("[type=reset]").hidden = !active() && !sort.value;
  };
  const apply = () => {
    arrange();
    filter();
    find.keys = keys.checked;
    tell();
  };

  // The address: "#case?q=...&state=drift,error&sort=name".
  const decoded = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const address = () => {
    const cut = location.hash.indexOf("?");
    const anchor = decoded(location.hash.slice(1, cut < 0 ? undefined : cut));
    return { anchor, asked: new URLSearchParams(cut < 0 ? "" : location.hash.slice(cut + 1)) };
  };
  const query = () => {
    const asked = new URLSearchParams();
    if (q.value.trim()) asked.set("q", q.value.trim());
    if (chosen().length) asked.set("state", chosen().join(","));
    for (const each of [sort, ...choices]) if (each.value) asked.set(each.name, each.value);
    if (!keys.checked) asked.set("keys", "off");
    return String(asked);
  };
  const remember = (how, anchor) => {
    const asked = query();
    const now = `#${anchor}${asked ? `?${asked}` : ""}`;
    if (now !== (location.hash || "#")) history[how](null, "", now);
  };
  const restore = () => {
    const { anchor, asked } = address();
    const states = (asked.get("state") ?? "").split(",");
    for (const box of boxes) box.checked = states.includes(box.value);
    q.value = asked.get("q") ?? "";
    for (const each of [sort, ...choices]) {
      const wanted = asked.get(each.name) ?? "";
      each.value = [...each.options].some((option) => option.value === wanted) ? wanted : "";
    }
    keys.checked = asked.get("keys") !== "off";
    apply();
    if (anchor) show(anchor);
  };

  const clear = () => {
    for (const box of boxes) box.checked = false;
    for (const each of [q, sort, ...choices]) each.value = "";
    apply();
  };
  // What is jumped to must not lie below the bar.
  const measure = () => document.documentElement.style.setProperty("--bar", `${form.offsetHeight}px`);
  // A link to a case that is filtered out must still lead there.
  const show = (id) => {
    const target = document.getElementById(id);
    if (!target) return;
    if (target.closest("[hidden]")) clear();
    if (target.matches("[data-state]")) {
      find.here?.classList.remove("here");
      find.here = target;
      target.classList.add("here");
    }
    if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
    tell();
    measure();
    target.focus({ preventScroll: true });
    target.scrollIntoView();
  };
  find.go = (id, how = "pushState") => {
    show(id);
    remember(how, id);
  };

  form.hidden = false;
  new ResizeObserver(measure).observe(form);
  let searching = false; // One step back undoes a whole search, not one letter of it.
  q.addEventListener("input", () => {
    apply();
    remember(searching ? "replaceState" : "pushState", "");
    searching = true;
  });
  form.addEventListener("change", ({ target }) => {
    if (target === q) searching = false;
    else apply();
    remember("pushState", "");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    clear();
    remember("pushState", "");
    q.focus();
  });
  addEventListener("popstate", restore);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    find.go(decoded(link.getAttribute("href").slice(1)));
  });
  restore();
}
