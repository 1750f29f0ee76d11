// Looks at a report as it is drawn and writes "look: WIDTH pixels, N figures, M faults: ..." to the console.
addEventListener('load', () => {
  const faults = [], root = document.documentElement, figures = [...document.querySelectorAll('figure')];
  const box = e => e.getBoundingClientRect();
  const drawn = 'polyline, polygon, circle, path, g > rect, svg > rect, g > line:not(.g):not(.a)';
  const outside = (t, f) => t.left < f.left - 1 || t.right > f.right + 1 || t.top < f.top - 1 || t.bottom > f.bottom + 1;
  // Boxes of letters have room above and below the ink.
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.3 * Math.min(a.height, b.height);

  if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} pixels wide`);
  for (const figure of figures) {
    const name = figure.querySelector('figcaption').textContent, svg = figure.querySelector('svg');
    if (!svg) { faults.push(`${name}: it is empty`); continue; }
    const frame = box(svg);
    const texts = [...svg.querySelectorAll('text')].filter(t => !t.closest('.m')).map(t => ({ text: t.textContent, box: box(t) }));
    if (frame.width < 200 || frame.width > innerWidth) faults.push(`${name}: it is ${frame.width} pixels wide`);
    if (![...svg.querySelectorAll(drawn)].some(e => Math.max(box(e).width, box(e).height) > 5 && !outside(box(e), frame))) faults.push(`${name}: nothing is drawn`);
    for (const t of texts) {
      if (outside(t.box, frame)) faults.push(`${name}: ${t.text} is cut off`);
      if (t.box.height < 9) faults.push(`${name}: ${t.text} is ${t.box.height} pixels high`);
    }
    const column = texts.filter(t => Math.abs(t.box.right - texts.reduce((least, x) => Math.min(least, x.box.right), 1e9)) < 2).map(t => t.text);
    for (const text of new Set(column)) if (column.filter(t => t === text).length > 1) faults.push(`${name}: ${text} is there twice`);
    for (let i = 0; i < texts.length; i++)
      for (let k = 0; k < i; k++) if (overlap(texts[i].box, texts[k].box)) faults.push(`${name}: ${texts[k].text} lies over ${texts[i].text}`);
  }
  for (const table of document.querySelectorAll('table'))
    if (box(table.querySelector('td')).width > 0.65 * innerWidth) faults.push('a table shows its first column only');
  for (const place of document.querySelectorAll('.wide'))
    if (window.paper && place.scrollWidth > place.clientWidth) faults.push(`a table of ${place.scrollWidth} pixels does not fit on paper`);
  for (const e of document.querySelectorAll('h1, h2, h3, p, .key, pre, figcaption'))
    if (e.scrollWidth > e.clientWidth + 1) faults.push(`${e.tagName} "${e.textContent.slice(0, 30)}" is wider than its place`);
  console.log(`look: ${innerWidth} pixels, ${figures.length} figures, ${faults.length} faults: ${faults.slice(0, 12).join('; ')}`);
});
