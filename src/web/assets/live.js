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

  const refresh = async () => {
    due = 0;
    if (document.hidden || occupied()) return later(1500);
    if (busy) return later(calm);
    busy = true;
    shown = performance.now();
    try {
      const answer = await fetch(staying()?.dataset.stays ?? location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const [main, now] = [fresh.getElementById("main"), document.getElementById("main")];
        if (main && now && !occupied()) {
          const open = [...now.querySelectorAll("details[open][id]")].map((it) => it.id);
          replace(now, main);
          now.dispatchEvent(new Event("replaced"));
          for (const id of open) document.getElementById(id)?.setAttribute("open", "");
          document.title = fresh.title;
        }
      }
    } catch {
      // The stream says when the bot is back.
    }
    busy = false;
  };

  const later = (wait) => { due ||= setTimeout(refresh, wait); };

  const stream = new EventSource("/api/v1/events");
  stream.onopen = () => { show("Connected", true); };
  stream.onerror = () => show("Reconnecting", false);
  stream.onmessage = () => later(Math.max(0, shown + calm - performance.now()));
  setInterval(() => { if (document.querySelector("main .state:is(.running,.releasing,.verifying,.preparing,.weighing)")) later(0); }, 5000);
})();
