// A table that is wider than the screen can be reached and scrolled with the keyboard. It is a group with a name of its
// own, and no landmark: a page has many such tables.
const tables = [...document.querySelectorAll(".scroll")];
const headed = (table) =>
  table.querySelector("caption") ??
  table.closest("details")?.querySelector("summary") ??
  table.closest("[aria-labelledby]")?.querySelector("h2, h3");
const reach = (table) => {
  const wide = table.scrollWidth > table.clientWidth;
  const reachable = { tabindex: "0", role: "group", "aria-label": `wide table ${tables.indexOf(table) + 1}: ${headed(table)?.textContent ?? ""}` };
  for (const [name, value] of Object.entries(reachable)) {
    if (wide) table.setAttribute(name, value);
    else table.removeAttribute(name);
  }
};
// It is told when a table is first laid out, which in a long page is late, and when its size changes.
const watched = new ResizeObserver((entries) => entries.forEach(({ target }) => reach(target)));
for (const table of tables) watched.observe(table);
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
