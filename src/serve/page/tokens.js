/* Tokens on the page: each with a colour by its surprise, and what else was likely. */
const encoder_of_bytes = new TextEncoder(), NO_TEXT = "\ufffd";

/* The bytes of a token as the server writes it: a text, or bytes:\xe2\x80 where it is no whole character. */
function bytes_of(text) {
  if (!text.startsWith("bytes:")) return encoder_of_bytes.encode(text);
  return Uint8Array.from([...text.matchAll(/\\x([0-9a-f]{2})/gi)].map(m => parseInt(m[1], 16)));
}

/* Shows a text that grows, as tokens.  The tokens are known by their bytes; the text is what is shown, and ends earlier
 * than the tokens where a stop string was found. */
class TokenText {
  constructor(place) {
    this.place = place;
    this.text = "";
    this.shown = 0;                     /* characters of the text that are tokens on the page */
    this.count = 0;
    this.bits = [];
    this.waiting = [];
    this.decoder = new TextDecoder();
    this.tail = document.createTextNode("");
    place.replaceChildren(this.tail);
  }
  token(bytes, logprob, others) {
    this.waiting.push({ text: this.decoder.decode(bytes, { stream: true }), logprob, others });
    if (logprob !== null) this.bits.push(-logprob / Math.LN2);
    this.count++;
  }
  add(text) { this.text += text; }
  /* Puts what is new on the page. */
  flush() {
    const fresh = document.createDocumentFragment();
    for (let end; this.waiting.length && (end = this.end_of(this.waiting[0].text)) >= 0; this.shown = end) {
      const { logprob, others } = this.waiting.shift();
      if (end > this.shown) fresh.append(this.span(this.text.slice(this.shown, end), logprob, others));
    }
    this.tail.before(fresh);
    this.tail.data = this.text.slice(this.shown);
  }
  /* Where a token ends that begins where the tokens on the page end; -1: not in the text that is there.  For bytes that
   * are no text the server may have written more or fewer signs than are counted here. */
  end_of(own) {
    let at = this.shown;
    for (const c of own) {
      if (c === NO_TEXT) { if (this.text[at] === c) at++; continue; }
      while (this.text[at] === NO_TEXT) at++;
      if (!this.text.startsWith(c, at)) return -1;
      at += c.length;
    }
    return at;
  }
  span(text, logprob, others) {
    const e = element("span", { className: "t", textContent: text });
    if (logprob === null) return e;
    e.style.setProperty("--s", Math.min(.5, -logprob / Math.LN2 / 20).toFixed(3));
    e.probability = Math.exp(logprob);
    e.others = others;
    return e;
  }
}

function percent(p) { return p > 0.9995 ? "100 %" : p >= 0.01 ? (100 * p).toFixed(1) + " %" : p >= 1e-5 ? (100 * p).toPrecision(1) + " %" : "~0 %"; }
function visible(text) { return text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/^ | $/g, "␣") || "∅"; }

function bar(label, p, mine) {
  const e = element("div", { className: mine ? "bar this" : "bar" }, element("code", { textContent: label }), element("i"), element("span", { textContent: percent(p) }));
  e.children[1].style.setProperty("--w", 100 * p + "%");
  return e;
}

/* The popover beside a token: its probability, and the likeliest ones there. */
function explain(e) {
  const p = $("popover");
  if (!e || e.probability === undefined) { p.hidden = true; return; }
  const own = e.textContent, others = (e.others || []).map(([text, logprob]) => [text, Math.exp(logprob)]);
  p.replaceChildren(element("b", { textContent: visible(own) }), element("p", { textContent: words.bits(percent(e.probability), (-Math.log2(e.probability)).toFixed(1)) }),
    ...others.map(([text, q]) => bar(visible(text), q, text === own)));
  p.hidden = false;
  const box = e.getBoundingClientRect(), w = p.offsetWidth, h = p.offsetHeight;
  p.style.left = Math.max(8, Math.min(box.left, innerWidth - w - 8)) + "px";
  p.style.top = (box.bottom + h + 10 < innerHeight ? box.bottom + 6 : Math.max(8, box.top - h - 6)) + "px";
}

function point(e) {
  for (const old of document.querySelectorAll(".t.at")) old.classList.remove("at");
  if (e) { e.classList.add("at"); e.scrollIntoView({ block: "nearest" }); }
  explain(e);
}

/* Arrow keys move from token to token. */
function walk(event) {
  const place = event.target.closest(".tokens"), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!place || event.target !== place || !step) return;
  const all = [...place.querySelectorAll(".t")], now = all.findIndex(e => e.classList.contains("at"));
  event.preventDefault();
  point(all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + step))]);
}

function open_tokens() {
  document.addEventListener("pointerover", e => e.target.classList.contains("t") && e.pointerType === "mouse" ? explain(e.target) : e.target.closest(".tokens") || explain(null));
  document.addEventListener("click", e => point(e.target.classList.contains("t") ? e.target : null));
  document.addEventListener("keydown", walk);
  document.addEventListener("focusout", e => e.target.classList && e.target.classList.contains("tokens") && point(null));
  document.addEventListener("scroll", () => explain(null), true);
}
