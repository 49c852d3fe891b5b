// A batch: which document is open, and progress by server-sent events while it runs; the page is
// shown anew when it has ended.
"use strict";
(() => {
  document.addEventListener("click", (event) => {
    const item = event.target.closest(".ds-item");
    if (!item) return;
    document.querySelector(".ds-items .ds-here")?.classList.remove("ds-here");
    item.closest("li").classList.add("ds-here");
  });

  const place = document.querySelector("[data-follow]");
  if (!place) return;
  const source = new EventSource(place.dataset.follow);
  const show = (event) => {
    const signed = JSON.parse(event.data).counts.signed || 0;
    place.querySelector("[data-signed]").textContent = signed;
    place.querySelector("progress").value = signed;
  };
  source.addEventListener("progress", show);
  source.addEventListener("end", (event) => {
    show(event);
    source.close();
    setTimeout(() => location.reload(), 300);
  });
})();
