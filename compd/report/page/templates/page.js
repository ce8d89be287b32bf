"use strict";

// The page is whole without this: it adds search, filters, order and copying to each gallery.
(() => {
  const byNumber = (key) => (a, b) => Number(a.dataset[key]) - Number(b.dataset[key]);
  const words = new Intl.Collator(undefined, { numeric: true });
  const orders = {
    rank: byNumber("rank"),
    severity: (a, b) => byNumber("severity")(b, a),
    linf: byNumber("linf"),
    l2: byNumber("l2"),
    flip: (a, b) => byNumber("source")(a, b) || byNumber("target")(a, b),
    seed: (a, b) => words.compare(a.dataset.seed, b.dataset.seed),
  };

  const copied = async (text, code) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // a file, or a frame that may not: as a person would
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  };

  const onCopy = async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    const done = await copied(code.textContent, code);
    button.textContent = done ? "Copied" : "Select and copy";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  };

  // What is typed to search: "7 → 8" or "7->8" is a flip, with one side or both; "class:7" or the
  // name of a class is that class; anything else is looked for in all that a card says.
  const wantedOf = (text, known) => {
    const asked = text.toLowerCase().trim();
    const flip = asked.split(/\s*(?:→|->)\s*/);
    if (flip.length === 2) return { flip, classes: [], parts: [] };
    if (asked.startsWith("class:")) return { classes: [asked.slice(6).trim()], parts: [] };
    if (known.has(asked)) return { classes: [asked], parts: [] };
    const words = asked.split(/\s+/).filter(Boolean);
    return {
      classes: words.filter((word) => known.has(word)),
      parts: words.filter((word) => !known.has(word)),
    };
  };

  const setUp = (section) => {
    const gallery = section.querySelector(".gallery");
    if (!gallery) return;
    const form = gallery.querySelector(".controls");
    const list = gallery.querySelector(".cards");
    const nothing = gallery.querySelector(".nothing");
    const chip = form.querySelector(".flip");
    const output = form.querySelector("output");
    const cards = [...list.children];
    const value = (name) => (form.elements[name] ? form.elements[name].value : "");
    const texts = new Map();
    const names = new Map();
    const links = [...section.querySelectorAll(".matrix a")];
    let flip = null;
    let order = value("sort");

    const namesOf = (card) => {
      if (!names.has(card)) {
        const both = [...card.querySelectorAll("h3 bdi")];
        names.set(card, both.map((one) => one.textContent.trim().toLowerCase()));
      }
      return names.get(card);
    };

    const isOf = (card, wanted) =>
      wanted.flip
        ? namesOf(card).every((name, side) => !wanted.flip[side] || name === wanted.flip[side])
        : wanted.classes.every((name) => namesOf(card).includes(name));

    const textOf = (card) => {
      if (!texts.has(card)) texts.set(card, card.textContent.toLowerCase());
      return texts.get(card);
    };

    const fits = (card, wanted) =>
      (!flip || (card.dataset.source === flip.source && card.dataset.target === flip.target)) &&
      (!wanted.status || card.dataset.status === wanted.status) &&
      (!wanted.stability || card.dataset.stability === wanted.stability) &&
      Number(card.dataset.severity) >= wanted.severity &&
      isOf(card, wanted) &&
      wanted.parts.every((part) => textOf(card).includes(part));

    const apply = () => {
      const wanted = {
        status: value("status"),
        stability: value("stability"),
        severity: Number(value("severity")) || 0,
        ...wantedOf(value("text"), known),
      };
      let shown = 0;
      for (const card of cards) {
        const fit = fits(card, wanted);
        if (card.hidden === fit) card.hidden = !fit;
        shown += fit;
      }
      output.value = `${shown} of ${cards.length} shown`;
      nothing.hidden = shown > 0;
    };

    const sort = () => {
      if (value("sort") === order) return;
      order = value("sort");
      const sorted = [...cards].sort((a, b) => orders[order](a, b) || orders.rank(a, b));
      list.append(...sorted);
    };

    const choose = (link) => {
      const same = flip && flip.link === link;
      if (flip) flip.link.removeAttribute("aria-current");
      flip = null;
      chip.hidden = true;
      if (link && !same) {
        flip = { source: link.dataset.source, target: link.dataset.target, link };
        link.setAttribute("aria-current", "true");
        chip.textContent = `${link.title.split(":")[0]} ×`;
        chip.hidden = false;
      }
      apply();
      return !same;
    };

    const known = new Set(cards.flatMap(namesOf));

    form.hidden = false;
    form.addEventListener("input", () => {
      sort();
      apply();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      setTimeout(() => {
        sort();
        choose(null);
      });
    });
    chip.addEventListener("click", () => choose(null));
    for (const link of links) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        if (choose(link)) gallery.scrollIntoView();
      });
    }
    apply();
  };

  const typing = (target) => target.matches("input, select, textarea");

  // "/" goes to the search, Escape clears it, j and k go from card to card
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (event.key === "Escape" && typing(target) && target.form) {
      target.form.reset();
      target.blur();
    } else if (event.key === "/" && !typing(target)) {
      const inside = target.closest(".corpus") || document;
      const search = inside.querySelector(".controls input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if ((event.key === "j" || event.key === "k") && !typing(target)) {
      const cards = [...document.querySelectorAll(".card:not([hidden])")];
      const at = cards.indexOf(target.closest(".card"));
      const next = cards[at < 0 ? 0 : at + (event.key === "j" ? 1 : -1)];
      if (next) next.focus();
    }
  };

  for (const section of document.querySelectorAll(".corpus")) setUp(section);
  for (const button of document.querySelectorAll(".copy")) button.hidden = false;
  document.addEventListener("click", onCopy);
  document.addEventListener("keydown", onKey);
})();
