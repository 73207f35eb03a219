// Maths, and what stock Material leaves to be desired for keyboard and screen reader. No library but KaTeX,
// which lies in this site and is fetched only where a page has maths.
(() => {
  "use strict";

  const here = document.currentScript.src;
  const katex = new URL("../katex/", here);

  // `arithmatex` leaves \(…\) or \[…\] in elements of its class; readable as they are, without JavaScript.
  const typeset = (root) => {
    for (const element of root.querySelectorAll(".arithmatex")) {
      const text = element.textContent.trim();
      const display = text.startsWith("\\[");
      window.katex.render(text.slice(2, -2), element, { displayMode: display, throwOnError: false });
      if (display) focusable(element.querySelector(".katex-display") ?? element, "Equation");
    }
  };

  // What scrolls sideways has to be reachable by keyboard.
  const focusable = (element, name) => {
    const update = () => {
      if (element.scrollWidth > element.clientWidth) {
        element.tabIndex = 0;
        element.setAttribute("role", "region");
        element.setAttribute("aria-label", name);
      } else if (element.getAttribute("aria-label") === name) {
        for (const attribute of ["tabindex", "role", "aria-label"]) element.removeAttribute(attribute);
      }
    };
    new ResizeObserver(update).observe(element);
    update();
  };

  const load = (name, kind) =>
    new Promise((done, failed) => {
      const element = document.createElement(kind);
      Object.assign(element, kind === "link" ? { rel: "stylesheet", href: name } : { src: name });
      element.onload = done;
      element.onerror = () => failed(new Error(`cannot load ${name}`));
      document.head.append(element);
    });

  const maths = async () => {
    if (!document.querySelector(".arithmatex")) return;
    await Promise.all([
      load(new URL("katex.min.css", katex), "link"),
      load(new URL("katex.min.js", katex), "script"),
    ]);
    typeset(document);
  };

  // Material's own faults: a landmark without a name, a state that its element cannot have, an empty heading.
  const mend = () => {
    for (const nav of document.querySelectorAll("nav[aria-expanded]")) nav.removeAttribute("aria-expanded");
    document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
    for (const [index, box] of document.querySelectorAll(".md-typeset__scrollwrap").entries()) {
      focusable(box, `Table ${index + 1}`);
    }
  };

  // Tables get their scrolling wrapper from Material after this script has run.
  const wait = () => requestAnimationFrame(() => setTimeout(mend, 0));

  const start = () => {
    wait();
    maths().then(
      () => document.documentElement.setAttribute("data-ready", ""),
      (error) => console.error(error),
    );
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
