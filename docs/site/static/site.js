// What the theme leaves out for people who use the keyboard or a screen reader: regions that scroll can be focused, the
// headings of the navigation have a level, and the two sidebars have names.
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll("article pre, .table-wrapper")) region.tabIndex = 0;
  for (const heading of document.querySelectorAll(".caption[role=heading]")) heading.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
});
