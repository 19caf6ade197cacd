// A banner on any site, only while something is wrong or maintenance runs on the status page this file comes from:
// <script src="https://status.example.com/embed.js" defer></script>
"use strict";
(() => {
  const script = document.currentScript || document.querySelector('script[src$="/embed.js"]');
  if (!script) return;
  const origin = new URL(script.src).origin;
  const interval = 60000;
  const store = "statuspage-closed";
  // In the page's own language: statuspage/site/banner.py puts them in.
  const said = WORDS;
  const styles = `
    :host { all: initial; }
    .banner { position: fixed; inset: auto 1rem 1rem auto; z-index: 2147483647; box-sizing: border-box; max-width: min(26rem, calc(100vw - 2rem)); display: flex; align-items: flex-start; gap: .75rem; padding: .9rem 1rem; border: 1px solid #dcdcd6; border-left: 6px solid var(--mark); border-radius: 10px; background: #fff; color: #1b1d21; box-shadow: 0 4px 20px rgb(0 0 0 / 18%); font: 16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; --mark: #8a5a00; }
    .banner[hidden] { display: none; }
    .critical, .major { --mark: #b3261e; }
    .maintenance { --mark: #2b5f9e; }
    .words { min-width: 0; overflow-wrap: anywhere; }
    p { margin: 0; }
    strong { display: block; }
    a { color: #2f4cc2; }
    button { flex: none; min-width: 2rem; min-height: 2rem; margin: -.25rem -.35rem 0 auto; border: 0; border-radius: 6px; background: none; color: inherit; font: inherit; font-size: 1.25rem; line-height: 1; cursor: pointer; }
    button:hover { background: rgb(128 128 128 / 18%); }
    :focus-visible { outline: 3px solid #2f4cc2; outline-offset: 2px; }
    @media (prefers-color-scheme: dark) {
      .banner { background: #1c1f24; border-color: #353a42; border-left-color: var(--mark); color: #eceded; --mark: #f0bd5a; }
      .critical, .major { --mark: #ff9a91; }
      .maintenance { --mark: #93bdf0; }
      a { color: #9db1ff; }
      :focus-visible { outline-color: #9db1ff; }
    }
    @media print { .banner { display: none; } }`;

  function make(name, text) {
    const element = document.createElement(name);
    if (text) element.textContent = text;
    return element;
  }

  const host = make("div");
  const root = host.attachShadow({ mode: "open" });
  // Made by script: a policy of the site that forbids inline styles allows it.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  root.adoptedStyleSheets = [sheet];
  const banner = make("div");
  banner.hidden = true;
  banner.lang = said.language;
  // There before it has words, so that they are read out when they come.
  const words = make("div");
  words.className = "words";
  words.setAttribute("role", "status");
  const button = make("button", "\u00d7");
  button.type = "button";
  button.setAttribute("aria-label", said.close);
  banner.append(words, button);
  root.append(banner);

  const closedHere = [];
  let shown = [];
  let text = "";

  function closed() {
    try {
      return JSON.parse(sessionStorage.getItem(store)) || [];
    } catch {
      return [];
    }
  }

  function close() {
    try {
      sessionStorage.setItem(store, JSON.stringify([...new Set([...closed(), ...shown])]));
    } catch {
      // Storage is switched off: it is closed on this page only.
    }
    closedHere.push(...shown);
    banner.hidden = true;
  }
  button.addEventListener("click", close);
  banner.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });

  function fill(text, values) {
    return text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
  }

  function time(instant) {
    return new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit", timeZoneName: "short" }).format(new Date(instant));
  }

  // What to say of an answer: its entries, the sentence, where it leads; null when all is well.
  function notice(summary) {
    const running = summary.scheduled_maintenances.filter((each) => each.status !== "scheduled");
    const entries = [...summary.incidents, ...running];
    const indicator = summary.status.indicator;
    if (!entries.length && indicator === "none") return null;
    const first = entries[0];
    const more = entries.length - 1;
    const promised = first && first.next_update_by && Date.parse(first.next_update_by) > Date.now();
    return {
      ids: first ? entries.map((each) => each.id) : [`page ${indicator}`],
      kind: summary.incidents.length ? indicator : first ? "maintenance" : indicator,
      title: !first ? said[indicator] || summary.status.description : more ? fill(said.more, { title: first.name, count: more }) : first.name,
      note: promised ? `${fill(said.next, { instant: time(first.next_update_by) })}. ` : "",
      link: first && !more ? `${origin}/incidents/${encodeURIComponent(first.id)}` : `${origin}/`,
      page: summary.page.name,
    };
  }

  function show(found) {
    const kept = [...closed(), ...closedHere];
    if (!found || found.ids.every((id) => kept.includes(id))) {
      banner.hidden = true;
      text = "";
      return;
    }
    shown = found.ids;
    banner.className = `banner ${["minor", "major", "critical", "maintenance"].includes(found.kind) ? found.kind : "minor"}`;
    banner.hidden = false;
    const now = [found.page, found.title, found.note, found.link].join("\n");
    if (now === text) return;
    text = now;
    const line = make("p", found.note);
    const link = make("a", fill(said.see, { name: found.page }));
    link.href = found.link;
    link.target = "_blank";
    link.rel = "noopener";
    line.append(link);
    words.replaceChildren(make("strong", found.title), line);
  }

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch(`${origin}/api/v2/summary.json`, { credentials: "omit" });
      if (answer.ok) show(notice(await answer.json()));
    } catch {
      // Not reachable just now: nothing is known, so what is shown stays.
    }
  }

  function start() {
    document.body.append(host);
    look();
    setInterval(look, interval);
    document.addEventListener("visibilitychange", look);
  }
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
