// Lists with boxes to tick, and pictures to look at closely.
"use strict";

// --- input[data-check-all="NAME"] ticks all boxes of that name but those in a row that is [data-one-by-one];
// [data-checked-count="NAME"] says how many are ticked.

function boxes(form, name) {
  return [...form.elements].filter((box) => box.type === "checkbox" && box.name === name && !box.disabled);
}

function together(form, name) {
  return boxes(form, name).filter((box) => !box.closest("tr").querySelector("[data-one-by-one]"));
}

function count(form) {
  for (const place of form.querySelectorAll("[data-checked-count]")) {
    place.textContent = boxes(form, place.dataset.checkedCount).filter((box) => box.checked).length;
  }
  for (const all of form.querySelectorAll("[data-check-all]")) {
    const own = together(form, all.dataset.checkAll);
    const ticked = own.filter((box) => box.checked).length;
    all.checked = own.length > 0 && ticked === own.length;
    all.indeterminate = ticked > 0 && ticked < own.length;
    for (const box of boxes(form, all.dataset.checkAll)) box.closest("tr").classList.toggle("ticked", box.checked);
  }
  offer(form);
}

// --- button[data-offered]: usable while a ticked row says that its action is possible ([data-actions]).

function offer(form) {
  const ticked = [...form.querySelectorAll("td input[type=checkbox]:checked")];
  const possible = ticked.flatMap((box) => box.closest("tr").querySelector("[data-actions]").dataset.actions.split(" "));
  for (const button of form.querySelectorAll("[data-offered]")) {
    button.disabled = !possible.includes(button.value);
    button.title = button.disabled ? "请先勾选可以这样处理的申请" : "";
  }
}

on("change", "[data-check-all]", (all) => {
  for (const box of together(all.form, all.dataset.checkAll)) box.checked = all.checked;
  count(all.form);
});
on("change", "input[type=checkbox]", (box) => box.form && count(box.form));
for (const form of document.forms) count(form);

// --- a[data-zoom]: the whole picture over the page, then nearer with + and - and the wheel, about where one looks.

const NEAREST = 8;

function zoom(link) {
  const shown = link.querySelector("img");
  const picture = made("img", { alt: (shown && shown.alt) || link.textContent.trim(), draggable: false });
  const bigger = made("button", { type: "button", className: "button" }, "放大 +");
  const smaller = made("button", { type: "button", className: "button" }, "缩小 −");
  const whole = made("button", { type: "button", className: "button" }, "看整张");
  const close = made("button", { type: "button", className: "button" }, "关闭");
  const stage = made("div", { className: "zoom__stage", tabIndex: 0 }, picture);
  const bar = made("div", { className: "toolbar" }, bigger, smaller, whole, close);
  const dialog = made("div", { className: "zoom" }, bar, stage);
  dialog.setAttribute("role", "dialog");
  dialog.setAttribute("aria-modal", "true");
  dialog.setAttribute("aria-label", picture.alt);
  let scale = 1;
  const middle = () => {
    const box = stage.getBoundingClientRect();
    return { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
  };
  const resize = (wanted, at) => {
    scale = Math.min(NEAREST, Math.max(1, wanted));
    const before = picture.getBoundingClientRect();
    const fitting = Math.min(stage.clientWidth / picture.naturalWidth, stage.clientHeight / picture.naturalHeight);
    picture.width = Math.max(1, Math.floor(picture.naturalWidth * fitting * scale));
    const after = picture.getBoundingClientRect();
    stage.scrollLeft += after.left - at.clientX + ((at.clientX - before.left) / before.width) * after.width;
    stage.scrollTop += after.top - at.clientY + ((at.clientY - before.top) / before.height) * after.height;
  };
  const fit = () => resize(1, middle());
  const end = () => {
    dialog.remove();
    removeEventListener("resize", fit);
    document.documentElement.classList.remove("zoomed");
    link.focus();
  };
  bigger.addEventListener("click", () => resize(scale * 1.4, middle()));
  smaller.addEventListener("click", () => resize(scale / 1.4, middle()));
  whole.addEventListener("click", fit);
  close.addEventListener("click", end);
  stage.addEventListener("wheel", (e) => {
    e.preventDefault();
    resize(scale * (e.deltaY < 0 ? 1.15 : 1 / 1.15), e);
  });
  stage.addEventListener("pointermove", (e) => {
    if (e.buttons) stage.scrollBy(-e.movementX, -e.movementY);
  });
  dialog.addEventListener("keydown", (e) => {
    if (e.key === "+" || e.key === "=") resize(scale * 1.4, middle());
    if (e.key === "-") resize(scale / 1.4, middle());
    if (e.key === "Escape") end();
    if (e.key === "Tab") keepWithin([bigger, smaller, whole, close, stage], e);
  });
  picture.addEventListener("load", fit);
  picture.addEventListener("error", () => fill(stage, "照片没有加载成功，请关闭后再试。"));
  picture.src = link.href;
  document.body.append(dialog);
  document.documentElement.classList.add("zoomed");
  addEventListener("resize", fit);
  bigger.focus();
}

// The Tab key goes round among these and does not leave them.
function keepWithin(stops, e) {
  e.preventDefault();
  const step = e.shiftKey ? -1 : 1;
  stops[(stops.indexOf(document.activeElement) + step + stops.length) % stops.length].focus();
}

on("click", "a[data-zoom]", (link, e) => {
  if (e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  zoom(link);
});
started();
