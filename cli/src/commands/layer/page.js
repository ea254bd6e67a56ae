"use strict";
const filter = document.getElementById("filter"), writers = document.getElementById("writers"), missing = document.getElementById("missing");
const cards = [...document.querySelectorAll(".card")], rows = new Map([...document.querySelectorAll("tr[data-name]")].map(row => [row.dataset.name, row]));
// Every word has to be found; `field:AC` asks for what touches the field itself.
function matches(card) {
  const touched = [...card.querySelectorAll("[data-field]")].map(place => place.dataset.field.toLowerCase());
  return filter.value.toLowerCase().split(/\s+/).filter(Boolean).every(word =>
    word.startsWith("field:") ? touched.includes(word.slice(6)) : card.dataset.find.toLowerCase().includes(word));
}
function apply() {
  let shown = 0;
  for (const card of cards) {
    const isMissing = card.classList.contains("missing");
    const wanted = matches(card) && (!writers.checked || !isMissing && !card.classList.contains("silent")) && (!missing.checked || isMissing);
    card.hidden = !wanted;
    const row = rows.get(card.id);
    if (row) row.hidden = !wanted;
    shown += wanted;
  }
  for (const section of document.querySelectorAll("section.object")) section.hidden = !section.querySelector(".card:not([hidden])");
  for (const body of document.querySelectorAll("tbody")) body.hidden = !body.querySelector("tr[data-name]:not([hidden])");
  document.getElementById("count").textContent = `${shown} of ${cards.length}`;
}
for (const input of [filter, writers, missing]) input.addEventListener("input", apply);
document.addEventListener("click", event => {
  const place = event.target.closest("[data-field]");
  if (!place) return;
  filter.value = `field:${place.dataset.field}`;
  apply();
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== filter) { event.preventDefault(); filter.focus(); filter.select(); }
  if (event.key === "Escape") { filter.value = ""; apply(); }
});
// A link to a card shows it, whatever the filter says.
window.addEventListener("hashchange", () => {
  const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (card && card.hidden) { filter.value = ""; writers.checked = missing.checked = false; apply(); card.scrollIntoView(); }
});
apply();
