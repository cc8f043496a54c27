"use strict";
const form = document.getElementById("question");
const results = document.getElementById("results");
const status = document.getElementById("status");
const picture = document.getElementById("picture");
const preview = document.getElementById("preview");
const drop = document.getElementById("drop");
let latest = 0;

async function search() {
  const mine = ++latest;
  const asked = new FormData(form);
  const file = picture.files[0];
  if (!asked.get("text").trim() && !file && !asked.get("like")) {
    results.replaceChildren();
    status.textContent = "Type words, drop a picture, or both.";
    return;
  }
  if (!file) asked.delete("picture");
  results.classList.add("busy");
  status.textContent = "Searching…";
  try {
    const reply = await fetch("/search", { method: "POST", body: asked });
    const text = await reply.text();
    if (mine !== latest) return; // a later question was asked meanwhile
    if (!reply.ok) throw new Error(reply.status === 413 ? "the picture is too large" : `HTTP ${reply.status}`);
    results.innerHTML = text;
    const counts = [...results.querySelectorAll(".column")].map((column) => `${column.getAttribute("aria-label")}: ${column.dataset.hits} hits`);
    status.textContent = counts.join("; ");
  } catch (error) {
    if (mine !== latest) return;
    results.replaceChildren();
    status.textContent = `No answer: ${error.message}.`;
  } finally {
    if (mine === latest) results.classList.remove("busy");
  }
}

function show(file) {
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.hidden = !file;
  document.getElementById("drop-hint").hidden = Boolean(file);
  if (file) {
    preview.src = URL.createObjectURL(file);
    preview.alt = `The picture to search by: ${file.name}`;
  } else {
    preview.removeAttribute("src");
  }
}

function take(files) {
  const file = [...files].find((each) => each.type.startsWith("image/"));
  if (!file) {
    status.textContent = "That is no picture.";
    return;
  }
  const holder = new DataTransfer();
  holder.items.add(file);
  picture.files = holder.files;
  show(file);
  search();
}

function like(id, title) {
  document.getElementById("like").value = id;
  document.getElementById("like-title").textContent = title;
  document.getElementById("like-note").hidden = !id;
}

function filter(field, value) {
  document.getElementById(`filter_${field}`).value = value;
}

form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
picture.addEventListener("change", () => { show(picture.files[0]); search(); });
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
drop.addEventListener("drop", (event) => take(event.dataTransfer.files));
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
addEventListener("paste", (event) => { if (event.clipboardData.files.length) take(event.clipboardData.files); });

function weights() { // only a hybrid has legs to weigh
  for (const mode of form.querySelectorAll("select[name$=_mode]")) {
    mode.closest("fieldset").querySelector("label.weight").hidden = mode.value !== "hybrid";
  }
}
weights();

for (const slider of form.querySelectorAll("input[type=range]")) {
  slider.addEventListener("input", () => { slider.closest("label").querySelector("output").textContent = slider.value; });
}
form.addEventListener("change", (event) => {
  if (event.target.name.endsWith("_mode")) weights();
  if (event.target.id === "compare") document.getElementById("system-b").hidden = !event.target.checked;
  if (event.target !== picture && event.target.id !== "text") search();
});
document.getElementById("clear").addEventListener("click", () => {
  form.reset();
  for (const output of form.querySelectorAll("output")) output.textContent = "50";
  document.getElementById("system-b").hidden = true;
  weights();
  like("", "");
  filter("category", "");
  filter("brand", "");
  show(null);
  search();
  document.getElementById("text").focus();
});
document.getElementById("unlike").addEventListener("click", () => { like("", ""); search(); });
results.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.classList.contains("like")) {
    like(button.dataset.id, button.dataset.title);
    document.getElementById("text").value = "";
    picture.value = "";
    show(null);
  } else {
    filter(button.dataset.field, button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.value);
  }
  search().then(() => results.focus({ preventScroll: true }));
});
