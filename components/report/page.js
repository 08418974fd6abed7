"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function colours() {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
  return { text, axis };
}

function draw() {
  const { text, axis } = colours();
  for (const [name, chart] of Object.entries(data.charts)) {
    const layout = { ...chart.layout, font: { color: text, family: "system-ui, sans-serif" } };
    for (const key of ["xaxis", "yaxis", "yaxis2"]) {
      if (layout[key]) layout[key] = { ...axis, ...layout[key] };
    }
    const options = { responsive: true, displaylogo: false, scrollZoom: name === "map", displayModeBar: false };
    Plotly.react(document.getElementById(name), chart.data, layout, options);
  }
}

const place = new Map(data.words.map((word, index) => [word, index]));
const input = document.getElementById("word"), list = document.getElementById("neighbours");

// As the charts have it: Plotly reads markup and entities.
function plain(word) {
  return word.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function mark(word) {
  const points = data.charts.map.data[0], index = points.customdata.findIndex((entry) => entry[0] === plain(word));
  const at = index < 0 ? { x: [[]], y: [[]], text: [[]] }
    : { x: [[data.places[index][0]]], y: [[data.places[index][1]]], text: [[plain(word)]] };
  Plotly.restyle("map", at, [1]);
}

function show(word) {
  word = word.trim().toLowerCase();
  const index = place.get(word);
  list.replaceChildren();
  mark(word);
  if (!word) return;
  if (index === undefined) {
    const item = document.createElement("p");
    item.textContent = `“${word}” is not among the ${data.words.length.toLocaleString("en")} most frequent words.`;
    list.append(item);
    return;
  }
  data.neighbours[index].forEach(([neighbour, cosine]) => {
    const item = document.createElement("li"), link = document.createElement("a"), score = document.createElement("span");
    link.textContent = neighbour;
    link.addEventListener("click", () => { input.value = neighbour; show(neighbour); });
    score.textContent = ` ${cosine.toFixed(2)}`;
    score.className = "quiet";
    item.append(link, score);
    list.append(item);
  });
}

document.getElementById("words").append(...data.words.slice(0, 1000).map((word) => {
  const option = document.createElement("option");
  option.value = word;
  return option;
}));
input.addEventListener("input", () => show(input.value));
dark.addEventListener("change", draw);
draw();
if (data.first) { input.value = data.first; show(data.first); }
document.body.dataset.ready = "yes";
