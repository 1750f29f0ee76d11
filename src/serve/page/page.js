/* The frame: models, views, settings, languages, themes, requests. */
const $ = id => document.getElementById(id);
const NUMBERS = { temperature: 0.8, top_p: 1, min_p: 0, repetition_penalty: 1, top_k: 0, max_tokens: 512, seed: "" };
const query = new URLSearchParams(location.search);
let models = [], model = null, view = "", words = WORDS.en, running = null;

const store = {
  get(key) { try { return localStorage.getItem("lithe." + key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem("lithe." + key, value); } catch { /* a private window */ } },
};

function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

/* ---- languages and themes ---- */

function speak(language) {
  words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const [attribute, property] of [["data-i18n", "textContent"], ["data-i18n-label", "ariaLabel"], ["data-i18n-placeholder", "placeholder"]])
    for (const e of document.querySelectorAll(`[${attribute}]`)) e[property] = words[e.getAttribute(attribute)];
  $("language").textContent = language === "zh" ? "EN" : "中文";
  store.set("language", language);
  if (model) { show_tabs(); describe_model(); if (!chat.length) draw_chat(); }
}

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").ariaPressed = String(theme === "dark");
}

/* ---- requests ---- */

function headers() {
  const h = { "Content-Type": "application/json" }, key = $("key").value;
  if (key) h.Authorization = "Bearer " + key;
  return h;
}

/* The answer of the server; throws its message. */
async function ask(path, body, signal) {
  let answer;
  try { answer = await fetch(path, body ? { method: "POST", headers: headers(), body: JSON.stringify(body), signal } : { headers: headers(), signal }); }
  catch (e) { throw e.name === "AbortError" ? e : new Error(words.offline); }
  if (answer.ok) return answer;
  if (answer.status === 401) { $("key-field").hidden = false; throw new Error(words.key_wanted); }
  let message = answer.status + " " + answer.statusText;
  try { message = (await answer.json()).error.message; } catch { /* not in JSON */ }
  throw new Error(message);
}

/* The objects of a stream of server-sent events. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter(l => l.startsWith("data:")).map(l => l.slice(5).trim()).join("\n");
      if (!data) continue;
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}

function notice(text) {
  $("notice").textContent = text || "";
  $("notice").hidden = !text;
}

/* ---- settings ---- */

function sampling() {
  const o = { model: model.id };
  for (const name of Object.keys(NUMBERS)) if ($(name).value !== "") o[name] = Number($(name).value);
  if (!o.top_k) delete o.top_k;
  if ($("stop").value) o.stop = [$("stop").value.replace(/\\n/g, "\n")];
  return o;
}

function show_numbers() {
  for (const e of document.querySelectorAll(".slide input")) e.parentNode.querySelector("output").textContent = Number(e.value).toFixed(2).replace(/0$/, "");
  document.body.classList.toggle("colours", $("colours").checked);
}

function open_settings() {
  const saved = JSON.parse(store.get("settings") || "{}");
  for (const [name, usual] of Object.entries(NUMBERS)) $(name).value = saved[name] ?? usual;
  $("stop").value = saved.stop || "";
  $("system").value = saved.system || "";
  $("colours").checked = saved.colours ?? true;
  $("settings").addEventListener("input", e => {
    if (e.target.id === "key") return;
    show_numbers();
    const now = { stop: $("stop").value, system: $("system").value, colours: $("colours").checked };
    for (const name of Object.keys(NUMBERS)) now[name] = $(name).value;
    store.set("settings", JSON.stringify(now));
  });
  $("key").addEventListener("change", load_models);
  $("key-field").onsubmit = e => { e.preventDefault(); load_models(); };
  show_numbers();
}

function toggle_sheet(open) {
  $("settings").classList.toggle("open", open);
  $("sheet").ariaExpanded = String(open);
  (open ? $("sheet-close") : $("sheet")).focus();
}

/* ---- models and views ---- */

/* The views that a model has. */
function views_of(m) {
  const { task, encoder } = m.meta;
  if (task === "classify" || task === "regress") return ["classify"];
  if (task === "language" || task === "pretrain") return encoder ? ["fill", "similar"] : ["chat", "complete"];
  return ["similar"];
}

function show_tabs() {
  const names = views_of(model);
  if (!names.includes(view)) view = names[0];
  $("tabs").replaceChildren(...names.map(name => element("button", { type: "button", id: "tab-" + name, role: "tab", textContent: words[name], tabIndex: name === view ? 0 : -1,
    ariaSelected: String(name === view), onclick: () => show_view(name) })));
  for (const e of $("tabs").children) e.setAttribute("aria-controls", "view-" + e.id.slice(4));
  for (const e of document.querySelectorAll("section")) e.hidden = e.id !== "view-" + view;
  for (const e of document.querySelectorAll("[data-for]")) e.hidden = e.dataset.for !== view;
  const writes = names.includes("chat");
  for (const e of document.querySelectorAll("aside .field, aside .pair, aside .check, .scale, .hint")) if (!e.dataset.for && e.parentNode.id !== "key-field") e.hidden = !writes;
  $("context").hidden = !writes;
  $("facts").textContent = writes ? words.settings : words.model;
}

function show_view(name, focus = true) {
  view = name;
  show_tabs();
  if (focus) $("tab-" + name).focus();
}

function describe_model() {
  const { arch, params, ctx, vocab, task } = model.meta;
  const size = params >= 1e9 ? (params / 1e9).toFixed(1) + " B" : params >= 1e6 ? (params / 1e6).toFixed(1) + " M" : (params / 1e3).toFixed(0) + " k";
  const rows = [["model", model.id], ["architecture", arch], ["parameters", size], ["context", ctx ? ctx.toLocaleString("en") : "∞"], ["vocabulary", vocab.toLocaleString("en")], ["task", task]];
  $("about").replaceChildren(...rows.flatMap(([k, v]) => [element("dt", { textContent: words[k] }), element("dd", { textContent: v })]));
}

/* The last token that was written is not read, so it needs no place. */
function use_context(n) {
  if (model.meta.ctx) n = Math.min(n, model.meta.ctx);
  $("context").firstElementChild.textContent = words.used(n, model.meta.ctx);
  $("context").lastElementChild.value = model.meta.ctx ? Math.min(1, n / model.meta.ctx) : 0;
  $("context").lastElementChild.hidden = !model.meta.ctx;
}

function use_model(id) {
  model = models.find(m => m.id === id) || models[0];
  document.title = model.id + " · lithe";
  show_tabs();
  describe_model();
  use_context(0);
  say_speed("");
  open_encoder();
  if (!chat.length) draw_chat();
}

async function load_models() {
  try {
    models = (await (await ask("/v1/models")).json()).data;
    notice("");
    $("model").replaceChildren(...models.map(m => element("option", { value: m.id, textContent: m.id })));
    use_model(query.get("model"));
    $("model").value = model.id;
  } catch (e) { notice(e.message); }
}

/* Runs one task at a time; its buttons for stopping are shown meanwhile. */
async function run(task) {
  if (running) return;
  running = new AbortController();
  notice("");
  for (const e of document.querySelectorAll(".stop")) e.hidden = false;
  for (const e of document.querySelectorAll("section .go")) e.hidden = Boolean(e.parentNode.querySelector(".stop"));
  try { await task(running.signal); }
  catch (e) { if (e.name !== "AbortError") notice(e.message); }
  running = null;
  for (const e of document.querySelectorAll(".stop")) e.hidden = true;
  for (const e of document.querySelectorAll("section .go")) e.hidden = false;
  allow();
}

function arrows(e) {
  const tabs = [...$("tabs").children], step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
  if (!step) return;
  const next = tabs[(tabs.findIndex(t => t.ariaSelected === "true") + step + tabs.length) % tabs.length];
  show_view(next.id.slice(4));
}

async function start() {
  paint(query.get("theme") || store.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  speak(query.get("lang") || store.get("language") || (navigator.language.startsWith("zh") ? "zh" : "en"));
  open_settings();
  open_writing();
  open_tokens();
  $("language").onclick = () => speak(words === WORDS.en ? "zh" : "en");
  $("theme").onclick = () => { paint(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); store.set("theme", document.documentElement.dataset.theme); };
  $("sheet").onclick = () => toggle_sheet(!$("settings").classList.contains("open"));
  $("sheet-close").onclick = () => toggle_sheet(false);
  $("model").onchange = () => use_model($("model").value);
  $("tabs").onkeydown = arrows;
  for (const e of document.querySelectorAll(".stop")) e.onclick = () => running && running.abort();
  document.addEventListener("keydown", e => {
    if (e.key !== "Escape") return;
    if ($("settings").classList.contains("open")) toggle_sheet(false);
    else if (running) running.abort();
  });
  await load_models();
  if (query.has("selftest") && models.length) selftest(query.get("selftest"));
}
