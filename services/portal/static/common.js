// What pages do beyond plain HTML; without it everything still works, only not by itself. Each behaviour belongs to a
// data attribute; see the function of its name. Written for the browsers that the README names: `make check` knows them.
"use strict";

const OURS = { "X-Requested-With": "fetch" };

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

function fill(element, ...children) {
  element.textContent = "";
  element.append(...children);
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
  const words = answer.status === 413 ? "内容过大，系统没有接收，请缩小后重试。" : "系统暂时无法处理，请稍后重试。";
  const isJson = (answer.headers.get("Content-Type") || "").includes("json");
  return { detail: words, ...(isJson ? await answer.json().catch(() => ({})) : {}) };
}

// Whether the file chosen in an input[data-max-bytes] may not be sent; what to say then is its data-too-large.
function isTooLarge(input) {
  return input.files.length > 0 && input.files[0].size > Number(input.dataset.maxBytes || Infinity);
}

// Whatever goes wrong in one file leaves the page as it is without script: see `started`.
let parts = 0;

// Each file calls it last. Only when all have begun is the page `scripted`, and hides what it shows without (.unscripted).
function started() {
  parts += 1;
  if (parts === document.querySelectorAll("script[data-part]").length) document.documentElement.classList.add("scripted");
}

// --- the button that a form is sent by; the Enter key presses one as well.

let pressed = null;

function buttonOf(form) {
  const button = pressed;
  pressed = null;
  return button && button.form === form ? button : null;
}

on("click", "button", (button) => {
  pressed = button;
});

// --- button[data-captcha="URL"] in [data-captcha-slot]: another picture without leaving the form.

async function renewCaptcha(button) {
  const slot = button.closest("[data-captcha-slot]");
  let answer = null;
  try {
    answer = await fetch(button.dataset.captcha, { headers: OURS, cache: "no-store" });
    if (answer.ok) {
      slot.innerHTML = await answer.text();
      slot.querySelector("[data-captcha]").focus();
      return;
    }
  } catch (_) {
    answer = null;
  }
  const { detail } = answer ? await problemOf(answer) : { detail: "网络连接中断，请稍后重试。" };
  for (const past of slot.querySelectorAll("[role=alert]")) past.remove();
  const text = made("p", { className: "field__error" }, detail);
  text.setAttribute("role", "alert");
  slot.append(text);
}

on("click", "[data-captcha]", (button, e) => {
  e.preventDefault();
  renewCaptcha(button);
});

// --- a form's second press while the first is under way does nothing; another after it is as good as new.

const PATIENCE = 10000;
let underWay = new WeakMap();

function sendOnce(form, e) {
  if (underWay.has(form) && Date.now() - underWay.get(form) < PATIENCE) e.preventDefault();
  else underWay.set(form, Date.now());
}

on("submit", "form:not([data-stream])", sendOnce);
on("input", "form", (form) => underWay.delete(form));
addEventListener("pageshow", (e) => {
  if (e.persisted) underWay = new WeakMap();
});

const summary = document.getElementById("error-summary");
if (summary) summary.focus();
started();
