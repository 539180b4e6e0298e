// Replaces the parts of a page that have changed, as the server sends them. What did not change
// stays the same element: so focus, open details and scrolled boxes are kept.
(() => {
  "use strict";
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  const said = document.getElementById("said");
  const parser = new DOMParser();
  const SAY_EVERY = 15_000;
  const AGAIN = 10_000;
  let lastSaid = 0;

  const morph = (from, to) => {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
      from.replaceWith(document.importNode(to, true));
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    const [own, other] = [[...from.childNodes], [...to.childNodes]];
    other.forEach((child, at) => {
      if (own[at]) morph(own[at], child);
      else from.append(document.importNode(child, true));
    });
    own.slice(other.length).forEach((child) => child.remove());
  };

  // Screen readers hear the state now and then, not every number.
  const say = () => {
    const text = [...main.querySelectorAll("[data-say]")].map((one) => one.textContent.trim()).join(". ");
    const now = Date.now();
    if (text === said.textContent || now - lastSaid < SAY_EVERY) return;
    lastSaid = now;
    said.textContent = text;
  };

  const show = (state, text) => {
    connection.dataset.state = state;
    if (connection.textContent !== text) connection.textContent = text;
  };

  // The only stream: none while nobody looks.
  let source = null;
  let again = 0;
  const close = () => {
    clearTimeout(again);
    source?.close();
    source = null;
  };
  const listen = () => {
    close();
    if (document.hidden) return;
    const own = new EventSource(main.dataset.events);
    own.addEventListener("open", () => show("live", "Live: what changes is shown within a second."));
    own.addEventListener("part", ({ data }) => {
      const to = parser.parseFromString(data, "text/html").body.firstElementChild;
      const from = to && document.getElementById(to.id);
      if (!from || !main.contains(from)) return;
      morph(from, document.adoptNode(to));
      main.dataset.updates = Number(main.dataset.updates ?? 0) + 1;
      say();
    });
    own.addEventListener("error", () => {
      show("lost", "The connection is lost, and tried again.");
      if (own.readyState === EventSource.CLOSED) again = setTimeout(listen, AGAIN);
    });
    source = own;
  };
  addEventListener("pagehide", close);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : listen()));
  addEventListener("pageshow", (event) => {
    if (event.persisted) listen();
  });
  listen();
})();
