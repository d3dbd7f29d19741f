/** A pennant on a mast: the mark of the page and its icon. */
const mark =
  '<path d="M6 3v27" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/><path d="M8 4.5 28 11 8 17.5z" fill="currentColor"/><path d="M8 20.5 20 24 8 27.5z" fill="currentColor" opacity=".45"/>'
const icon = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" color="#0a5f92">${mark}</svg>`,
)}`

const header = `
<header>
  <div class="brand"><svg viewBox="0 0 32 32" fill="none" aria-hidden="true">${mark}</svg><h1>Flotilla</h1></div>
  <dl class="who" id="who" hidden>
    <div><dt>user</dt><dd id="user">–</dd></div>
    <div><dt>tenant</dt><dd id="tenant">–</dd></div>
    <div><dt>edge</dt><dd id="edge">–</dd></div>
    <div><dt>connection</dt><dd><code id="connection">–</code></dd></div>
  </dl>
  <div class="actions">
    <span class="pill" id="state" role="status" data-state="idle">no token</span>
    <button type="button" id="drop" hidden title="Closes the socket for 3 seconds. Meanwhile 3 events are published over a second connection: they are missed, then replayed.">Drop connection</button>
  </div>
</header>
<p class="notice" id="notice" role="alert" hidden><span id="notice-text"></span><button type="button" class="bare" id="notice-close">Dismiss</button></p>`

const entry = `
<section class="panel entry" id="entry" aria-labelledby="entry-title" hidden>
  <h2 id="entry-title">Connect to this fleet</h2>
  <p class="soft">The page needs a token that names you. The fleet prints one when it starts; this command prints more:</p>
  <pre tabindex="0" aria-label="command"><code>npm run --silent token -- --sub alice --tenant acme</code></pre>
  <form id="token-form">
    <label class="field">Token<input id="token" name="token" autocomplete="off" autocapitalize="off" spellcheck="false" required placeholder="eyJhbGciOi…"></label>
    <button class="primary">Connect</button>
  </form>
</section>`

const events = `
<section class="panel events" aria-labelledby="events-title">
  <div class="head"><h2 id="events-title">Events</h2><span class="soft small" id="count">none yet</span>
    <button type="button" class="bare push" id="clear">Clear</button></div>
  <div class="columns" aria-hidden="true"><span>seq</span><span>room</span><span>event</span><span>data</span><span>from</span><span>time</span></div>
  <div class="scroll" id="scroll" role="log" aria-live="polite" aria-relevant="additions" aria-label="Events, the newest last" tabindex="0">
    <div class="empty" id="empty"><p>Nothing has happened in your rooms yet.</p>
      <p>Publish something below, open this page in a second tab, or post an event with the <code>curl</code> that the fleet printed when it started.</p></div>
    <ol id="events"></ol>
  </div>
  <button type="button" class="newest primary" id="newest" hidden>Newest events</button>
</section>`

const publish = `
<section class="panel publish" aria-label="Publish">
  <form id="publish-form">
    <div class="line">
      <label class="field">Room<input id="publish-room" list="known-rooms" value="public:lobby" maxlength="200" required autocomplete="off" spellcheck="false"></label>
      <label class="field">Event name<input id="publish-event" value="message" maxlength="128" required autocomplete="off" spellcheck="false"></label>
      <label class="field">Data, JSON or plain text<input id="publish-data" value="hello" autocomplete="off" aria-describedby="data-kind"></label>
      <button class="primary" id="publish">Publish</button>
    </div>
    <div class="line foot">
      <label class="check"><input type="checkbox" id="ephemeral">Ephemeral: no seq, not kept, not replayed</label>
      <span class="soft small" id="data-kind"></span>
      <span class="push"><span class="soft small" id="waiting"></span><button type="button" id="burst">Send 50</button></span>
    </div>
  </form>
  <datalist id="known-rooms"></datalist>
</section>`

const rooms = `
<section class="panel" aria-labelledby="rooms-title">
  <div class="head"><h2 id="rooms-title">Rooms</h2></div>
  <div class="body">
    <form class="join" id="join-form">
      <input id="join-room" aria-label="Room to join" placeholder="public:lobby" maxlength="200" required autocomplete="off" spellcheck="false">
      <button>Join</button>
    </form>
    <ul class="rooms" id="rooms" aria-label="Joined rooms"></ul>
  </div>
</section>`

const latency = `
<section class="panel" aria-labelledby="latency-title">
  <div class="head"><h2 id="latency-title">Latency</h2><span class="soft small push" id="samples"></span></div>
  <div class="body">
    <table class="figures">
      <thead><tr><th scope="col">ms, last 100</th><th scope="col">last</th><th scope="col">p50</th><th scope="col">p99</th></tr></thead>
      <tbody>
        <tr id="trip"><th scope="row" title="From the publish to the event coming back on this connection">publish → own event</th><td>–</td><td>–</td><td>–</td></tr>
        <tr id="ack"><th scope="row" title="From the publish to the answer that it is committed">publish → ok</th><td>–</td><td>–</td><td>–</td></tr>
      </tbody>
    </table>
    <svg class="spark" id="spark" viewBox="0 0 100 50" preserveAspectRatio="none" role="img" aria-label="Latency of the last publishes"></svg>
    <p class="scale"><span id="spark-what">publish something to measure</span><span id="spark-max"></span></p>
  </div>
</section>`

const people = `
<section class="panel" aria-labelledby="people-title">
  <div class="head"><h2 id="people-title">Who is connected</h2><span class="soft small push" id="people-count"></span></div>
  <div class="body"><ul class="people" id="people"></ul><ul class="members" id="members" aria-label="Members of the fleet" hidden></ul></div>
</section>`

/** The document around a style and a script. */
export function renderPage(css: string, script: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Flotilla</title>
<link rel="icon" href="${icon}">
<style>${css}</style>
</head>
<body>
<div class="page">
<div>${header}</div>
${entry}
<main id="main" hidden>
<div class="work">${events}${publish}</div>
<aside>${rooms}${latency}${people}</aside>
</main>
</div>
<noscript>This page needs JavaScript.</noscript>
<script>${script}</script>
</body>
</html>
`
}
