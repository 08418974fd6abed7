// Asks the server that sent this page, over TF Serving's REST interface.
"use strict";

const model = `/v1/models/${encodeURIComponent(document.body.dataset.model)}`;

async function get(path, request) {
  const answer = await fetch(path, request);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

async function predict(signature, row) {
  const body = JSON.stringify({ signature_name: signature, instances: [{ ...row, k: 10 }] });
  return (await get(`${model}:predict`, { method: "POST", body })).predictions[0];
}

// What is composed is of a word that is not in the vocabulary, and whose vector is made of its n-grams.
function show(list, words, scores, composed) {
  list.replaceChildren(...words.filter((word) => word).map((word, place) => {
    const item = document.createElement("li"), score = document.createElement("span");
    score.textContent = scores[place].toFixed(3);
    item.append(score, word);
    return item;
  }));
  if (composed) {
    const item = document.createElement("li");
    item.className = "composed";
    item.textContent = "not in the vocabulary: made of its n-grams";
    list.prepend(item);
  }
}

function say(list, problem) {
  const item = document.createElement("li");
  item.className = "problem";
  item.textContent = problem;
  list.replaceChildren(item);
}

// "king woman -man": the words to add, and those to take off.
function terms({ words }) {
  const all = words.split(/\s+/).filter((word) => word);
  const minus = all.filter((word) => word.length > 1 && word.startsWith("-"));
  return {
    positive: all.filter((word) => !minus.includes(word)).join(" "),
    negative: minus.map((word) => word.slice(1)).join(" "),
    restrict_vocab: 0,
  };
}

// Answers a form's questions with the words of one of the signature's outputs.
function answers(form, list, signature, output, inputs = (row) => row) {
  let asked = 0;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const row = Object.fromEntries(new FormData(form)), number = ++asked;
    try {
      const found = await predict(signature, inputs(row));
      if (number !== asked) return; // a later question was asked meanwhile
      if (found.known || found.composed) show(list, found[output], found.scores, found.composed);
      else say(list, `unknown: ${/\s/.test(Object.values(row).join(" ").trim()) ? "one of these words" : row.words}`);
    } catch (error) {
      say(list, error.message);
    }
  });
}

async function drawMap() {
  const place = document.getElementById("map");
  const { words, x, y } = await get("/map");
  const color = getComputedStyle(document.body).color;
  const axis = { visible: false };
  place.replaceChildren();
  await Plotly.newPlot(place, [{
    type: "scatter", mode: "markers+text", x, y, text: words.map((word, rank) => (rank < 150 ? word : "")),
    hovertext: words, hoverinfo: "text", textposition: "top center", textfont: { color, size: 11 },
    marker: { size: 5, opacity: .6 },
  }], {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    xaxis: axis, yaxis: axis, dragmode: "pan", hovermode: "closest",
  }, { responsive: true, scrollZoom: true, displaylogo: false });
  place.on("plotly_click", ({ points }) => {
    const form = document.getElementById("similar");
    form.words.value = words[points[0].pointIndex];
    form.requestSubmit();
  });
}

answers(document.getElementById("similar"), document.getElementById("neighbours"), "nearest", "neighbours", terms);
answers(document.getElementById("analogy"), document.getElementById("answers"), "analogy", "answers");
get(model).then(({ model_version_status: versions }) => {
  document.getElementById("status").textContent = `version ${versions[0].version}`;
}).catch((error) => { document.getElementById("status").textContent = error.message; });
drawMap().catch((error) => { document.getElementById("map").textContent = error.message; });
