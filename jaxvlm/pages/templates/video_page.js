"use strict";
(function () {
  // Without this script every link works: bars lead to their finding, ▶ opens the video at its time.
  const stops = new WeakMap();

  function play(video, start, end, beside) {
    if (beside) beside.after(video.closest(".player"));
    stops.set(video, end);
    const go = () => { video.currentTime = start; video.play().catch(() => {}); };
    if (video.readyState > 0) go();
    else { video.addEventListener("loadedmetadata", go, { once: true }); video.preload = "auto"; video.load(); }
    video.closest(".player").scrollIntoView({ block: "nearest" });
  }

  function openAround(element) {
    for (let above = element; above; above = above.parentElement) {
      if (above.tagName === "DETAILS") above.open = true;
    }
  }

  for (const video of document.querySelectorAll("video")) {
    video.addEventListener("timeupdate", () => {
      const stop = stops.get(video);
      if (stop !== undefined && video.currentTime >= stop) { stops.delete(video); video.pause(); }
    });
    video.addEventListener("seeking", () => { if (video.currentTime > (stops.get(video) ?? Infinity)) stops.delete(video); });
    video.addEventListener("error", () => {
      video.hidden = true;
      video.closest(".player").querySelector(".lost").hidden = false;
    });
  }

  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const bar = event.target.closest("a.bar-link");
    if (bar) {
      const finding = document.getElementById(bar.hash.slice(1));
      openAround(finding);
      finding.focus({ preventScroll: true });
      return;
    }
    const link = event.target.closest("a[data-video]");
    const video = link && document.getElementById(link.dataset.video);
    if (video && !video.error) {
      event.preventDefault();
      play(video, Number(link.dataset.start), Number(link.dataset.end), link.closest(".finding").querySelector(".say"));
      return;
    }
    const figure = event.target.closest(".plot") && event.target.closest("[data-span]");
    if (figure) {
      const box = event.target.closest(".plot").getBoundingClientRect();
      const [left, right] = figure.dataset.span.split(" ").map(Number);
      const [first, last] = figure.dataset.bounds.split(" ").map(Number);
      const share = ((event.clientX - box.left) / box.width - left) / (right - left);
      const shown = document.getElementById(figure.dataset.video);
      if (share >= 0 && share <= 1 && !shown.error) {
        figure.before(shown.closest(".player"));
        shown.closest(".player").classList.add("seeking");
        play(shown, first + share * (last - first), undefined, null);
      }
    }
  });

  // One tab stop per lane; arrows, Home and End go along it.
  for (const lane of document.querySelectorAll(".lane")) {
    const bars = [...lane.children];
    bars.forEach((bar, index) => { bar.tabIndex = index ? -1 : 0; });
    lane.addEventListener("keydown", (event) => {
      const now = bars.indexOf(document.activeElement);
      const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: bars.length - 1 }[event.key];
      if (now < 0 || to === undefined || !bars[to]) return;
      event.preventDefault();
      bars[now].tabIndex = -1;
      bars[to].tabIndex = 0;
      bars[to].focus();
    });
  }
  for (const figure of document.querySelectorAll("[data-span]")) figure.classList.add("seek");
  if (location.hash) openAround(document.getElementById(location.hash.slice(1)));
})();
