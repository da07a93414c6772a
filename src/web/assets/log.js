// Goes along with a log while its deployment runs, and lets «/» search in it. The page is complete without this file.
"use strict";
(() => {
  const logNow = () => document.getElementById("log");

  document.addEventListener("keydown", (key) => {
    if (key.key !== "/" || key.ctrlKey || key.metaKey || key.altKey) return;
    if (!logNow() || key.target.closest("input, textarea, select")) return;
    key.preventDefault();
    logNow().querySelector("input[name=q]").select();
  });

  const most = 5000;

  const made = (name, kind, text) => {
    const it = document.createElement(name);
    if (kind) it.className = kind;
    it.textContent = text;
    return it;
  };

  const heading = (line) => {
    const it = made("li", "under", line.event);
    if (line.script) it.append(" ", made("code", "", line.script));
    return it;
  };

  const item = (line) => {
    const it = made("li", line.stream, "");
    it.id = `L${line.offset}`;
    if (line.at) {
      const time = made("time", "", line.at.slice(11, 19));
      time.dateTime = line.at;
      const link = made("a", "", "");
      link.href = `${location.pathname}?cursor=${line.offset}#log`;
      link.append(time);
      it.append(link);
    }
    it.append(made("span", "from", `${line.stream}: `), made("span", "said", line.text));
    return it;
  };

  const goAlong = (section) => {
    const box = section.querySelector(".lines");
    const list = box.querySelector("ol");
    const newest = section.querySelector(".newest");
    let cursor = section.dataset.cursor;
    let under = section.dataset.under;
    let unseen = 0;

    // The box grows from its end, so that its scroll position counts from there, downwards from 0.
    const isAtTheEnd = () => box.scrollTop > -8;
    const toTheEnd = () => { box.scrollTop = 0; unseen = 0; newest.hidden = true; };
    newest.onclick = toTheEnd;
    box.onscroll = () => { if (isAtTheEnd()) toTheEnd(); };

    const add = (lines) => {
      const [follows, place, height] = [isAtTheEnd(), box.scrollTop, box.scrollHeight];
      section.querySelector(".silent")?.remove();
      lines.forEach((line, at) => {
        const turn = `${line.event} ${line.script ?? ""}`;
        const next = lines[at + 1];
        const again = line.heading && next?.heading && next.event === line.event;
        if (line.event && turn !== under && !again) list.append(heading(line));
        if (!again) under = turn;
        if (!line.heading) list.append(item(line));
      });
      if (follows) {
        while (list.childElementCount > most) list.firstElementChild.remove();
        return toTheEnd();
      }
      // Whoever reads further up stays there.
      box.scrollTop = place - (box.scrollHeight - height);
      unseen += lines.filter((line) => !line.heading).length;
      newest.hidden = false;
      newest.textContent = unseen === 1 ? "1 new line" : `${unseen} new lines`;
    };

    // What scripts say is in no ledger, and so not in the event stream: it is asked for, less than a second apart.
    const look = async () => {
      if (!section.isConnected) return;
      let wait = 700;
      try {
        if (!document.hidden) {
          const answer = await fetch(`${section.dataset.log}?limit=1000&cursor=${cursor}`);
          const page = answer.ok ? await answer.json() : null;
          if (!page) wait = 5000;
          else {
            if (page.lines.length) add(page.lines);
            if (page.lines.length === 1000) wait = 0;
            if (page.over) return;
            cursor = page.cursor;
          }
        }
      } catch {
        wait = 2000;
      }
      setTimeout(look, wait);
    };
    look();
  };

  // A log whose first reading failed, or of which there was nothing yet, comes with the page that is shown anew.
  let followed = null;
  const look = () => {
    const section = logNow();
    if (!section?.dataset.cursor || section === followed) return;
    followed = section;
    goAlong(section);
  };
  document.getElementById("main").addEventListener("replaced", look);
  look();
})();
