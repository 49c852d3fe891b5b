// Progress of a running batch by server-sent events; the page is shown anew when it has ended.
"use strict";
(() => {
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
