// Material asks for the search index on every page, and that is the largest file of the site. This holds the
// request back until somebody searches. It has to run before Material's script.
(() => {
  "use strict";

  const wanted = new Promise((go) => {
    const parameters = new URLSearchParams(location.search);
    if (parameters.has("q") || parameters.has("h")) go();
    document.addEventListener("focusin", (event) => {
      if (event.target.matches(".md-search__input")) go();
    });
  });

  const { open, send } = XMLHttpRequest.prototype;
  const held = new WeakSet();
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    if (String(address).endsWith("/search/search_index.json")) held.add(this);
    return open.call(this, method, address, ...rest);
  };
  XMLHttpRequest.prototype.send = function (...body) {
    if (!held.has(this)) return send.apply(this, body);
    wanted.then(() => send.apply(this, body));
    return undefined;
  };
})();
