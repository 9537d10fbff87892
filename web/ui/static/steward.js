// Live values and times. Everything works without this file.
"use strict";

// ago says how long t is away, as the server does.
function ago(t) {
  let s = Math.round((Date.now() - t) / 1000);
  const ahead = s < -1;
  s = Math.abs(s);
  if (s <= 1) return "now";
  const text =
    s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
  return ahead ? `in ${text}` : `${text} ago`;
}

function tick() {
  for (const e of document.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(e.dateTime));
    if (e.textContent !== text) e.textContent = text;
  }
}

// showValue puts a reported value where the page shows that path. A path that
// the page does not show yet waits for the next visit.
function showValue({ path, text, at }) {
  const out = document.querySelector(`output[data-path="${CSS.escape(path)}"]`);
  if (!out) return;
  out.textContent = text;
  out.classList.remove("fresh");
  void out.offsetWidth; // begins the animation anew
  out.classList.add("fresh");
  const heard = document.querySelector(`[data-heard="${CSS.escape(path)}"]`);
  if (!heard) return;
  const time = document.createElement("time");
  time.dateTime = time.title = at;
  time.dataset.ago = "";
  time.textContent = ago(Date.parse(at));
  heard.replaceChildren(time);
}

// refresh fetches this page again, soon, and replaces the parts that may change. A
// part that somebody is typing or choosing in is left alone. What is reported
// while the page is on its way may not be on it yet: then it is fetched again.
let waiting = null;
let fetching = false;
let stale = false;
function refresh() {
  if (fetching) stale = true;
  else waiting ??= setTimeout(fetchPage, 700);
}

async function fetchPage() {
  waiting = null;
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
    if (answer.ok && !answer.redirected) replaceParts(await answer.text());
  } catch {
    // The next event tries again.
  } finally {
    fetching = false;
    if (stale) refresh();
    stale = false;
  }
}

function replaceParts(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll("[data-refresh][id]")) {
    const fresh = page.getElementById(old.id);
    if (!fresh || fresh.innerHTML === old.innerHTML) continue;
    const busy = old.contains(document.activeElement) || old.querySelector("input:checked");
    if (busy || isRead(old)) pause(old, fresh);
    else replacePart(old, fresh);
  }
}

// isRead says whether somebody reads in a table: rows must not jump below a pointer, nor
// away from a mark, nor for who has scrolled into them.
function isRead(e) {
  const mark = getSelection();
  return (
    e.tagName === "TABLE" &&
    (e.matches(":hover") || e.getBoundingClientRect().top < 0 || (!mark.isCollapsed && mark.containsNode(e, true)))
  );
}

function replacePart(old, fresh) {
  old.previousElementSibling?.matches(".paused") && old.previousElementSibling.remove();
  if (old.tagName === fresh.tagName) old.replaceChildren(...document.importNode(fresh, true).childNodes);
  else old.replaceWith(document.importNode(fresh, true)); // the first rows of a list that was empty
  tick();
  dispatchEvent(new Event("steward:replaced"));
}

// pause says how many rows are new in a part that somebody is busy with, and shows them
// when asked to.
function pause(old, fresh) {
  if (old.tagName !== "TABLE") return;
  const text = (row) => {
    const copy = row.cloneNode(true);
    for (const t of copy.querySelectorAll("time[data-ago]")) t.remove(); // it passes anyhow
    return copy.textContent.replace(/\s+/g, " ");
  };
  const texts = (e) => [...e.querySelectorAll("tbody tr")].map(text);
  const known = new Set(texts(old));
  const rows = texts(fresh);
  const n = rows.filter((t) => !known.has(t)).length;
  if (!n) return;
  let bar = old.previousElementSibling;
  if (!bar?.matches(".paused")) {
    bar = document.createElement("p");
    bar.className = "paused";
    bar.setAttribute("role", "status");
    bar.append(document.createElement("button"));
    bar.firstChild.type = "button";
    old.before(bar);
  }
  bar.firstChild.textContent = `Paused — ${n}${n === rows.length ? " or more" : ""} new. Show`;
  bar.firstChild.onclick = () => replacePart(old, fresh);
}

// watch keeps one stream while the page is looked at: a browser has few
// connections to a server, and other tabs need theirs. Each time it opens, the
// page catches up with what happened before.
function watch() {
  const values = document.querySelector("[data-values]")?.dataset.values;
  const parts = [...document.querySelectorAll("[data-refresh]")].map((e) => new URLSearchParams(e.dataset.refresh));
  if (!values && !parts.length) return;
  const concerns = (e) => (q) =>
    (!q.get("subject") || q.get("subject") === e.subject) && e.type.startsWith(q.get("type") ?? "");
  const subjects = new Set(parts.map((q) => q.get("subject")).concat(values ?? []));
  const query = subjects.size === 1 && !subjects.has(null) ? "subject=" + encodeURIComponent([...subjects][0]) : "type=";
  let stream = null;
  const follow = () => {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      stream = new EventSource("/events?" + query);
      stream.onopen = () => parts.length && refresh();
      stream.onmessage = (m) => {
        const e = JSON.parse(m.data);
        if (e.type === "device.value") {
          if (e.subject === values) showValue(e.data);
        } else if (parts.some(concerns(e))) {
          refresh();
        }
      };
    }
  };
  follow();
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => stream?.close());
}

// openTarget unfolds what the address points at.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
  if (target) target.scrollIntoView({ block: "center" });
}

// "/" goes to the filter.
addEventListener("keydown", (k) => {
  if (k.key !== "/" || k.ctrlKey || k.metaKey || k.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
  const field = document.querySelector("[data-focus]");
  if (field) {
    k.preventDefault();
    field.focus();
  }
});

// showCurrent brings the current entry of a narrow rail into sight.
function showCurrent() {
  const nav = document.querySelector(".rail nav");
  const entry = nav?.querySelector("[aria-current]");
  if (entry) nav.scrollLeft = entry.offsetLeft - (nav.clientWidth - entry.clientWidth) / 2;
}

showCurrent();
addEventListener("hashchange", openTarget);
openTarget();
tick();
setInterval(tick, 1000);
watch();
addEventListener("pageshow", (e) => {
  if (e.persisted) location.reload(); // its streams were closed
});

// Labels: a sheet is printed, and a camera reads a code where the browser can by itself.
for (const b of document.querySelectorAll("[data-print]")) {
  b.hidden = false;
  b.addEventListener("click", () => print());
}

// camera shows what the camera sees until it sees a code, then sends the form.
async function camera(form, video, note) {
  let stream = null;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    video.hidden = false;
    await video.play();
    note.textContent = "Hold the label before the camera.";
    const reader = new BarcodeDetector({ formats: ["qr_code"] });
    while (stream.active) {
      const [code] = await reader.detect(video);
      if (code) {
        form.elements.label.value = code.rawValue;
        form.requestSubmit();
        return;
      }
      await new Promise((r) => setTimeout(r, 200));
    }
  } catch (e) {
    note.textContent = `The camera cannot be used (${e.name}). Type the text of the label, or use a hand scanner.`;
  } finally {
    for (const t of stream?.getTracks() ?? []) t.stop();
    video.hidden = true;
  }
}

const scanning = document.querySelector("[data-scan]");
if (scanning && "BarcodeDetector" in window && navigator.mediaDevices) {
  const button = scanning.querySelector("[data-camera]");
  button.hidden = false;
  button.addEventListener("click", () =>
    camera(scanning, scanning.querySelector("[data-view]"), scanning.querySelector("[data-camera-note]")),
  );
}

// Passkeys: what the server asks goes to the authenticator, its answer back.
async function passkeyCall(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const text = await answer.json();
  if (!answer.ok) throw new Error(text.detail || text.title);
  return text;
}

const passkeyActions = {
  async "sign-in"() {
    const { publicKey } = await passkeyCall("/sign-in/passkey/begin", {});
    const found = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
    await passkeyCall("/sign-in/passkey", found.toJSON());
    location.assign("/");
  },
  async add() {
    const { publicKey } = await passkeyCall("/account/passkeys/begin", {});
    const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
    const name = document.querySelector("[data-passkey-name]").value;
    await passkeyCall(`/account/passkeys?name=${encodeURIComponent(name)}`, made.toJSON());
    location.assign("/account");
  },
};

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  for (const e of document.querySelectorAll("[data-passkeys]")) e.hidden = false;
  for (const button of document.querySelectorAll("[data-passkey]")) {
    button.addEventListener("click", async () => {
      const fault = document.querySelector("[data-passkey-fault]");
      fault.hidden = button.disabled = true;
      try {
        await passkeyActions[button.dataset.passkey]();
      } catch (e) {
        fault.textContent = `The passkey was not used: ${e.message}`;
        fault.hidden = button.disabled = false;
      }
    });
  }
}
// tryIt sends what the form of an operation of the REST API says, and shows the answer.
function tryIt() {
  const form = document.querySelector("form[data-try]");
  const answer = document.querySelector("[data-answer]");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    let path = form.dataset.path;
    const query = new URLSearchParams();
    const options = { method: form.dataset.try, headers: {} };
    for (const field of form.querySelectorAll("[data-in]")) {
      if (field.dataset.in === "path") {
        const escape = field.name === "path" ? encodeURI : encodeURIComponent; // a path of a device has slashes
        path = path.replace("{" + field.name + "}", escape(field.value));
      } else if (field.value === "") {
        continue;
      } else if (field.dataset.in === "query") {
        query.set(field.name, field.value);
      } else if (field.dataset.in === "header") {
        options.headers[field.name] = field.value;
      } else {
        options.body = field.value;
        options.headers["Content-Type"] = "application/json";
      }
    }
    const out = answer.querySelector("pre");
    answer.hidden = false;
    try {
      const got = await fetch(path + (query.size ? "?" + query : ""), options);
      const heads = ["content-type", "etag", "link", "location", "retry-after", "x-request-id"];
      const told = heads.filter((h) => got.headers.get(h)).map((h) => h + ": " + got.headers.get(h)).join("\n");
      const limit = 100000; // characters shown; streams end after the first
      let text = "";
      const reader = got.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (let part; reader && text.length < limit && !(part = await reader.read()).done; ) {
        text += part.value;
        out.textContent = got.status + " " + got.statusText + "\n" + told + "\n\n" + text;
      }
      reader?.cancel();
      try {
        text = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // it is shown as it is
      }
      out.textContent = got.status + " " + got.statusText + "\n" + told + "\n\n" + text;
    } catch (error) {
      out.textContent = "No answer: " + error.message;
    }
  });
}
tryIt();
