// The page's own manners: one switch for the code, the side bar at the current page, no punctuation torn from formulas.
(() => {
  const root = document.documentElement;
  const narrow = () => window.matchMedia("(max-width: 575px)").matches;

  // MathJax (loaded after this file): \elsbreak is a line break on a telephone, nothing elsewhere.
  const math = window.MathJax = window.MathJax || {};
  math.tex = math.tex || {};
  math.tex.macros = Object.assign({elsbreak: narrow() ? "\\\\ &" : ""}, math.tex.macros);

  const codeSwitch = () => {
    for (const button of document.querySelectorAll(".els-switch")) {
      button.addEventListener("click", () => {
        const shown = root.dataset.code !== "on";
        root.dataset.code = shown ? "on" : "off";
        for (const one of document.querySelectorAll(".els-switch")) one.setAttribute("aria-pressed", shown);
      });
    }
  };

  const followSidebar = () => {
    const bar = document.querySelector(".bd-sidebar-primary");
    const here = bar && [...bar.querySelectorAll(".current > a")].pop();
    if (!here) return;
    const box = bar.scrollHeight > bar.clientHeight ? bar : bar.querySelector(".sidebar-primary-items__start") || bar;
    box.scrollTop += here.getBoundingClientRect().top - bar.getBoundingClientRect().top - bar.clientHeight / 2;
  };

  // A comma or full stop after a formula stays on the formula's line; so does a bracket before it.
  const keepPunctuation = () => {
    for (const formula of document.querySelectorAll("article span.math")) {
      if (formula.parentElement.classList.contains("els-keep")) continue;
      const after = formula.nextSibling, before = formula.previousSibling;
      const tail = after?.nodeType === 3 && after.data.match(/^[.,;:!?)\]’”"'\u2013\u2014-]+(?:s\b)?/);
      const head = before?.nodeType === 3 && before.data.match(/[(\[“‘"]$/);
      if (!tail && !head) continue;
      const keep = document.createElement("span");
      keep.className = "els-keep";
      formula.replaceWith(keep);
      if (head) {
        before.data = before.data.slice(0, -head[0].length);
        keep.append(head[0]);
      }
      keep.append(formula);
      if (tail) {
        after.data = after.data.slice(tail[0].length);
        keep.append(tail[0]);
      }
    }
  };

  // A table that is wider than its place can be scrolled, and shows it.
  const wideTables = () => {
    for (const box of document.querySelectorAll(".pst-scrollable-table-container, .els-table")) {
      const mark = () => box.classList.toggle(
        "els-more", box.scrollWidth - box.clientWidth - box.scrollLeft > 4);
      mark();
      box.addEventListener("scroll", mark, {passive: true});
      window.addEventListener("resize", mark);
    }
  };

  // What a search finds is cut out of the source: formulas come without their TeX delimiters.
  const cleanExcerpts = () => {
    const results = document.querySelector("#search-results");
    if (!results) return;
    const tex = /\\[()[\]]|\\(?:begin|end)\{\w+\*?\}|\\(?:label\{[^}]*\}|quad|left|right|big|Big|,|;|\\)|[{}&]/g;
    new MutationObserver(() => {
      for (const line of results.querySelectorAll("p.context:not([data-clean])")) {
        line.dataset.clean = "";
        const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replace(tex, " ").replace(/\s+/g, " ");
      }
    }).observe(results, {childList: true, subtree: true});
  };

  document.addEventListener("DOMContentLoaded", () => {
    codeSwitch();
    keepPunctuation();
    wideTables();
    followSidebar();
    cleanExcerpts();
  });
})();
