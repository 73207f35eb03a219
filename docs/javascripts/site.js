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
      else keepTogether(element, text.length < 30);
    }
  };

  // A line may break after a formula, and a comma that belongs to it would begin the next one.
  // A long formula has to stay free to break at its signs: the comma joins its last part.
  const keepTogether = (formula, short) => {
    const [mark] = formula.nextSibling?.nodeValue?.match(/^[.,;:!?)\]'"’”]+/) ?? [];
    if (!mark) return;
    if (!short) {
      const rest = formula.nextSibling.splitText(mark.length);
      [...formula.querySelectorAll(".katex-base")].at(-1).append(rest.previousSibling);
      return;
    }
    const box = document.createElement("span");
    box.className = "together";
    formula.nextSibling.splitText(mark.length);
    formula.replaceWith(box);
    box.append(formula, box.nextSibling);
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

  // A formula in a line breaks at its signs; a part that is wider than the line has to scroll instead.
  const fit = () => {
    for (const formula of document.querySelectorAll("span.arithmatex")) {
      const line = formula.parentElement.clientWidth;
      const parts = [...formula.querySelectorAll(".katex-base")];
      formula.classList.toggle("wide", line > 0 && parts.some((part) => part.offsetWidth > line));
    }
  };

  const maths = async () => {
    if (!document.querySelector(".arithmatex")) return;
    await Promise.all([
      load(new URL("katex.min.css", katex), "link"),
      load(new URL("katex.min.js", katex), "script"),
    ]);
    typeset(document);
    fit();
    new ResizeObserver(fit).observe(document.querySelector("article"));
  };

  // Material's own faults: a landmark without a name, a state that its element cannot have, an empty heading.
  const mend = () => {
    for (const nav of document.querySelectorAll("nav[aria-expanded]")) nav.removeAttribute("aria-expanded");
    document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
    // The parts of a table of contents are no landmarks, and neither is the button of a block of code.
    for (const nav of document.querySelectorAll(".md-nav--secondary nav, .md-code__nav")) {
      nav.removeAttribute("aria-label");
      nav.setAttribute("role", "none");
    }
    for (const [index, box] of document.querySelectorAll(".md-typeset__scrollwrap, .scrolls").entries()) {
      if (!box.dataset.mended) focusable(box, `Table ${index + 1}`);
      box.dataset.mended = "true";
    }
  };

  // Material wraps tables and adds buttons after this script has run, some of them when they come into sight.
  // Material unfolds everything for paper. What the reader had closed stays off it: see the style sheet.
  addEventListener(
    "beforeprint",
    () => {
      for (const fold of document.querySelectorAll("article details")) fold.toggleAttribute("data-closed", !fold.open);
    },
    { capture: true },
  );

  const start = () => {
    const article = document.querySelector("article");
    let waiting = 0;
    new MutationObserver(() => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(mend);
    }).observe(article, { childList: true, subtree: true });
    mend();
    maths().then(
      () => document.documentElement.setAttribute("data-ready", ""),
      (error) => console.error(error),
    );
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
