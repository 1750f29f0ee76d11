/* Encoders: how alike lines are, what fits a mask, which class a text has. */
const MASKS = ["[MASK]", "<mask>"];
const EXAMPLES = {
  similar: "The cat sleeps on the warm windowsill.\nA kitten naps in the sun.\nInterest rates rose again this quarter.\nThe central bank tightened its policy.",
  fill: "The capital of France is " + MASKS[0] + ".",
};
let mask = MASKS[0];

async function open_encoder() {
  if (views_of(model).includes("chat")) return;
  if (!$("similar-text").value) $("similar-text").value = EXAMPLES.similar;
  try { mask = (await (await ask("/tokenizer_info?model=" + encodeURIComponent(model.id))).json()).mask_token || mask; }
  catch { /* the usual one */ }
  if (!$("fill-text").value) $("fill-text").value = EXAMPLES.fill.replace(MASKS[0], mask);
}

function cosine(a, b) { return a.reduce((sum, x, i) => sum + x * b[i], 0); }

async function similar(signal) {
  const lines = $("similar-text").value.split("\n").map(l => l.trim()).filter(Boolean);
  if (!lines.length) return;
  const data = (await (await ask("/v1/embeddings", { model: model.id, input: lines, encoding_format: "float" }, signal)).json()).data;
  const vectors = data.map(d => d.embedding);
  const cell = x => { const e = element("td", { textContent: x.toFixed(2) }); e.style.setProperty("--s", (Math.max(0, x) ** 2 * .5).toFixed(3)); return e; };
  const head = element("tr", {}, element("td", { ariaHidden: "true" }), ...lines.map((l, i) => element("th", { scope: "col", textContent: String(i + 1), title: l })));
  const rows = lines.map((l, i) => element("tr", {}, element("th", { scope: "row", textContent: i + 1 + "  " + l, title: l }), ...vectors.map(v => cell(cosine(vectors[i], v)))));
  $("similar-out").replaceChildren(element("div", { className: "matrix", tabIndex: 0, role: "region", ariaLabel: words.similar }, element("table", {}, head, ...rows)));
}

async function fill(signal) {
  const answer = (await (await ask("/fill", { model: model.id, text: $("fill-text").value, top: 8 }, signal)).json()).data[0];
  $("fill-out").replaceChildren(...answer.masks.map((candidates, i) => element("div", { className: "wide" }, element("h3", { textContent: `${mask} ${i + 1}` }),
    ...candidates.map(c => bar(visible(c.token), c.probability)))));
}

async function classify(signal) {
  const text = $("classify-text").value, second = $("classify-pair").value.trim();
  if (!text.trim()) return;
  const number = model.meta.task === "regress";
  const answer = await (await ask("/predict", { model: model.id, inputs: second ? [text, second] : text, raw_scores: number }, signal)).json();
  $("classify-out").replaceChildren(element("div", { className: "wide" },
    ...answer.map(c => number ? element("h3", { textContent: c.score.toPrecision(5) }) : bar(c.label, c.score))));
}

for (const [name, task] of [["similar", similar], ["fill", fill], ["classify", classify]])
  $(name + "-form").onsubmit = e => { e.preventDefault(); run(task); };
$("fill-mask").onclick = () => { $("fill-text").setRangeText(mask, $("fill-text").selectionStart, $("fill-text").selectionEnd, "end"); $("fill-text").focus(); };
