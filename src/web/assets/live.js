// Saves the reader a reload: when something happens, the page is asked for again and its content replaced.
// The pages are complete without this file.
"use strict";
(() => {
  const light = document.getElementById("live");
  if (!light || !window.EventSource) return;
  // The first of a row of events is shown at once; those that follow on it within so many milliseconds, together.
  const calm = 400;
  let shown = -calm;
  let due = 0;
  let busy = false;
  let stream = null;
  let ended = false;

  const show = (text, on) => {
    light.hidden = false;
    light.textContent = text;
    light.classList.toggle("on", on);
  };

  // Nobody's typing is thrown away, and what was unfolded stays so.
  const occupied = () => {
    const at = document.activeElement;
    return at && at.closest("main form") !== null && !at.closest("[data-stays]") && at.tagName !== "BUTTON";
  };

  // What has a life of its own, such as a log that somebody scrolls in, stays where it is, and all around it is replaced.
  // It says at which address that is found without asking for it again.
  const staying = () => document.querySelector("#main > [data-stays]");

  const replace = (now, main) => {
    const stays = staying();
    const fresh = stays && main.querySelector(`:scope > #${stays.id}`);
    if (!fresh) return now.replaceChildren(...main.childNodes);
    const nodes = [...main.childNodes];
    const at = nodes.indexOf(fresh);
    for (const it of [...now.childNodes]) if (it !== stays) it.remove();
    stays.before(...nodes.slice(0, at));
    stays.after(...nodes.slice(at + 1));
  };

  // Who goes along the page by its keys, or has moved something in it aside, is still there afterwards.
  const bookmark = (now) => {
    const at = now.contains(document.activeElement) ? document.activeElement : null;
    const same = !at ? null
      : at.id ? `#${CSS.escape(at.id)}`
      : at.matches("a[href]") ? `a[href="${CSS.escape(at.getAttribute("href"))}"]`
      : at.matches("summary") && at.parentElement.id ? `#${CSS.escape(at.parentElement.id)} > summary`
      : at.matches("[aria-label]") ? `[aria-label="${CSS.escape(at.getAttribute("aria-label"))}"]`
      : at.tagName.toLowerCase();
    const turn = at && same ? [...now.querySelectorAll(same)].indexOf(at) : -1;
    const aside = () => [...now.querySelectorAll("[role=region][tabindex]:not([data-stays] *)")];
    const moved = aside().map((it) => [it.scrollLeft, it.scrollTop]);
    return () => {
      aside().forEach((it, nth) => { if (moved[nth]) [it.scrollLeft, it.scrollTop] = moved[nth]; });
      if (turn >= 0 && !at.isConnected) now.querySelectorAll(same)[turn]?.focus({ preventScroll: true });
    };
  };

  const signedOut = () => {
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Signed out";
    show("", false);
    light.replaceChildren(link);
    stream?.close();
    stream = null;
    ended = true;
  };

  const refresh = async () => {
    due = 0;
    if (ended) return;
    if (document.hidden || occupied()) return later(1500);
    if (busy) return later(calm);
    busy = true;
    shown = performance.now();
    try {
      const answer = await fetch(staying()?.dataset.stays ?? location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") signedOut();
      else if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const [main, now] = [fresh.getElementById("main"), document.getElementById("main")];
        if (main && now && !occupied()) {
          const open = [...now.querySelectorAll("details[open][id]")].map((it) => it.id);
          const goOn = bookmark(now);
          replace(now, main);
          now.dataset.since = main.dataset.since;
          now.dispatchEvent(new Event("replaced"));
          for (const id of open) document.getElementById(id)?.setAttribute("open", "");
          goOn();
          document.title = fresh.title;
        }
      }
    } catch {
      // The stream says when the bot is back.
    }
    busy = false;
  };

  const later = (wait) => { due ||= setTimeout(refresh, wait); };

  // From where the page ends: nothing that happens before the stream is open is missed.
  const open = () => {
    stream = new EventSource(`/api/v1/events?from=${document.getElementById("main").dataset.since}`);
    stream.onopen = () => show("Connected", true);
    stream.onmessage = () => later(Math.max(0, shown + calm - performance.now()));
    stream.addEventListener("gap", () => later(0));
    stream.onerror = () => {
      show("Reconnecting", false);
      // After any answer but 200, such as a proxy's while the bot starts anew, a browser gives up.
      if (stream.readyState !== EventSource.CLOSED) return;
      setTimeout(() => { if (!ended) open(); }, 3000);
      later(0);
    };
  };
  open();
  setInterval(() => { if (document.querySelector("main .state:is(.running,.releasing,.verifying,.preparing,.weighing)")) later(0); }, 5000);
})();
