// Makes the first page live: fetches it again every few seconds and replaces the parts marked `data-live`. Gives code
// blocks of all pages a copy button. Everything on them works without this file.
"use strict";

(() => {
  const REFRESH_MS = 5000;
  const words = document.body.dataset;

  function addCopyButton(block) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent.trim());
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; }, 2000);
    });
    const frame = document.createElement("div");
    frame.className = "copyable";
    block.replaceWith(frame);
    frame.append(block, button);
  }

  // The clipboard exists in secure contexts only.
  if (navigator.clipboard) {
    document.querySelectorAll("[data-copyable]").forEach(addCopyButton);
  }

  // The other pages stand still.
  const head = document.querySelector("#now .section-head");
  if (!head) return;

  // What moves by itself can be stopped (WCAG 2.2.2).
  let paused = false;
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "quiet";
  toggle.textContent = words.pause;
  toggle.addEventListener("click", () => {
    paused = !paused;
    toggle.textContent = paused ? words.resume : words.pause;
    if (paused) {
      sayFrom(words.paused);
    } else {
      refreshOnce();
    }
  });
  head.append(toggle);

  // Says that what is shown gets older, while nobody answers or the reader wants it so: "just now" was just now then. A live
  // region, so that it is read out, too, and once.
  const notice = document.createElement("p");
  notice.className = "stale";
  notice.setAttribute("role", "status");
  notice.setAttribute("aria-live", "polite");
  document.querySelector("main").prepend(notice);
  let freshAt = new Date();

  function say(text) {
    if (notice.textContent !== text) notice.textContent = text;
  }

  function sayFrom(text) {
    const time = freshAt.toLocaleTimeString(document.documentElement.lang, { timeZone: words.zone });
    say(`${text} ${time}.`);
  }

  async function refresh() {
    if (paused || document.hidden) return;
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(2 * REFRESH_MS),
    });
    if (!answer.ok) throw new Error(`answered with ${answer.status}`);
    const text = await answer.text();
    // It may have been paused meanwhile.
    if (paused) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      // Replacing a part would take the focus, or a selection, from the reader.
      const selection = document.getSelection();
      const inUse = part.contains(document.activeElement)
        || (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
      if (fresh && !inUse) part.replaceChildren(...fresh.childNodes);
    }
    freshAt = new Date();
    say("");
  }

  async function refreshOnce() {
    try {
      await refresh();
    } catch {
      // The page keeps what it shows, and says so.
      if (!paused) sayFrom(words.stale);
    }
  }

  // One after the other; a server that is away is tried again at the same pace.
  async function loop() {
    await refreshOnce();
    setTimeout(loop, REFRESH_MS);
  }
  setTimeout(loop, REFRESH_MS);
})();
