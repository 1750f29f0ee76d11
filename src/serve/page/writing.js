/* Chat and completion: texts as they come. */
const TOP = 5;                                  /* alternatives to a token */
const FRAME = 30;                               /* milliseconds in which a text that grows is shown once */
let chat = [], last_prompt = "";

/* ---- the stream ---- */

/* Shows a stream as it comes, and how fast it is.  take(choice, shown) gives a choice's tokens and text to it. */
async function stream(path, body, shown, take, signal) {
  const began = performance.now(), answer = await ask(path, { ...body, stream: true, stream_options: { include_usage: true } }, signal);
  let first = 0, reason = null, usage = null, painted = began;
  say_speed(words.reading);
  try {
    for await (const event of events(answer)) {
      if (event.usage) usage = event.usage;
      const choice = event.choices && event.choices[0];
      if (!choice) continue;
      const before = shown.count;
      take(choice, shown);
      if (!first && shown.count > before) first = performance.now();
      reason = choice.finish_reason || reason;
      if (performance.now() - painted < FRAME) continue;
      show(shown, first, began);
      await new Promise(go => setTimeout(go));              /* a fast model leaves the page time for buttons */
      painted = performance.now();
    }
  } catch (e) {
    if (e.name !== "AbortError") throw e;
    reason = "stopped";
  }
  show(shown, first, began);
  if (usage) use_context(usage.total_tokens);
  return { reason, usage };
}

function show(shown, first, began) {
  const n = shown.count;
  shown.flush();
  follow(shown.place);
  if (!first || !n) return;
  const seconds = (performance.now() - first) / 1000;
  say_speed(words.speed(n, n > 1 && seconds > 0 ? ((n - 1) / seconds).toFixed(1) : "–"), words.first(((first - began) / 1000).toFixed(2)));
}

function say_speed(text, first = "") {
  $("speed").textContent = text;
  $("first").textContent = first;
}

/* Keeps the end in sight for those who look at it. */
function follow(place) {
  const scroll = place.closest(".scroll");
  if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120) scroll.scrollTop = scroll.scrollHeight;
}

/* ---- chat ---- */

function bubble(role) {
  const said = element("div", { className: role === "user" ? "said" : "said tokens" });
  if (role !== "user") { said.tabIndex = 0; said.setAttribute("role", "group"); said.ariaLabel = words.reply; }
  const turn = element("article", { className: "turn " + role }, ...(role === "user" ? [element("span", { className: "hidden", textContent: words.you + ": " })] : []), said);
  $("turns").append(turn);
  return said;
}

function welcome() {
  return element("div", { className: "welcome" }, element("h2", { textContent: words.ask }),
    element("p", { textContent: model ? model.id + " · " + model.meta.arch : "" }),
    ...words.ideas.map(text => element("button", { type: "button", textContent: text, onclick: () => { $("chat-text").value = text; send(); } })));
}

function draw_chat() {
  $("turns").replaceChildren();
  if (!chat.length) $("turns").append(welcome());
}

function take_chat(choice, shown) {
  for (const t of choice.logprobs?.content || [])
    shown.token(t.bytes ? Uint8Array.from(t.bytes) : bytes_of(t.token), t.logprob, (t.top_logprobs || []).map(o => [o.token, o.logprob]));
  shown.add(choice.delta?.content || "");
}

function finish_turn(place, shown, reason) {
  const copy = element("button", { type: "button", textContent: words.copy, onclick: async () => { await navigator.clipboard.writeText(shown.text); copy.textContent = words.copied; } });
  const mean = shown.bits.length ? shown.bits.reduce((a, b) => a + b, 0) / shown.bits.length : 0;
  place.parentNode.append(element("div", { className: "done" }, ...(shown.bits.length ? [element("span", { textContent: words.scored(shown.bits.length, mean.toFixed(2)) })] : []),
    ...(reason === "stopped" || reason === "length" ? [element("span", { className: reason, textContent: words[reason] })] : []), copy));
}

/* Lets the model reply to the conversation. */
async function reply(signal) {
  const system = $("system").value.trim(), place = bubble("assistant"), shown = new TokenText(place);
  const messages = [...(system ? [{ role: "system", content: system }] : []), ...chat];
  $("turns").ariaBusy = "true";
  place.classList.add("caret");
  let end = { reason: null };
  try { end = await stream("/v1/chat/completions", { ...sampling(), messages, logprobs: true, top_logprobs: TOP }, shown, take_chat, signal); }
  finally {
    place.classList.remove("caret");
    $("turns").ariaBusy = "false";
    if (shown.text || end.reason) chat.push({ role: "assistant", content: shown.text });
    else place.parentNode.remove();
  }
  if (!shown.text) place.append(element("span", { className: "given", textContent: words.nothing }));
  finish_turn(place, shown, end.reason);
  follow(place);
}

function send() {
  const text = $("chat-text").value;
  if (!text.trim() || running) return;
  if (!chat.length) $("turns").replaceChildren();
  chat.push({ role: "user", content: text });
  bubble("user").textContent = text;
  $("turns").scrollTop = $("turns").scrollHeight;
  $("chat-text").value = "";
  grow();
  return run(reply);
}

/* Another reply to the last message. */
function again() {
  if (running) return;
  if (chat.at(-1)?.role === "assistant") { chat.pop(); $("turns").lastElementChild.remove(); }
  if (chat.length) return run(reply);
}

function forget() {
  if (running) running.abort();
  chat = [];
  draw_chat();
  use_context(0);
  say_speed("");
  allow();
  $("chat-text").focus();
}

/* ---- completion ---- */

function take_completion(choice, shown) {
  const l = choice.logprobs;
  for (let i = 0; l && i < l.tokens.length; i++)
    shown.token(bytes_of(l.tokens[i]), l.token_logprobs[i], Object.entries(l.top_logprobs?.[i] || {}).sort((a, b) => b[1] - a[1]));
  shown.add(choice.text);
}

async function complete(signal) {
  const shown = new TokenText($("written"));
  last_prompt = $("complete-text").value;
  $("written").classList.add("caret");
  try { await stream("/v1/completions", { ...sampling(), prompt: last_prompt, logprobs: TOP }, shown, take_completion, signal); }
  finally { $("written").classList.remove("caret"); }
  if (!shown.text) $("written").append(element("span", { className: "given", textContent: words.nothing }));
}

/* How likely the model finds the text that is there. */
async function score(signal) {
  const answer = await (await ask("/v1/completions", { model: model.id, prompt: $("complete-text").value, max_tokens: 0, echo: true, logprobs: TOP }, signal)).json();
  const shown = new TokenText($("written"));
  take_completion(answer.choices[0], shown);
  shown.flush();
  const bits = shown.bits.reduce((a, b) => a + b, 0) / Math.max(1, shown.bits.length);
  say_speed(words.scored(shown.bits.length, bits.toFixed(2)));
  use_context(answer.usage.total_tokens);
}

function keep() {
  $("complete-text").value = last_prompt + $("written").textContent;
  $("written").replaceChildren();
  allow();
}

/* ---- buttons ---- */

function allow() {
  $("chat-again").disabled = !chat.length;
  $("complete-again").disabled = $("complete-keep").disabled = !$("written").textContent;
}

function grow() {
  const e = $("chat-text");
  e.style.height = "auto";
  e.style.height = e.scrollHeight + "px";
}

function open_writing() {
  $("chat-form").onsubmit = e => { e.preventDefault(); send(); };
  $("chat-text").oninput = grow;
  $("chat-text").onkeydown = e => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); send(); } };
  $("chat-new").onclick = forget;
  $("chat-again").onclick = again;
  $("complete-form").onsubmit = e => { e.preventDefault(); run(complete); };
  $("complete-text").onkeydown = e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); run(complete); } };
  $("complete-again").onclick = () => { $("complete-text").value = last_prompt; run(complete); };
  $("complete-score").onclick = () => $("complete-text").value && run(score);
  $("complete-keep").onclick = keep;
}
