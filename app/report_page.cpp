#include "app/report_page.h"

namespace elbo {

const char* const report_style = R"css(
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5f6b7a; --line: #e3e7ec; --page: #f6f7f9;
        --card: #fff; --note: #fff6e5; --blue: #2f6db5; --orange: #d9822b; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e3e7ec; --soft: #9aa6b4; --line: #343d49; --page: #14191f; --card: #1d242c;
          --note: #3a2f1b; --blue: #6ea8e6; --orange: #eba253; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
       font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 24px; font-weight: 600; margin: 0; }
h2 { font-size: 16px; font-weight: 600; margin: 0 0 10px; }
p { margin: 4px 0; } .soft { color: var(--soft); font-size: 13px; }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 14px 0 0; padding: 10px 14px; background: var(--card); border: 1px solid var(--line);
      border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
pre span { white-space: nowrap; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 12px;
         margin: 20px 0; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.tile { padding: 10px 14px; } .tile b { display: block; font-size: 20px; font-weight: 600; }
.tile span { color: var(--soft); font-size: 13px; }
section { padding: 16px 18px; margin: 0 0 16px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 16px; }
.charts div { position: relative; height: 240px; min-width: 0; }
.halves { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 16px; }
.halves section { margin: 0; min-width: 0; } .halves { margin: 0 0 16px; }
.tall { position: relative; height: 340px; }
img { display: block; width: 100%; image-rendering: pixelated; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { padding: 3px 10px 3px 0; text-align: left; border-bottom: 1px solid var(--line);
         font-size: 13px; vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; } .numbers td, .numbers th { text-align: right; }
.scroll { max-height: 380px; overflow: auto; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 0 32px;
     margin: 0 0 8px; }
dl div { display: flex; justify-content: space-between; gap: 16px; padding: 3px 0; font-size: 13px;
         border-bottom: 1px solid var(--line); }
dt { color: var(--soft); white-space: nowrap; }
dd { margin: 0; min-width: 0; text-align: right; overflow-wrap: anywhere; }
.walk { display: grid; grid-template-columns: 90px 1fr; align-items: center; font-size: 13px; }
.walk + .walk { margin-top: 3px; }
.walks { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr));
         gap: 16px 28px; margin: 0 0 8px; }
.numbers td:first-child, .numbers th:first-child { text-align: left; }
.walks > div { overflow-x: auto; } .heat td { white-space: nowrap; }
.heat td, .heat th { padding: 3px 6px; } .heat th:first-child { padding-left: 0; }
.bar { position: relative; min-width: 120px; }
.bar i { position: absolute; inset: 3px auto 3px 0; background: var(--blue); opacity: .3; }
.note { padding: 6px 12px; background: var(--note); border-radius: 6px; font-size: 13px; }
.chosen td { font-weight: 600; } table + p, p + .note { margin-top: 8px; }
details summary { cursor: pointer; }
@media print { body { background: var(--card); } section, .tile { break-inside: avoid; } }
)css";

const char* const report_colours = R"js(
const dark = matchMedia('screen and (prefers-color-scheme: dark)');
dark.addEventListener('change', () => location.reload());  // charts keep the colours they were drawn in
const shown = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const blue = shown('--blue'), orange = shown('--orange');
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.color = shown('--soft');
Chart.defaults.borderColor = shown('--line');
)js";

const char* const report_script = R"js(
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
const title = text => ({display: true, text});

function curve(id, key, name) {
  const canvas = document.getElementById(id);
  if (!canvas) return;
  const radius = run.metrics.length > 30 ? 0 : 2.5;
  const line = (label, from, color, dash) => ({
    label, data: run.metrics.map(m => ({x: m.epoch, y: m[from]})), borderColor: color,
    backgroundColor: color, borderDash: dash, borderWidth: 2, pointRadius: radius, clip: 4,
    tension: 0});
  const datasets = [line('training', key, blue, [])];
  if (run.metrics.some(m => m['valid_' + key] !== null))
    datasets.push(line('validation', 'valid_' + key, orange, [6, 4]));
  new Chart(canvas, {type: 'line', data: {datasets}, options: {
    interaction: {mode: 'index', intersect: false},
    plugins: {title: title(name + ' (nats per datum)'),
              legend: {display: datasets.length > 1, labels: {boxWidth: 24, boxHeight: 0}}},
    scales: {x: {type: 'linear', title: title('epoch'), ticks: {precision: 0},
                 min: 1, max: Math.max(2, run.metrics.length)},
             y: {grace: '3%'}}}});
}
curve('elbo', 'elbo', 'ELBO');
curve('log_likelihood', 'log_likelihood', 'log-likelihood');
curve('kl', 'kl', 'KL');

if (document.getElementById('units'))
  new Chart(document.getElementById('units'), {type: 'bar', data: {
      labels: run.kl.map(u => u.unit),
      datasets: [{data: run.kl.map(u => u.kl), backgroundColor: blue}]},
    options: {plugins: {legend: {display: false},
                        tooltip: {callbacks: {title: items => 'unit ' + items[0].label}}},
              scales: {x: {title: title('latent unit'), grid: {display: false}},
                       y: {title: title('KL (nats)'), beginAtZero: true}}}});

const palette = [blue, orange, '#3a9a5b', '#d05050', '#8f72c4', '#a0765a', '#d667a8', '#8a8a8a',
                 '#a8a52c', '#2ba7b8'];
if (document.getElementById('scatter')) {
  const groups = new Map();
  for (const [x, y, label] of run.points) {
    if (!groups.has(label)) groups.set(label, []);
    groups.get(label).push({x, y});
  }
  const known = [...groups.keys()].sort((a, b) => a - b);
  const color = i => known.length <= palette.length ? palette[i]
                                                    : `hsl(${360 * i / known.length} 55% 50%)`;
  const nameOf = label => run.names.length ? run.names[label] ?? 'unknown' : String(label);
  new Chart(document.getElementById('scatter'), {type: 'scatter', data: {
      datasets: known.map((label, i) => ({label: nameOf(label), data: groups.get(label),
        backgroundColor: color(i) + (known.length <= palette.length ? 'b0' : ''),
        pointRadius: run.points.length > 1000 ? 1.8 : 2.8}))},
    options: {plugins: {legend: {display: known.length > 1 && known.length <= 20,
                                 labels: {boxWidth: 8, boxHeight: 8, usePointStyle: true}}},
              scales: {x: {title: title('unit ' + run.axes[0])},
                       y: {title: title('unit ' + run.axes[1])}}}});
}
)js";

}  // namespace elbo
