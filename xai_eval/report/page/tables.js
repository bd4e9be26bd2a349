// A table that is wider than the screen can be reached and scrolled with the keyboard.
const REACHABLE = { tabindex: "0", role: "group", "aria-label": "wide table" };
const reach = (table) => {
  const wide = table.scrollWidth > table.clientWidth;
  for (const [name, value] of Object.entries(REACHABLE)) {
    if (wide) table.setAttribute(name, value);
    else table.removeAttribute(name);
  }
};
// It is told when a table is first laid out, which in a long page is late, and when its size changes.
const watched = new ResizeObserver((entries) => entries.forEach(({ target }) => reach(target)));
for (const table of document.querySelectorAll(".scroll")) watched.observe(table);
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
