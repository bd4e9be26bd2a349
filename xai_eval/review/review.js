// Buttons on the served copy of a page: each decision is sent to the server that `xai-eval review` started.
(() => {
"use strict";
const review = JSON.parse(document.getElementById("review-document").textContent);
const WORDS = { accept: "Accept", reject: "Reject", quarantine: "Quarantine" };
const ASKED = {
  accept: "The obtained result becomes the golden. Why is it right?",
  reject: "The result is wrong. No golden changes, and the case fails until it is mended. Why is it wrong?",
  quarantine: "The case may fail until the last day without failing the run. Why can it not be mended now?",
};
const cases = new Map(review.cases.map((each) => [each.anchor, each]));
// All text is set as text, whatever names of classes, files and people hold.
const element = (name, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
};
const told = element("output", { className: "soft" });

const dialog = element("dialog", { id: "review-dialog" });
dialog.setAttribute("aria-labelledby", "review-title");
document.body.append(dialog);

const field = (text, input) => ({ input, label: element("label", {}, text, input) });

// Ask for what a decision needs, send it, and show what became of it. The dialog stays open if it is refused.
const ask = (kind, chosen) => {
  const one = chosen.length === 1 ? chosen[0].name : `${chosen.length} cases`;
  const title = element("h2", { id: "review-title", textContent: `${WORDS[kind]} ${one}` });
  const list = element("ul", { tabIndex: 0 }, ...chosen.map(({ name }) => element("li", { textContent: name })));
  list.setAttribute("aria-label", "cases");
  const reason = field(ASKED[kind], element("textarea", { required: true, rows: 3, maxLength: 2000 }));
  const owner = field("Owner, who will repair it", element("input", { required: true, value: review.owner, maxLength: 200 }));
  const day = { type: "date", required: true, min: review.first, max: review.last };
  const expires = field(`Last day, at the latest ${review.last}`, element("input", day));
  const many = kind === "accept" && chosen.length > review.bulk_above;
  const sure = element("input", { type: "checkbox", required: true });
  const bulk = element("label", {}, sure, ` I looked at all ${chosen.length} of them.`);
  const wrong = element("p", { className: "wrong" });
  wrong.setAttribute("role", "alert");
  const send = element("button", { type: "submit", textContent: `${WORDS[kind]} ${one}` });
  const cancel = element("button", { type: "button", textContent: "Cancel" });
  cancel.addEventListener("click", () => dialog.close());
  const asked = [reason.label, ...(kind === "quarantine" ? [owner.label, expires.label] : []), ...(many ? [bulk] : [])];
  const buttons = element("p", { className: "review" }, send, cancel);
  const form = element("form", {}, title, ...(chosen.length > 1 ? [list] : []), ...asked, wrong, buttons);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    wrong.textContent = "";
    try {
      const sent = { kind, reason: reason.input.value, cases: Object.fromEntries(chosen.map(({ key, seen }) => [key, seen])) };
      if (many) sent.bulk = sure.checked;
      if (kind === "quarantine") Object.assign(sent, { owner: owner.input.value, expires: expires.input.value });
      const body = JSON.stringify(sent);
      const answer = await fetch("decide", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      const { error, sentence } = await answer.json();
      if (error) throw new Error(error);
      settle(kind, chosen, reason.input.value, sentence);
      dialog.close();
    } catch (error) {
      // Without an answer, the terminal may have ended the server.
      const gone = "the server does not answer. Is xai-eval review still running?";
      wrong.textContent = `Not done: ${error instanceof TypeError ? gone : error.message}`;
      send.disabled = false;
    }
  });
  dialog.replaceChildren(form);
  dialog.showModal();
  reason.input.focus();
};

// What was decided is said in place of the buttons. The page itself shows it after it is loaded again.
const DONE = { accept: "Accepted", reject: "Rejected", quarantine: "In quarantine" };
const settle = (kind, chosen, reason, sentence) => {
  for (const { anchor } of chosen) {
    cases.delete(anchor);
    const bar = document.getElementById(`review--${anchor}`);
    if (bar) bar.replaceChildren(element("strong", { textContent: `${DONE[kind]}: ` }), element("span", { textContent: reason }));
  }
  told.textContent = `Done: ${sentence}. Reload the page to see the run as it is now.`;
  count();
};

// A row of buttons for the cases that `find` returns when one is pressed.
const bars = [];
const bar = (words, find, name) => {
  const buttons = Object.entries(WORDS).map(([kind, word]) => {
    const button = element("button", { type: "button" });
    button.addEventListener("click", () => {
      const chosen = find().filter((each) => each.may.includes(kind));
      if (chosen.length) ask(kind, chosen);
    });
    return { kind, word, button };
  });
  const count = () => {
    for (const { kind, word, button } of buttons) {
      const number = find().filter((each) => each.may.includes(kind)).length;
      if (button.hidden === Boolean(number)) button.hidden = !number; // only a change, or it would be told to itself
      button.textContent = `${word} ${words(number)}`.trim();
      if (name) button.setAttribute("aria-label", `${word} ${name}`);
    }
  };
  bars.push(count);
  return element("p", { className: "review" }, ...buttons.map(({ button }) => button));
};
const count = () => bars.forEach((each) => each());
const known = (anchors) => anchors.map((anchor) => cases.get(anchor)).filter(Boolean);

for (const each of review.cases) {
  const head = document.querySelector(`article[id="${CSS.escape(each.anchor)}"] > .head`);
  if (head) head.after(Object.assign(bar(() => "", () => known([each.anchor]), each.name), { id: `review--${each.anchor}` }));
}
// Cases of one cause, and the new ones, are decided together. What a filter hides is left out.
for (const group of document.querySelectorAll("section.decision, section[aria-labelledby=new]")) {
  const links = () => [...group.querySelectorAll('li:not([hidden]) a[href^="#"]')];
  const anchors = () => links().map((link) => decodeURIComponent(link.hash.slice(1)));
  const list = group.querySelector("ul, details");
  if (list && known(anchors()).length > 1) list.before(bar((number) => `these ${number}`, () => known(anchors())));
}
const shown = () =>
  [...cases.values()].filter(({ anchor }) => {
    const found = document.getElementById(anchor);
    return found && !found.closest("[hidden]");
  });
const start = element("section", { id: "review" });
start.setAttribute("aria-label", "Review");
const advice = review.cases.length
  ? "Look at the images, then decide on one case, on a group, or on all that are shown. Each decision needs a reason and is stored at once."
  : "Nothing is left to decide.";
start.append(element("p", { textContent: `Review. ${advice}` }), bar((number) => `all ${number} shown`, shown), element("p", {}, told));
document.querySelector("main").prepend(start);
// The page filters by hiding, so the numbers on the buttons follow what is hidden.
new MutationObserver(count).observe(document.querySelector("main"), { subtree: true, attributeFilter: ["hidden"] });
count();
})();
