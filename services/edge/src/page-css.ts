/** The style of the page to try the fleet; light and dark by the reader's system. */
export const pageCss = String.raw`
:root {
  color-scheme: light dark;
  --bg: #eef1f4; --surface: #ffffff; --sunken: #f6f8fa; --line: #d9e0e7; --line-strong: #b7c3cf;
  --ink: #10202f; --soft: #4a5b6c; --accent: #0a5f92; --accent-ink: #ffffff; --accent-wash: #e3f0f8;
  --good: #11683f; --good-wash: #def3e6; --warn: #7d4d00; --warn-wash: #fdf0d2; --bad: #a3201d; --bad-wash: #fce4e2;
  --new: #fff6d6; --hue-light: 29%;
  --sans: ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  --mono: ui-monospace, 'SF Mono', SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0a121c; --surface: #111c29; --sunken: #0d1722; --line: #22303f; --line-strong: #3b4e62;
    --ink: #e8eff6; --soft: #9db0c3; --accent: #6cc1f5; --accent-ink: #06202f; --accent-wash: #12304a;
    --good: #7fdca6; --good-wash: #10321f; --warn: #f3c46a; --warn-wash: #392a0c; --bad: #ff9c94; --bad-wash: #421917;
    --new: #2b2a14; --hue-light: 72%;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.45 var(--sans); }
h1, h2, p, ol, ul, dl, dd { margin: 0; padding: 0; }
ol, ul { list-style: none; }
h2 { font-size: 0.95rem; font-weight: 650; letter-spacing: -0.005em; }
code, .mono { font-family: var(--mono); font-size: 0.86em; font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); }
.small { font-size: 0.82rem; }
.quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

button, input { font: inherit; color: inherit; }
button {
  border: 1px solid var(--line-strong); border-radius: 7px; background: var(--surface); padding: 0.42rem 0.8rem;
  cursor: pointer; font-weight: 550; white-space: nowrap;
}
button:hover:not(:disabled) { border-color: var(--accent); color: var(--accent); }
button:disabled { opacity: 0.5; cursor: default; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
button.primary:hover:not(:disabled) { color: var(--accent-ink); filter: brightness(1.1); }
button.bare { border: 0; background: none; padding: 0.2rem 0.4rem; color: var(--soft); font-weight: 500; font-size: 0.85rem; }
input:not([type='checkbox']) {
  width: 100%; min-width: 0; border: 1px solid var(--line-strong); border-radius: 7px; background: var(--surface);
  padding: 0.42rem 0.6rem;
}
input[type='checkbox'] { accent-color: var(--accent); width: 1rem; height: 1rem; margin: 0; }
input::placeholder { color: var(--soft); opacity: 0.8; }
input[aria-invalid='true'] { border-color: var(--bad); }
label.field { display: grid; gap: 0.2rem; min-width: 0; font-size: 0.78rem; color: var(--soft); font-weight: 550; }
label.field input { font-size: 0.93rem; color: var(--ink); font-weight: 400; }
label.check { display: inline-flex; align-items: center; gap: 0.45rem; font-size: 0.85rem; }

.page {
  max-width: 1480px; min-height: 100vh; margin: 0 auto; padding: 0 1.25rem 1.25rem;
  display: grid; grid-template-rows: auto 1fr; gap: 1rem;
}
header { display: flex; flex-wrap: wrap; align-items: center; gap: 0.6rem 1.5rem; padding: 1rem 0 0; }
.brand { display: flex; align-items: center; gap: 0.6rem; }
.brand svg { width: 30px; height: 30px; color: var(--accent); flex: none; }
.brand h1 { font-size: 1.3rem; font-weight: 700; letter-spacing: -0.025em; line-height: 1; }
.who { display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem; }
.who div { display: flex; gap: 0.4rem; align-items: baseline; min-width: 0; }
.who dt { color: var(--soft); font-size: 0.78rem; }
.who dd { overflow-wrap: anywhere; font-weight: 550; font-size: 0.92rem; }
.actions { display: flex; align-items: center; gap: 0.7rem; flex-wrap: wrap; margin-left: auto; }
.pill {
  display: inline-flex; align-items: center; gap: 0.45rem; border-radius: 999px; padding: 0.22rem 0.75rem 0.22rem 0.6rem;
  font-weight: 600; font-size: 0.85rem; background: var(--warn-wash); color: var(--warn);
}
.pill::before { content: ''; width: 0.55rem; height: 0.55rem; border-radius: 50%; background: currentColor; }
.pill[data-state='connected'] { background: var(--good-wash); color: var(--good); }
.pill[data-state='closed'] { background: var(--bad-wash); color: var(--bad); }

.panel { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; min-width: 0; }
.head { display: flex; align-items: center; gap: 0.5rem 0.75rem; padding: 0.75rem 1rem 0.55rem; flex-wrap: wrap; }
.head .push { margin-left: auto; }
.body { padding: 0 1rem 1rem; }

.entry { max-width: 44rem; margin: 6vh auto 0; padding: 1.6rem; display: grid; gap: 1rem; align-self: start; width: 100%; }
.entry h2 { font-size: 1.35rem; letter-spacing: -0.02em; }
.entry form { display: flex; gap: 0.6rem; align-items: end; }
.entry form label { flex: 1; }
.entry pre {
  margin: 0; padding: 0.65rem 0.8rem; background: var(--sunken); border: 1px solid var(--line); border-radius: 7px;
  overflow-x: auto; font: 0.85rem/1.4 var(--mono);
}
.notice {
  display: flex; gap: 0.75rem; align-items: baseline; padding: 0.5rem 0.9rem; border-radius: 9px;
  background: var(--bad-wash); color: var(--bad); font-size: 0.9rem; overflow-wrap: anywhere;
}
.notice span { flex: 1; }
.notice button { color: inherit; }

main { display: grid; grid-template-columns: minmax(0, 1fr) 22rem; gap: 1rem; min-height: 0; align-items: start; }
.work {
  display: grid; grid-template-rows: minmax(0, 1fr) auto; gap: 1rem; min-width: 0; min-height: 32rem;
  height: calc(100vh - 5.6rem); height: calc(100dvh - 5.6rem); position: sticky; top: 1rem;
}
aside { display: grid; gap: 1rem; min-width: 0; }

.events { display: flex; flex-direction: column; min-height: 0; position: relative; overflow: hidden; }
.row, .columns {
  display: grid; column-gap: 0.9rem; padding: 0.3rem 1rem; align-items: baseline;
  grid-template-columns: 3.2rem minmax(5rem, 1.1fr) minmax(5rem, 1.7fr) minmax(7rem, 2.4fr) minmax(3rem, 0.7fr) 6.2rem;
}
.columns { font-size: 0.76rem; color: var(--soft); border-bottom: 1px solid var(--line); font-weight: 550; }
.columns :first-child, .row .seq { text-align: right; }
.columns :last-child, .row time { text-align: right; }
.scroll { flex: 1; min-height: 9rem; overflow-y: auto; overscroll-behavior: contain; padding: 0.3rem 0; }
.scroll, .columns { scrollbar-gutter: stable; scrollbar-width: thin; }
.columns { overflow: hidden; }
.scroll:focus-visible { outline-offset: -2px; }
.row { font-size: 0.88rem; border-bottom: 1px solid transparent; }
.row > * { min-width: 0; overflow-wrap: anywhere; }
.row .seq { font-family: var(--mono); font-variant-numeric: tabular-nums; font-weight: 600; font-size: 0.85rem; }
.row .room { color: hsl(var(--hue, 205) 60% var(--hue-light)); font-size: 0.84rem; }
.row .event { font-weight: 600; }
.row .data { font-family: var(--mono); font-size: 0.82rem; white-space: pre-wrap; }
.row time { font-family: var(--mono); font-variant-numeric: tabular-nums; color: var(--soft); font-size: 0.78rem; overflow-wrap: normal; }
.row .from { color: var(--soft); font-size: 0.84rem; }
.row.fresh { animation: fresh 1.4s ease-out; }
.row.ephemeral { font-style: italic; }
.row.replayed { background: var(--good-wash); }
.tag {
  display: inline-block; border-radius: 5px; padding: 0 0.4rem; font: 600 0.73rem/1.5 var(--sans); font-style: normal;
  background: var(--accent-wash); color: var(--accent); white-space: nowrap;
}
.tag.good { background: var(--good-wash); color: var(--good); }
.row.replayed .tag { background: var(--surface); color: var(--good); }
.tag.warn { background: var(--warn-wash); color: var(--warn); }
.tag.bad { background: var(--bad-wash); color: var(--bad); }
.mark { display: flex; align-items: center; gap: 0.8rem; padding: 0.4rem 1rem; font-size: 0.82rem; color: var(--soft); overflow-wrap: anywhere; }
.mark::before, .mark::after { content: ''; flex: 1 0 1rem; height: 1px; background: var(--line-strong); }
.mark.good { color: var(--good); }
.mark.bad { color: var(--bad); }
@keyframes fresh { from { background: var(--new); } }
@media (prefers-reduced-motion: reduce) { .row.fresh { animation: none; } }
.empty { padding: 2.2rem 1rem; max-width: 34rem; margin: 0 auto; color: var(--soft); display: grid; gap: 0.4rem; text-align: center; }
.newest { position: absolute; bottom: 0.8rem; left: 50%; transform: translateX(-50%); border-radius: 999px; box-shadow: 0 2px 12px rgb(0 0 0 / 0.25); }

.publish form { display: grid; gap: 0.7rem; padding: 0.85rem 1rem 0.95rem; }
.publish .line { display: grid; gap: 0.7rem; align-items: end; grid-template-columns: minmax(7rem, 12rem) minmax(6rem, 10rem) minmax(0, 1fr) auto; }
.publish .line.foot { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1.1rem; }
.foot .push { margin-left: auto; display: flex; gap: 0.5rem; align-items: center; }

.join { display: flex; gap: 0.5rem; }
.rooms li { padding: 0.55rem 0; border-top: 1px solid var(--line); display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0.1rem 0.6rem; align-items: baseline; }
.rooms { margin: 0.75rem 0 -0.4rem; }
.rooms .name { font-weight: 600; overflow-wrap: anywhere; color: hsl(var(--hue, 205) 60% var(--hue-light)); text-align: left; background: none; border: 0; padding: 0; white-space: normal; }
.rooms .place { font-family: var(--mono); font-size: 0.82rem; font-variant-numeric: tabular-nums; text-align: right; }
.rooms .place b { font-size: 0.95rem; }
.rooms .place .soft { font: 0.78rem var(--sans); margin-right: 0.35rem; }
.rooms .below { display: flex; gap: 0.4rem; flex-wrap: wrap; align-items: center; }
.rooms li > :nth-child(4) { justify-self: end; padding: 0; }

.figures { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.figures th { font-weight: 500; color: var(--soft); font-size: 0.8rem; text-align: right; padding: 0.15rem 0 0.15rem 0.5rem; }
.figures tbody th, .figures thead th:first-child { text-align: left; padding-left: 0; }
.figures tbody th { color: var(--ink); font-size: 0.86rem; }
.figures td { text-align: right; font-family: var(--mono); font-size: 0.9rem; padding: 0.15rem 0 0.15rem 0.5rem; }
.spark { display: block; width: 100%; height: 54px; margin-top: 0.6rem; border-bottom: 1px solid var(--line-strong); overflow: visible; }
.spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.spark polygon { fill: var(--accent-wash); }
.spark line { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; vector-effect: non-scaling-stroke; }
.scale { display: flex; justify-content: space-between; gap: 1rem; font-size: 0.76rem; color: var(--soft); margin-top: 0.25rem; }

.people li { display: flex; gap: 0.6rem; align-items: baseline; padding: 0.25rem 0; }
.people li > :first-child { font-weight: 600; overflow-wrap: anywhere; }
.people li > :last-child { margin-left: auto; white-space: nowrap; }
.members { margin-top: 0.6rem; padding-top: 0.6rem; border-top: 1px solid var(--line); font-size: 0.82rem; }
.members li { display: grid; grid-template-columns: 4.2rem minmax(0, 1fr) auto; gap: 0.6rem; padding: 0.12rem 0; align-items: baseline; }
.members code { overflow-wrap: anywhere; color: var(--soft); }

@media (max-width: 1000px) {
  main { grid-template-columns: minmax(0, 1fr); }
  .work { height: auto; min-height: 0; position: static; display: flex; flex-direction: column; align-items: stretch; }
  .scroll { height: 24rem; flex: none; }
  .who { order: 3; flex-basis: 100%; }
  aside { grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); align-items: start; }
}
@media (min-width: 681px) and (max-width: 1000px) {
  aside > :first-child { grid-row: span 2; }
}
@media (max-width: 680px) {
  .page { padding: 0 0.7rem 0.9rem; gap: 0.7rem; }
  main, .work, aside { gap: 0.7rem; }
  header { gap: 0.5rem 0.6rem; padding-top: 0.8rem; }
  .brand svg { width: 25px; height: 25px; }
  .brand h1 { font-size: 1.15rem; }
  .actions { gap: 0.5rem; }
  .actions .pill { font-size: 0.75rem; padding: 0.2rem 0.5rem 0.2rem 0.45rem; gap: 0.3rem; }
  .actions button { font-size: 0.77rem; padding: 0.3rem 0.5rem; }
  .columns { display: none; }
  .row { grid-template-columns: auto minmax(0, 1fr) auto; column-gap: 0.6rem; padding: 0.45rem 0.8rem; border-bottom-color: var(--line); }
  .row .seq { grid-area: 1 / 1; }
  .row .event { grid-area: 1 / 2; }
  .row time { grid-area: 1 / 3; }
  .row .data { grid-area: 2 / 1 / 3 / -1; }
  .row .room { grid-area: 3 / 1 / 4 / 3; font-size: 0.8rem; }
  .row .from { grid-area: 3 / 3; text-align: right; }
  .scroll { height: 21rem; }
  .publish .line { grid-template-columns: 1fr 1fr; }
  .publish .line > :nth-child(3) { grid-column: 1 / -1; }
  .publish .line > button { grid-column: 1 / -1; }
  .scroll { scrollbar-gutter: auto; }
  .entry form { flex-direction: column; align-items: stretch; }
}
`
