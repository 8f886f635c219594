// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"use strict";
const all = (what) => [...document.querySelectorAll(what)];

function wanted(one) {
	const verdict = document.querySelector(`[data-verdict="${one.dataset.verdict}"][type=checkbox]`);
	const word = document.querySelector("input[data-filter=text]").value.toLowerCase();
	const section = document.getElementById((one.querySelector("a") || one).hash?.slice(1) || one.id);
	const fits = all("select[data-filter]").every((select) =>
		!select.value || one.dataset[select.dataset.filter] === select.value);
	return fits && verdict.checked &&
		(!word || (section || one).textContent.toLowerCase().includes(word));
}

function apply() {
	let shown = 0;
	for (const one of all("details.cell, #plots > div")) {
		one.hidden = !wanted(one);
		shown += one.matches("details") && !one.hidden;
	}
	for (const one of all("#grid td[data-verdict]"))
		one.style.visibility = wanted(one) ? "" : "hidden";
	for (const row of all("#grid tr + tr"))
		row.hidden = ![...row.querySelectorAll("td[data-verdict]")].some((one) =>
			one.style.visibility === "" && one.dataset.verdict !== "not offered");
	document.getElementById("shown").textContent = `${shown} cells`;
}

// A link to a cell opens it, also where a filter hides it.
function follow() {
	const one = document.getElementById(decodeURIComponent(location.hash.slice(1)));
	if (!one || !one.matches("details.cell"))
		return;
	one.hidden = false;
	one.open = true;
	one.scrollIntoView();
}

for (const event of ["input", "change"])
	document.getElementById("filters").addEventListener(event, apply);
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("open").addEventListener("click", () => {
	for (const one of all("details.cell"))
		one.open = !one.hidden;
});
window.addEventListener("hashchange", follow);
apply();
follow();
