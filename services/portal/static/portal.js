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

function loginLink(address) {
  return made("a", { href: `${address}?next=${encodeURIComponent(location.pathname)}` }, "登录后重新选择");
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
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) return;
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

// --- form[data-upload] in [data-upload-slot]: a chosen file is sent at once, with progress.

function upload(form) {
  const slot = form.closest("[data-upload-slot]");
  const input = form.querySelector("input[type=file]");
  if (!slot || !input.files.length) return;
  const progress = made("progress", { max: 100, value: 0 });
  progress.setAttribute("aria-label", "上传进度");
  const state = made("p", { className: "upload-slot__state" }, "正在上传… ", progress);
  state.setAttribute("role", "status");
  for (const past of slot.querySelectorAll(".upload-slot__state, [role=alert]")) past.remove();
  slot.append(state);
  const failed = (text, login) => {
    state.className = "upload-slot__state field__error";
    state.setAttribute("role", "alert");
    const again = made("button", { type: "button", className: "button" }, "重试");
    again.addEventListener("click", () => upload(form));
    // A new session has new forms, so after logging in the file has to be chosen again.
    state.replaceChildren(text, " ", login ? loginLink(login) : again);
  };
  if (input.files[0].size > Number(input.dataset.maxBytes || Infinity)) {
    failed("照片不能超过 5 MB，请压缩后重新上传。");
    state.querySelector("button").remove();
    return;
  }
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  for (const [name, value] of Object.entries(OURS)) request.setRequestHeader(name, value);
  request.upload.addEventListener("progress", (e) => {
    if (e.lengthComputable) progress.value = (100 * e.loaded) / e.total;
  });
  request.addEventListener("error", () => failed("上传失败，请检查网络。"));
  request.addEventListener("load", () => {
    if ((request.getResponseHeader("Content-Type") || "").includes("json")) {
      const answer = JSON.parse(request.responseText);
      failed(answer.detail || "上传失败。", answer.login);
      return;
    }
    const fresh = document.createElement("template");
    fresh.innerHTML = request.responseText;
    const next = fresh.content.querySelector("[data-upload-slot]");
    if (!next) {
      failed("上传失败，请刷新页面后重试。");
      return;
    }
    replaceById(request.responseText);
    if (slot.isConnected) slot.replaceWith(next);
  });
  request.send(new FormData(form));
}

// --- button[data-captcha="URL"] in [data-captcha-slot]: another picture without leaving the form.

async function renewCaptcha(button) {
  const slot = button.closest("[data-captcha-slot]");
  const answer = await fetch(button.dataset.captcha, { headers: OURS, cache: "no-store" });
  if (answer.ok) slot.innerHTML = await answer.text();
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
    if ((answer.headers.get("Content-Type") || "").includes("json")) {
      const problem = await answer.json();
      place.replaceChildren(made("p", { className: "notice notice--wrong" }, problem.detail || "操作未完成"));
      if (problem.login) place.append(loginLink(problem.login));
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      place.innerHTML = text;
    }
  } catch {
    place.append(made("p", { className: "notice notice--wrong" }, "连接中断，请检查网络后重试。"));
  } finally {
    for (const each of buttons) each.disabled = false;
  }
}

// --- wiring

on("change", "form[data-upload] input[type=file]", (input) => upload(input.form));
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
for (const form of document.forms) count(form);
startLive(document);
document.getElementById("error-summary")?.focus();
document.documentElement.classList.add("scripted");
