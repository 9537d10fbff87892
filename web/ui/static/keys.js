// The keyboard: a palette to go anywhere, letters that jump, arrows in the tree of a
// device, and times in another zone. Every page works without this file.
"use strict";

const typing = (e) => /^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName) || e.isContentEditable;
const palette = document.getElementById("palette");
const keys = document.getElementById("keys");
let openPalette = () => {};

// show opens a dialog; closing it returns the focus to where it was.
function show(dialog) {
  if (!dialog || dialog.open) return;
  const before = document.activeElement;
  dialog.addEventListener("close", () => before?.focus?.(), { once: true });
  dialog.showModal();
}

// The palette lists what /find lists, while somebody types.
if (palette) {
  const input = palette.querySelector("input");
  const list = palette.querySelector("[role=listbox]");
  const told = palette.querySelector("[role=status]");
  let asked = 0;
  const options = () => [...list.querySelectorAll("[role=option]")];
  const choose = (option) => {
    for (const o of options()) o.setAttribute("aria-selected", String(o === option));
    input.setAttribute("aria-activedescendant", option?.id ?? "");
    option?.scrollIntoView({ block: "nearest" });
  };
  const find = async () => {
    const mine = ++asked;
    const answer = await fetch("/find?q=" + encodeURIComponent(input.value), { headers: { "X-Refresh": "1" } });
    if (!answer.ok || mine !== asked) return; // somebody typed on
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    list.replaceChildren(
      ...[...page.querySelectorAll("#found a")].map((a, i) => {
        const option = document.createElement("li");
        option.id = "palette-" + i;
        option.role = "option";
        option.dataset.href = a.getAttribute("href");
        option.textContent = a.textContent;
        return option;
      }),
    );
    choose(options()[0]);
    told.textContent = options().length + " found";
  };
  const go = (option) => {
    if (option) location.href = option.dataset.href;
  };
  let soon = 0;
  input.addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(() => find().catch(() => {}), 120);
  });
  palette.addEventListener("keydown", (k) => {
    const all = options();
    const at = all.findIndex((o) => o.getAttribute("aria-selected") === "true");
    if (k.key === "ArrowDown" || k.key === "ArrowUp") {
      k.preventDefault();
      if (all.length) choose(all[(at + (k.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]);
    }
  });
  palette.querySelector("form").addEventListener("submit", (s) => {
    const option = list.querySelector('[aria-selected="true"]');
    if (!option) return; // then the server finds
    s.preventDefault();
    go(option);
  });
  list.addEventListener("click", (c) => go(c.target.closest("[role=option]")));
  palette.addEventListener("click", (c) => c.target === palette && palette.close());
  openPalette = () => {
    input.value = "";
    list.replaceChildren();
    show(palette);
    find().catch(() => {});
  };
  for (const opener of document.querySelectorAll("[data-palette]")) {
    opener.addEventListener("click", (c) => {
      c.preventDefault();
      openPalette();
    });
  }
}

// A hand scanner types wherever the focus is: into the field, on the page that waits for
// a label.
const wedge = document.querySelector("[data-scan]")?.elements.label;
addEventListener("keydown", (k) => {
  if (wedge && k.key.length === 1 && !k.ctrlKey && !k.metaKey && !k.altKey && document.activeElement === document.body) wedge.focus();
});

// Letters: "g" and one of a page within a second and a half.
let jump = 0;
addEventListener("keydown", (k) => {
  if (palette && k.key.toLowerCase() === "k" && (k.ctrlKey || k.metaKey) && !k.altKey) {
    k.preventDefault();
    openPalette();
    return;
  }
  if (k.ctrlKey || k.metaKey || k.altKey || typing(document.activeElement) || document.querySelector("dialog[open]")) return;
  if (k.key === "?") {
    k.preventDefault();
    show(keys);
  } else if (k.key === "g") {
    jump = Date.now();
  } else if (Date.now() - jump < 1500) {
    jump = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(k.key)}"]`);
    if (link) {
      k.preventDefault();
      link.click();
    }
  }
});

// Escape leaves a field of the filter, so that letters jump again.
addEventListener("keydown", (k) => {
  if (k.key === "Escape" && document.activeElement.matches("[data-focus]")) document.activeElement.blur();
});

// Arrows in the tree of a device's data: up and down from object to object, right
// unfolds and goes in, left goes out and folds.
const tree = document.querySelector("[data-values]");
tree?.addEventListener("keydown", (k) => {
  const e = k.target;
  if (typing(e) || k.ctrlKey || k.metaKey || k.altKey) return;
  const heads = [...tree.querySelectorAll("details.object > summary")];
  const at = heads.indexOf(e);
  const object = e.closest("details.object");
  const to = {
    ArrowDown: () => at >= 0 && heads[at + 1],
    ArrowUp: () => at >= 0 && heads[at - 1],
    Home: () => heads[0],
    End: () => heads.at(-1),
    ArrowRight: () => {
      if (at < 0) return null;
      if (object.open) return object.querySelector(":scope > :not(summary) :is(button:not(:disabled), a, summary)");
      object.open = true;
      return e;
    },
    ArrowLeft: () => {
      if (at >= 0) object.open = false;
      return object?.querySelector(":scope > summary");
    },
  }[k.key]?.();
  if (!to) return;
  k.preventDefault();
  to.focus();
});

// Times are UTC as the server writes them, or those of this browser.
const zone = document.querySelector("[data-zone]");
function local(t) {
  const d = new Date(t.dateTime);
  const two = (n) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
}
function times() {
  const here = localStorage.getItem("zone") === "local";
  if (zone) zone.textContent = here ? "Times: of this browser" : "Times: UTC";
  for (const t of document.querySelectorAll("time[datetime]")) {
    t.dataset.utc ??= t.hasAttribute("data-ago") ? "" : t.textContent;
    t.title = here ? local(t) : t.dateTime;
    if (t.dataset.utc) t.textContent = here ? local(t) : t.dataset.utc;
  }
}
if (zone) {
  zone.hidden = false;
  zone.addEventListener("click", () => {
    localStorage.setItem("zone", localStorage.getItem("zone") === "local" ? "utc" : "local");
    times();
  });
}
times();
addEventListener("steward:replaced", times);
