// What pages do beyond plain HTML; without it everything still works, only not by itself.
// Each behaviour belongs to a data attribute; see the function of its name.
"use strict";

const OURS = { "X-Requested-With": "fetch" };
const LIVE_FIRST = 3000;
const LIVE_SLOWEST = 20000;

// One listener for the whole page, so that replaced parts need no wiring.
function on(event, selector, handle) {
  document.addEventListener(event, (e) => {
    const found = e.target instanceof Element && e.target.closest(selector);
    if (found) handle(found, e);
  });
}

function made(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// To where `problem`, an answer's {detail, login}, sends people before they can go on here.
function loginLink(problem, text) {
  const next = encodeURIComponent(location.pathname + location.search);
  return made("a", { href: `${problem.login}?next=${next}` }, problem.login === "/password" ? "修改密码" : text);
}

// Whether that is, or begins, a page of its own: a failure's, or that of something between us and the server.
function isPage(text) {
  return /^\s*<!doctype/i.test(text);
}

// What an answer that is no part of a page has to say.
async function problemOf(answer) {
  const isJson = (answer.headers.get("Content-Type") || "").includes("json");
  return { detail: "系统暂时无法处理，请稍后重试。", ...(isJson ? await answer.json() : {}) };
}

// --- data-live="URL": a part that follows the server. data-live-rows="URL": elements that are replaced by their id.

function follow(element, address, show) {
  let wait = LIVE_FIRST;
  let last = null;
  async function ask() {
    if (!element.isConnected) return;
    if (document.hidden) {
      document.addEventListener("visibilitychange", ask, { once: true });
      return;
    }
    try {
      const answer = await fetch(address, { headers: OURS, cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) {
        sayEnd(element, await problemOf(answer));
        return;
      }
      if (answer.status === 404) return;
      if (answer.ok) {
        const text = await answer.text();
        const changed = last !== null && text !== last;
        if (last === null || changed) show(text);
        last = text;
        if (answer.headers.get("X-Live") === "done") return;
        wait = changed ? LIVE_FIRST : Math.min(wait * 1.3, LIVE_SLOWEST);
      }
    } catch {
      wait = LIVE_SLOWEST;
    }
    setTimeout(ask, wait);
  }
  setTimeout(ask, wait);
}

// Once on a page, after what does not follow any more.
function sayEnd(element, problem) {
  if (!problem.login || document.querySelector("[data-ended]")) return;
  const text = made("p", { className: "notice notice--warn" }, `${problem.detail}。本页不再自动更新。`);
  text.append(loginLink(problem, "重新登录"));
  text.setAttribute("role", "status");
  text.dataset.ended = "";
  (element.closest(".table-scroll") || element).after(text);
}

function replaceContent(element) {
  return (text) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = text;
    if (fresh.innerHTML.trim() === element.innerHTML.trim()) return;
    element.replaceChildren(fresh.content);
    // What was said after the last form is the past now.
    document.querySelector("main > .notice--done")?.remove();
  };
}

function replaceById(text) {
  const fresh = document.createElement("template");
  fresh.innerHTML = text;
  for (const part of fresh.content.querySelectorAll("[id]")) {
    const old = document.getElementById(part.id);
    if (old && old.outerHTML !== part.outerHTML) old.replaceWith(part);
  }
  for (const form of document.forms) offer(form);
}

function startLive(root) {
  for (const element of root.querySelectorAll("[data-live]")) {
    follow(element, element.dataset.live, replaceContent(element));
  }
  for (const element of root.querySelectorAll("[data-live-rows]")) {
    follow(element, element.dataset.liveRows, replaceById);
  }
}

// --- input[data-upload="URL"] in [data-upload-slot]: a chosen file is sent at once, with progress.

// One after the other, so that each answer also knows of the files before it.
let uploads = Promise.resolve();

function upload(input) {
  const slot = input.closest("[data-upload-slot]");
  if (!input.files.length) return;
  const progress = made("progress", { max: 100, value: 0 });
  progress.setAttribute("aria-label", "上传进度");
  const state = made("p", { className: "upload-slot__state" }, "正在上传… ", progress);
  state.setAttribute("role", "status");
  for (const past of slot.querySelectorAll(".upload-slot__state, [role=alert]")) past.remove();
  slot.append(state);
  const failed = (text, problem) => {
    state.className = "upload-slot__state field__error";
    state.setAttribute("role", "alert");
    const again = made("button", { type: "button", className: "button" }, "重试");
    again.addEventListener("click", () => upload(input));
    // A new session has new forms, so after logging in the file has to be chosen again.
    state.replaceChildren(text, " ", problem?.login ? loginLink(problem, "登录后重新选择") : again);
  };
  if (input.files[0].size > Number(input.dataset.maxBytes || Infinity)) {
    failed("照片不能超过 5 MB，请压缩后重新上传。");
    state.querySelector("button").remove();
    input.value = "";
    return;
  }
  const data = new FormData();
  data.append("_token", document.querySelector("input[name=_token]").value);
  data.append("file", input.files[0]);
  uploads = uploads.then(() => send(input.dataset.upload, data, slot.id, state, failed));
}

// Resolves when the answer is shown, whatever it was.
async function send(address, data, place, state, failed) {
  // The answer to a file before it may have replaced the slot.
  if (!state.isConnected) document.getElementById(place).append(state);
  const progress = state.querySelector("progress");
  const request = new XMLHttpRequest();
  request.open("POST", address);
  for (const [name, value] of Object.entries(OURS)) request.setRequestHeader(name, value);
  request.upload.addEventListener("progress", (e) => {
    if (e.lengthComputable) progress.value = (100 * e.loaded) / e.total;
  });
  const ended = new Promise((resolve) => request.addEventListener("loadend", resolve));
  request.send(data);
  await ended;
  if (!request.status) {
    failed("上传失败，请检查网络。");
  } else if ((request.getResponseHeader("Content-Type") || "").includes("json")) {
    const problem = JSON.parse(request.responseText);
    failed(problem.detail || "上传失败。", problem);
  } else if (!request.responseText.includes("data-upload-slot") || isPage(request.responseText)) {
    failed("上传失败，请刷新页面后重试。");
  } else {
    const inFocus = document.getElementById(place).contains(document.activeElement);
    replaceById(request.responseText);
    if (inFocus) document.getElementById(place).querySelector("input[type=file]").focus();
  }
}

// A form that is sent meanwhile goes after its files, unless one of them is refused.
async function sendAfterUploads(form, button) {
  const places = [...form.querySelectorAll("[data-upload-slot] progress")].map((each) => each.closest("[data-upload-slot]").id);
  const note = made("p", { className: "notice" }, "照片正在上传，完成后自动继续，请稍候。");
  note.setAttribute("role", "status");
  form.append(note);
  let last;
  do {
    last = uploads;
    await last;
  } while (last !== uploads);
  note.remove();
  underWay.delete(form);
  const refused = places.map((id) => document.getElementById(id)).find((slot) => slot.querySelector("[role=alert]"));
  if (refused) refused.querySelector("input[type=file]").focus();
  else form.requestSubmit(button);
}

// --- button[data-captcha="URL"] in [data-captcha-slot]: another picture without leaving the form.

async function renewCaptcha(button) {
  const slot = button.closest("[data-captcha-slot]");
  let detail = "网络连接中断，请稍后重试。";
  try {
    const answer = await fetch(button.dataset.captcha, { headers: OURS, cache: "no-store" });
    if (answer.ok) {
      slot.innerHTML = await answer.text();
      slot.querySelector("[data-captcha]").focus();
      return;
    }
    detail = (await problemOf(answer)).detail;
  } catch {
    // There was no answer, or not all of it.
  }
  slot.querySelector("[role=alert]")?.remove();
  const text = made("p", { className: "field__error" }, detail);
  text.setAttribute("role", "alert");
  slot.append(text);
}

// --- input[data-check-all="NAME"] ticks all boxes of that name; [data-checked-count="NAME"] says how many are.

function boxes(form, name) {
  return [...form.elements].filter((box) => box.type === "checkbox" && box.name === name && !box.disabled);
}

function count(form) {
  for (const place of form.querySelectorAll("[data-checked-count]")) {
    place.textContent = boxes(form, place.dataset.checkedCount).filter((box) => box.checked).length;
  }
  for (const all of form.querySelectorAll("[data-check-all]")) {
    const own = boxes(form, all.dataset.checkAll);
    const ticked = own.filter((box) => box.checked).length;
    all.checked = own.length > 0 && ticked === own.length;
    all.indeterminate = ticked > 0 && ticked < own.length;
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

// --- a[data-zoom]: the picture in a dialog, with + and - and the wheel.

function zoom(link) {
  const picture = made("img", { src: link.href, alt: link.querySelector("img")?.alt || link.textContent.trim() });
  const bigger = made("button", { type: "button", className: "button" }, "放大 +");
  const smaller = made("button", { type: "button", className: "button" }, "缩小 −");
  const close = made("button", { type: "button", className: "button" }, "关闭");
  const stage = made("div", { className: "zoom__stage", tabIndex: 0 }, picture);
  const dialog = made("dialog", { className: "zoom" }, made("div", { className: "toolbar" }, bigger, smaller, close), stage);
  dialog.setAttribute("aria-label", picture.alt);
  let scale = 1;
  const resize = (factor) => {
    scale = Math.min(8, Math.max(1, scale * factor));
    picture.width = Math.round(stage.clientWidth * scale);
  };
  bigger.addEventListener("click", () => resize(1.4));
  smaller.addEventListener("click", () => resize(1 / 1.4));
  close.addEventListener("click", () => dialog.close());
  stage.addEventListener("wheel", (e) => {
    e.preventDefault();
    resize(e.deltaY < 0 ? 1.15 : 1 / 1.15);
  });
  stage.addEventListener("pointermove", (e) => {
    if (e.buttons) stage.scrollBy(-e.movementX, -e.movementY);
  });
  picture.draggable = false;
  dialog.addEventListener("keydown", (e) => {
    if (e.key === "+" || e.key === "=") resize(1.4);
    if (e.key === "-") resize(1 / 1.4);
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  resize(1);
}

// --- form[data-stream="#PLACE"]: the answer is shown in PLACE as it arrives.

async function stream(form, button) {
  const place = document.querySelector(form.dataset.stream);
  const data = new FormData(form);
  // Not new FormData(form, button): browsers from before 2023 would leave the button out, and only check.
  if (button) data.append(button.name, button.value);
  const buttons = form.querySelectorAll("button");
  for (const each of buttons) each.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: OURS });
    const isFragment = answer.status < 500 && (answer.headers.get("Content-Type") || "").includes("html");
    if (!isFragment) {
      sayFailed(place, await problemOf(answer));
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      if (isPage(text)) {
        sayFailed(place, await problemOf(answer));
        return;
      }
      place.innerHTML = text;
    }
  } catch {
    place.append(made("p", { className: "notice notice--wrong" }, "连接中断，请检查网络后重试。"));
  } finally {
    for (const each of buttons) each.disabled = false;
  }
}

function sayFailed(place, problem) {
  place.replaceChildren(made("p", { className: "notice notice--wrong" }, problem.detail));
  if (problem.login) place.append(loginLink(problem, "登录后重新选择"));
}

// --- a form's second press while the first is under way does nothing; another after it is as good as new.

const PATIENCE = 10000;
let underWay = new WeakMap();

function sendOnce(form, e) {
  if (Date.now() - (underWay.get(form) ?? -PATIENCE) < PATIENCE) e.preventDefault();
  else underWay.set(form, Date.now());
}

// --- wiring

on("change", "input[data-upload]", upload);
on("click", "[data-captcha]", (button, e) => {
  e.preventDefault();
  renewCaptcha(button);
});
on("change", "[data-check-all]", (all) => {
  for (const box of boxes(all.form, all.dataset.checkAll)) box.checked = all.checked;
  count(all.form);
});
on("change", "input[type=checkbox]", (box) => box.form && count(box.form));
on("click", "a[data-zoom]", (link, e) => {
  if (e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  zoom(link);
});
on("submit", "form[data-stream]", (form, e) => {
  e.preventDefault();
  stream(form, e.submitter);
});
on("submit", "form:not([data-stream])", sendOnce);
on("submit", "form", (form, e) => {
  if (e.defaultPrevented || !form.querySelector("[data-upload-slot] progress")) return;
  e.preventDefault();
  sendAfterUploads(form, e.submitter);
});
addEventListener("beforeunload", (e) => {
  if (!document.querySelector("[data-upload-slot] progress")) return;
  e.preventDefault();
  // For browsers from before 2024.
  e.returnValue = true;
});
on("input", "form", (form) => underWay.delete(form));
addEventListener("pageshow", (e) => {
  if (e.persisted) underWay = new WeakMap();
});
for (const form of document.forms) count(form);
startLive(document);
document.getElementById("error-summary")?.focus();
document.documentElement.classList.add("scripted");
