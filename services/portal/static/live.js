// data-live="URL": a part that follows the server. data-live-rows="URL": elements that are replaced by their id.
"use strict";

const LIVE_FIRST = 3000;
const LIVE_SLOWEST = 20000;

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
      // Where many wait, it says when to come again.
      wait = Math.max(wait, 1000 * Number(answer.headers.get("Retry-After") || 0));
      if (answer.ok) {
        const text = await answer.text();
        const changed = last !== null && text !== last;
        if (last === null || changed) show(text);
        last = text;
        if (answer.headers.get("X-Live") === "done") return;
        wait = changed ? LIVE_FIRST : Math.min(wait * 1.3, LIVE_SLOWEST);
      }
    } catch (_) {
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
    fill(element, fresh.content);
    // What was said after the last form is the past now.
    for (const past of document.querySelectorAll("main > .notice--done")) past.remove();
  };
}

function replaceById(text) {
  const fresh = document.createElement("template");
  fresh.innerHTML = text;
  for (const part of fresh.content.querySelectorAll("[id]")) {
    const old = document.getElementById(part.id);
    if (old && old.outerHTML !== part.outerHTML) old.replaceWith(part);
  }
  for (const form of document.forms) count(form);
}

for (const element of document.querySelectorAll("[data-live]")) {
  follow(element, element.dataset.live, replaceContent(element));
}
for (const element of document.querySelectorAll("[data-live-rows]")) {
  follow(element, element.dataset.liveRows, replaceById);
}
started();
