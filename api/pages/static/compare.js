// Zoom and keys of the comparison page. Without it the page still works: links and two buttons.
"use strict";
(() => {
  const page = document.querySelector("[data-compare]");
  if (!page) return;
  const image = page.querySelector("[data-image]");
  const first = image.getAttribute("src");
  const button = page.querySelector("[data-untouched]");
  let zoom = 1;

  function enlarge(step) {
    image.classList.remove(`ds-zoom-${zoom}`);
    zoom = Math.min(4, Math.max(1, zoom + step));
    image.classList.add(`ds-zoom-${zoom}`);
  }

  function untouched() {
    if (!button) return;
    const other = button.dataset.untouched;
    const showing = image.getAttribute("src") === other;
    image.setAttribute("src", showing ? first : other);
    button.setAttribute("aria-pressed", String(!showing));
    button.classList.toggle("active", !showing);
  }

  function follow(selector) {
    const link = page.querySelector(selector);
    if (link) window.location.assign(link.href);
  }

  const acts = {
    "+": () => enlarge(1),
    "=": () => enlarge(1),
    "-": () => enlarge(-1),
    g: untouched,
    ArrowLeft: () => follow("[data-previous]"),
    ArrowRight: () => follow("[data-next]"),
    k: () => page.querySelector('[data-key="k"]')?.click(),
    h: () => page.querySelector('[data-key="h"]')?.click(),
  };

  page.querySelectorAll("[data-zoom]").forEach((one) => {
    one.addEventListener("click", () => enlarge(Number(one.dataset.zoom)));
  });
  button?.addEventListener("click", untouched);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
})();
