// What the theme leaves out: a button that copies a block; and for people who use the keyboard or a screen reader, regions
// that scroll can be focused, the headings of the navigation have a level, and the two sidebars have names.
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll("article pre, .table-wrapper")) region.tabIndex = 0;
  for (const heading of document.querySelectorAll(".caption[role=heading]")) heading.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  for (const block of document.querySelectorAll("article div.highlight")) block.append(copyButton(block.textContent));
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
});

function copyButton(text) {
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.trimEnd());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}
