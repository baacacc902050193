// Buttons that copy the text before them, and boxes that choose all rows. They are hidden where there are no scripts.
(() => {
  const said = document.getElementById("said");
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      try {
        await navigator.clipboard.writeText(text);
        said.textContent = "Copied.";
      } catch {
        getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
        said.textContent = "Selected: copy it with your keyboard.";
      }
    });
  }
  for (const all of document.querySelectorAll("input[data-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of document.querySelectorAll(`input[form="${all.dataset.all}"]`)) box.checked = all.checked;
    });
  }
})();
