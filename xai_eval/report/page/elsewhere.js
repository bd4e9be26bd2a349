// Cases on other pages: what is searched or chosen is looked up there, too, in a list that is loaded when it is first needed.
// Without script, the list of pages says where each case is.
const elsewhere = document.getElementById("elsewhere");

if (form && elsewhere) {
  const SHOWN = 50;
  const [list, output, byPage] = [".found", "output", ".pages"].map((part) => elsewhere.querySelector(part));
  const { nonce } = document.currentScript;
  let loading = null;
  const load = () => {
    loading ??= new Promise((resolve) => {
      const script = document.createElement("script");
      script.onload = script.onerror = () => resolve(typeof xaiEvalCases === "undefined" ? null : xaiEvalCases);
      script.nonce = nonce;
      script.src = elsewhere.dataset.cases;
      document.head.append(script);
    });
    return loading;
  };

  const wanted = () => {
    const states = [...form.querySelectorAll("[name=state]:checked")].map((box) => box.value);
    const choices = [...form.querySelectorAll("select[data-filter]")].filter((choice) => choice.value);
    const words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    return { states, choices, words, any: Boolean(states.length || choices.length || words.length) };
  };
  // A case has one value of each filter, and of the last, cause, a list of them.
  const fits = (all, { states, choices }) => {
    const at = (name) => all.filters.indexOf(name);
    return all.kinds.map(
      (kind) =>
        (!states.length || states.includes(kind[at("state")])) &&
        choices.every(({ name, value }) => [kind[at(name)]].flat().includes(value)),
    );
  };
  const search = (all, asked) => {
    const kinds = fits(all, asked);
    const told = all.kinds.map((kind) => kind.flat().join(" ").toLowerCase());
    const matches = ([kind, input, anchor]) =>
      kinds[kind] && asked.words.every((word) => told[kind].includes(word) || `${input} ${anchor}`.toLowerCase().includes(word));
    return all.pages
      .filter(({ file }) => file !== elsewhere.dataset.page)
      .map(({ file, cases }) => ({ file, found: cases.filter(matches) }))
      .filter(({ found }) => found.length);
  };

  const element = (name, attributes, ...children) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
  };
  const asked = () => location.hash.split("?")[1] ?? "";
  const place = (file, anchor) => `${file}#${encodeURIComponent(anchor)}`;
  const number = (file) => file.match(/-(\d+)\.html$/)?.[1] ?? "1";
  const item = (all, file, [kind, input, anchor]) => {
    const [task, state] = ["task", "state"].map((name) => all.kinds[kind][all.filters.indexOf(name)]);
    const link = element("a", { href: place(file, anchor) }, `${task}: ${input}`);
    return element("li", {}, link, element("span", { className: `badge ${state}` }, state), element("span", { className: "soft" }, `page ${number(file)}`));
  };
  const show = (all, pages) => {
    const every = pages.flatMap(({ file, found }) => found.slice(0, SHOWN).map((each) => [file, each]));
    const count = pages.reduce((sum, { found }) => sum + found.length, 0);
    const shown = every.slice(0, SHOWN);
    const first = count > shown.length ? `, of which these are the first ${shown.length}` : "";
    output.textContent = count ? `On other pages: ${count} ${count === 1 ? "case" : "cases"}${first}.` : "On other pages: none.";
    list.replaceChildren(...shown.map(([file, each]) => item(all, file, each)));
    const links = pages.map(({ file, found }) => element("a", { href: `${file}#?${asked()}` }, `page ${number(file)}: ${found.length}`));
    byPage.replaceChildren(...(count > shown.length ? links : []));
  };

  let turn = 0;
  const look = async () => {
    const now = wanted();
    const mine = ++turn;
    elsewhere.hidden = !now.any;
    if (!now.any) return;
    const all = await load();
    if (mine !== turn) return;
    if (all) show(all, search(all, now));
    else output.textContent = `Other pages are not searched: the file ${elsewhere.dataset.cases} is missing beside this page.`;
  };
  // The place among the cases is told after each search and choice, however it came about.
  new MutationObserver(look).observe(form.querySelector(".place"), { childList: true, characterData: true, subtree: true });
  look();

  // A link to a case leads to the page on which it is.
  const follow = async () => {
    const anchor = decodeURIComponent(location.hash.slice(1).split("?")[0]);
    if (!anchor || document.getElementById(anchor)) return;
    const all = await load();
    const page = all?.pages.find(({ cases }) => cases.some((each) => each[2] === anchor));
    if (page && page.file !== elsewhere.dataset.page) location.replace(place(page.file, anchor));
  };
  addEventListener("hashchange", follow);
  follow();
}
