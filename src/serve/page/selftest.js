/* The page tests itself where it is opened with ?selftest: it types, reads, stops, and looks at its own colours and
 * sizes.  What it finds is the title of the page and a line on the console, "selftest: passed" or what is wrong. */
function expect(what, holds) { if (!holds) throw new Error(what); }

async function until(what, holds, seconds = 60) {
  for (const end = performance.now() + 1000 * seconds; !holds(); await new Promise(go => setTimeout(go, 20))) expect(what + " in " + seconds + " s", performance.now() < end);
}

function press(e, key, more = {}) { e.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more })); }

/* ---- colours ---- */

function channels(colour) {
  const numbers = colour.match(/[\d.]+/g).map(Number);
  return { rgb: numbers.slice(0, 3), a: numbers[3] ?? 1 };
}

/* The colour that lies under the text of an element. */
function ground(e) {
  const layers = [];
  for (; e; e = e.parentElement) layers.push(channels(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((under, { rgb, a }) => rgb.map((x, i) => x * a + under[i] * (1 - a)), [255, 255, 255]);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(e) {
  const a = luminance(channels(getComputedStyle(e).color).rgb), b = luminance(ground(e));
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/* Of many tokens the first ones do. */
function check_colours() {
  for (const e of document.body.querySelectorAll("*")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || e.disabled || e.matches(".t:nth-child(n + 9)") || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || ["SCRIPT", "OPTION"].includes(e.tagName)) continue;
    expect(`contrast ${contrast(e).toFixed(2)} of "${e.textContent.trim().slice(0, 30)}" in the ${document.documentElement.dataset.theme} theme`, contrast(e) >= 4.5);
  }
}

/* ---- sizes and names ---- */

function check_layout() {
  expect(`width ${document.documentElement.scrollWidth} of ${innerWidth}`, document.documentElement.scrollWidth <= innerWidth);
  for (const e of document.querySelectorAll("button, input, select, textarea")) {
    if (!e.checkVisibility({ visibilityProperty: true })) continue;
    const name = e.ariaLabel || e.textContent.trim() || [...(e.labels || [])].map(l => l.textContent.trim()).join(" ");
    expect(`${e.tagName} ${e.id} without a name`, name);
    const box = e.getBoundingClientRect();
    expect(`${e.id || e.textContent} reaches from ${box.left} to ${box.right} of ${innerWidth}`, box.left >= -1 && box.right <= innerWidth + 1);
  }
}

function check_looks() {
  for (const theme of ["light", "dark"]) for (const language of ["en", "zh"]) {
    paint(theme);
    speak(language);
    check_colours();
    check_layout();
  }
}

/* ---- views ---- */

/* A model of bytes writes what is no text: this is left of it. */
function letters(text) { return text.replace(/[^ -~]/g, ""); }

async function test_chat() {
  show_view("chat");
  $("max_tokens").value = 24;
  $("chat-text").value = "One day";
  press($("chat-text"), "Enter");
  await until("a reply begins", () => document.querySelector(".turn.assistant .t"));
  await until("it ends", () => !running);
  expect("there are two messages", chat.length === 2 && chat[0].content === "One day");
  const place = document.querySelector(".turn.assistant .said"), tokens = place.querySelectorAll(".t");
  expect("the tokens are the text", /\ufffd/.test(place.textContent) || [...tokens].map(t => t.textContent).join("") === chat[1].content);
  place.focus();
  press(place, "ArrowRight");
  expect("a token explains itself", !$("popover").hidden && $("popover").querySelectorAll(".bar").length >= 2);
  expect("speed is shown", /\d/.test($("speed").textContent) && /\d/.test($("context").textContent));
  $("max_tokens").value = 100000;
  for (let i = 0; i < 9 && !document.querySelector(".turn.assistant .stopped"); i++) {       /* some end by themselves */
    $("chat-again").click();
    await until("another reply begins", () => document.querySelectorAll(".turn.assistant .t").length > 3 || !running);
    document.querySelector("#chat-form .stop").click();
    await until("it stops", () => !running, 5);
  }
  expect("what was written stays", chat.length === 2 && chat[1].content && document.querySelectorAll(".turn.assistant").length === 1);
  expect("a text without an end was stopped", model.meta.ctx || document.querySelector(".turn.assistant .stopped"));
}

async function test_completion() {
  show_view("complete");
  $("max_tokens").value = 16;
  $("complete-text").value = "Once upon a time";
  press($("complete-text"), "Enter", { ctrlKey: true });
  await until("a text begins", () => $("written").querySelector(".t"));
  await until("it ends", () => !running);
  const text = $("written").textContent;
  $("complete-keep").click();
  expect("it is kept", letters($("complete-text").value) === letters("Once upon a time" + text) && !$("written").textContent);
  $("complete-score").click();
  await until("the text is scored", () => !running && $("written").querySelector(".t"));
  expect("all of it", letters($("written").textContent).endsWith(letters($("complete-text").value)) && /\d/.test($("speed").textContent));
}

const SHORT = { similar: "a cat\nthe dog\nno", fill: "a [MASK] sat", classify: "a cat" };

async function test_encoder(name, out) {
  show_view(name);
  $(name + "-text").value = SHORT[name];
  $(name + "-form").requestSubmit();
  await until(name, () => !running && ($(name + "-out").querySelector(out) || !$("notice").hidden));
  expect(name + ": " + $("notice").textContent, $("notice").hidden);
}

async function test_model() {
  if (views_of(model).includes("chat")) {
    forget();
    await test_completion();
    await test_chat();
  }
  for (const name of views_of(model)) if (!["chat", "complete"].includes(name)) await test_encoder(name, name === "similar" ? "td" : ".bar, h3");
}

/* Leaves the view `what` open, with what was written in it. */
async function selftest(what) {
  const theme = document.documentElement.dataset.theme, language = words === WORDS.zh ? "zh" : "en", first = model.id;
  let found = "passed";
  try {
    for (const id of [...models.map(m => m.id).filter(id => id !== first), first]) {
      use_model(id);
      await test_model();
      for (const name of views_of(model)) { show_view(name); check_looks(); }
    }
  } catch (e) { found = `${model.id}: ${e.message}`; }
  $("max_tokens").value = NUMBERS.max_tokens;
  paint(theme);
  speak(language);
  if (what) show_view(what, false);
  document.title = "selftest: " + found;
  console.log("selftest: " + found);
}
