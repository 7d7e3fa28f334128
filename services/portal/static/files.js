// Files: pictures that are sent as soon as they are chosen, and a table whose outcome is shown as it arrives.
"use strict";

// --- input[data-upload="URL"] in [data-upload-slot]: a chosen file is sent at once, with progress.

// After so long without a byte in either direction nothing will come any more.
const STALLED = 60000;

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
  // Without a way to go on the file is forgotten, or choosing it again would do nothing.
  const failed = (text, way) => {
    if (!way) input.value = "";
    state.className = "upload-slot__state field__error";
    state.setAttribute("role", "alert");
    fill(state, text, " ", ...(way ? [way] : []));
  };
  if (isTooLarge(input)) {
    failed(input.dataset.tooLarge);
    return;
  }
  const data = new FormData();
  data.append("_token", document.querySelector("input[name=_token]").value);
  data.append("file", input.files[0]);
  uploads = uploads.then(() => send(input, data, slot.id, state, failed));
}

// Resolves when the answer is shown, whatever it was.
async function send(input, data, place, state, failed) {
  // The answer to a file before it may have replaced the slot.
  if (!state.isConnected) document.getElementById(place).append(state);
  const request = await posted(input.dataset.upload, data, (share) => {
    const progress = state.querySelector("progress");
    if (progress) progress.value = 100 * share;
  });
  const again = made("button", { type: "button", className: "button" }, "重试");
  again.addEventListener("click", () => upload(input));
  const text = request.responseText;
  if (!request.status) {
    failed("上传失败，请检查网络。", again);
  } else if ((request.getResponseHeader("Content-Type") || "").includes("json")) {
    const problem = JSON.parse(text);
    // A new session has new forms, so after logging in the file has to be chosen again.
    failed(problem.detail || "上传失败。", problem.login ? loginLink(problem, "登录后重新选择") : again);
  } else if (text.includes("data-upload-slot") && !isPage(text)) {
    const inFocus = document.getElementById(place).contains(document.activeElement);
    replaceById(text);
    if (inFocus) document.getElementById(place).querySelector("input[type=file]").focus();
  } else if (request.status === 413) {
    failed(input.dataset.tooLarge);
  } else {
    failed("上传失败，请刷新页面后重试。", again);
  }
}

// The request once it has ended; its status is 0 where there was no answer.
async function posted(address, data, show) {
  const request = new XMLHttpRequest();
  request.open("POST", address);
  for (const [name, value] of Object.entries(OURS)) request.setRequestHeader(name, value);
  let idle = 0;
  const waitAnew = () => {
    clearTimeout(idle);
    idle = setTimeout(() => request.abort(), STALLED);
  };
  request.upload.addEventListener("progress", (e) => {
    waitAnew();
    if (e.lengthComputable) show(e.loaded / e.total);
  });
  request.addEventListener("progress", waitAnew);
  const ended = new Promise((resolve) => request.addEventListener("loadend", resolve));
  request.send(data);
  waitAnew();
  await ended;
  clearTimeout(idle);
  return request;
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
  else (button || form.querySelector("button[type=submit]")).click();
}

on("change", "input[data-upload]", upload);
on("submit", "form", (form, e) => {
  if (e.defaultPrevented || !form.querySelector("[data-upload-slot] progress")) return;
  e.preventDefault();
  sendAfterUploads(form, buttonOf(form));
});
addEventListener("beforeunload", (e) => {
  if (!document.querySelector("[data-upload-slot] progress")) return;
  e.preventDefault();
  // For browsers from before 2024.
  e.returnValue = true;
});

// --- form[data-stream="#PLACE"]: the answer is shown in PLACE as it arrives.

async function stream(form, button) {
  const place = document.querySelector(form.dataset.stream);
  const large = [...form.querySelectorAll("input[type=file]")].find(isTooLarge);
  if (large) {
    sayFailed(place, { detail: large.dataset.tooLarge });
    return;
  }
  const data = new FormData(form);
  // Not new FormData(form, button): browsers from before 2023 would leave the button out, and only check.
  if (button) data.append(button.name, button.value);
  const buttons = form.querySelectorAll("button");
  for (const each of buttons) each.disabled = true;
  try {
    await receive(form.action, data, place);
  } finally {
    for (const each of buttons) each.disabled = false;
  }
}

// Only what the network does is said to be its fault: what the server refuses, it says why.
async function receive(address, data, place) {
  let answer;
  try {
    answer = await fetch(address, { method: "POST", body: data, headers: OURS });
  } catch (_) {
    sayFailed(place, { detail: "连接中断，请检查网络后重试。文件选择后又改动过的，请重新选择。" });
    return;
  }
  if (answer.status >= 500 || !(answer.headers.get("Content-Type") || "").includes("html")) {
    sayFailed(place, await problemOf(answer));
    return;
  }
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (_) {
      place.append(made("p", { className: "notice notice--wrong" }, "连接中断，请检查网络后重试。"));
      return;
    }
    if (part.done) return;
    text += decoder.decode(part.value, { stream: true });
    if (isPage(text)) {
      sayFailed(place, await problemOf(answer));
      return;
    }
    place.innerHTML = text;
  }
}

function sayFailed(place, problem) {
  const text = made("p", { className: "notice notice--wrong" }, problem.detail);
  text.setAttribute("role", "alert");
  fill(place, text, ...(problem.login ? [loginLink(problem, "登录后重新选择")] : []));
}

on("submit", "form[data-stream]", (form, e) => {
  e.preventDefault();
  stream(form, buttonOf(form));
});
started();
