// Before anything is painted: the color scheme of the system, where none was chosen here. Without scripts: light.
(() => {
  const root = document.documentElement;
  if (root.dataset.chosen) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  apply();
  dark.addEventListener("change", apply);
})();
