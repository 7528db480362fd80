"use strict";
(function () {
  const list = document.getElementById("pictures");
  const rest = document.getElementById("rest");
  const form = document.getElementById("controls");
  if (!list || !rest || !form) return;
  const size = Number(list.dataset.size);
  const all = [...list.children, ...rest.content.children];
  all.forEach((card, index) => { card.place = index; });
  const get = (id) => document.getElementById(id);
  const words = (card) => card.textContent.toLowerCase();
  const text = new Intl.Collator(undefined, { numeric: true });
  const by = (field) => (a, b) => text.compare(a.dataset[field], b.dataset[field]) || a.place - b.place;
  const orders = {
    far: (a, b) => a.place - b.place,
    near: (a, b) => b.place - a.place,
    predicted: by("predicted"),
    name: by("name"),
  };
  let page = 0;

  function show() {
    const wanted = get("search").value.trim().toLowerCase();
    const predicted = get("class").value;
    const decision = get("decision") ? get("decision").value : "";
    const found = all.filter((card) =>
      (!predicted || card.dataset.predicted === predicted) &&
      (!decision || card.dataset.decision === decision) &&
      (!wanted || words(card).includes(wanted)));
    found.sort(orders[get("order").value]);
    const pages = Math.max(1, Math.ceil(found.length / size));
    page = Math.min(Math.max(page, 0), pages - 1);
    list.replaceChildren(...found.slice(page * size, (page + 1) * size));
    const from = found.length ? page * size + 1 : 0;
    const to = Math.min((page + 1) * size, found.length);
    get("count").textContent = from + " to " + to + " of " + found.length +
      (found.length < all.length ? " (" + all.length + " in all)" : "");
    for (const side of ["top", "bottom"]) {
      get("page-" + side).textContent = "page " + (page + 1) + " of " + pages;
      get("back-" + side).disabled = page === 0;
      get("on-" + side).disabled = page === pages - 1;
    }
  }

  function turn(by) {
    page += by;
    show();
    form.scrollIntoView({ block: "start" });
  }

  for (const side of ["top", "bottom"]) {
    get("back-" + side).addEventListener("click", () => turn(-1));
    get("on-" + side).addEventListener("click", () => turn(1));
    get("pager-" + side).hidden = false;
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { page = 0; show(); });
  form.hidden = false;
  show();
})();
