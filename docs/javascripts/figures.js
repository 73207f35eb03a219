// Wakes the figures of docs/tools/interactive.py: fetches what one needs when it comes near, shows its
// controls and answers them. Nothing moves by itself. If anything fails, the still picture stays.
(() => {
  "use strict";

  const control = (figure, name) => figure.querySelector(`[data-control="${name}"]`);
  const shown = (figure, name) => figure.querySelector(`[data-show="${name}"]`);

  const fetched = async (address) => {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address} answers ${answer.status}`);
    return answer;
  };

  // A range, its text for eyes and the same for ears.
  const say = (figure, range, text) => {
    range.setAttribute("aria-valuetext", text);
    figure.querySelector(`output[for="${range.id}"]`).textContent = text;
  };

  // 0.002 as it is, 2.4e-9 as people write it.
  const short = (value) => {
    if (value >= 0.001 && value < 1000) return String(Number(value.toPrecision(3)));
    const [digits, power] = value.toExponential(1).split("e");
    const raised = [...String(Number(power))].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
    return `${digits} · 10${raised}`;
  };

  const element = (name, ...inside) => {
    const made = document.createElement(name);
    made.append(...inside);
    return made;
  };

  // Numbers in [−1, 1], all red ones first, onto a canvas of size × size pixels; what is beyond is clipped.
  const paint = (canvas, values, size) => {
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    const image = context.createImageData(size, size);
    const count = size * size;
    for (let pixel = 0; pixel < count; pixel += 1) {
      for (let colour = 0; colour < 3; colour += 1) {
        image.data[4 * pixel + colour] = (values[colour * count + pixel] + 1) * 127.5;
      }
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };

  // Chapter 5: x_t = √ᾱ · x_0 + √(1−ᾱ) · ε, at one t of one schedule.
  const noiseDial = async (figure, data) => {
    const range = control(figure, "t");
    const choices = [...figure.querySelectorAll('[data-control="schedule"]')];
    const curves = figure.querySelector(".kept svg");
    const frame = Object.fromEntries(Object.entries(curves.dataset).map(([name, value]) => [name, Number(value)]));
    const mark = (name, kind) => {
      const made = document.createElementNS(curves.namespaceURI, name);
      made.setAttribute("class", kind);
      curves.append(made);
      return made;
    };
    const line = mark("path", "mark");
    const dots = { signal: mark("circle", "mark signal"), noise: mark("circle", "mark noise") };
    paint(shown(figure, "x_0"), data.x_0, data.size);
    paint(shown(figure, "noise"), data.noise, data.size);
    shown(figure, "x_0").setAttribute("aria-label", "the picture");
    shown(figure, "noise").setAttribute("aria-label", "the noise");

    const update = () => {
      const schedule = choices.find((choice) => choice.checked).value;
      const t = Number(range.value);
      const alphaBar = data.alpha_bar[schedule][t];
      const factors = { signal: Math.sqrt(alphaBar), noise: Math.sqrt(1 - alphaBar) };
      const x_t = data.x_0.map((value, k) => factors.signal * value + factors.noise * data.noise[k]);
      paint(shown(figure, "x_t"), x_t, data.size);
      const across = frame.left + ((frame.right - frame.left) * t) / Number(range.max);
      line.setAttribute("d", `M${across},${frame.top} V${frame.bottom}`);
      for (const [name, factor] of Object.entries(factors)) {
        shown(figure, `${name}-factor`).textContent = factor.toFixed(3);
        dots[name].setAttribute("cx", across);
        dots[name].setAttribute("cy", frame.bottom - (frame.bottom - frame.top) * factor);
        dots[name].setAttribute("r", 5);
      }
      curves.dataset.chosen = schedule;
      const snr = short(alphaBar / (1 - alphaBar));
      const sum = `x_t = ${factors.signal.toFixed(3)} · x_0 + ${factors.noise.toFixed(3)} · ε`;
      shown(figure, "x_t").setAttribute("aria-label", `x_t at t = ${t}`);
      say(figure, range, `t = ${t}: ${sum}; signal-to-noise ratio ${snr}`);
    };
    for (const each of [range, ...choices]) each.addEventListener("input", update);
    update();
  };

  // Chapter 7: a row of the sheet is a walk, first each x_t, then each guess.
  const scrubber = async (figure, data) => {
    const [range, kind, scale] = ["step", "class", "scale"].map((name) => control(figure, name));
    const sheet = new Image();
    sheet.src = figure.dataset.source.replace(/json$/, "png");
    await sheet.decode();
    const steps = data.timesteps.length;

    const show = (name, column, row, label) => {
      const canvas = shown(figure, name);
      canvas.width = canvas.height = data.size;
      const place = [column * data.size, row * data.size, data.size, data.size];
      canvas.getContext("2d").drawImage(sheet, ...place, 0, 0, data.size, data.size);
      canvas.setAttribute("aria-label", label);
    };

    const update = () => {
      const step = Number(range.value);
      // At scale 0 one walk is that of every class.
      const row = data.rows.findIndex(([name, s]) => [kind.value, null].includes(name) && s === Number(scale.value));
      const walk = `${kind.value}, guidance scale ${scale.value}`;
      show("x_t", step, row, `x_t in step ${step + 1}, ${walk}`);
      show("x_0", steps + step, row, `guess in step ${step + 1}, ${walk}`);
      const share = short(Math.sqrt(data.alpha_bar[step]));
      const end = step === steps - 1 ? "; this guess is the end of the walk" : "";
      say(figure, range, `step ${step + 1} of ${steps}: t = ${data.timesteps[step]}, √ᾱ = ${share}${end}`);
    };
    for (const each of [range, kind, scale]) each.addEventListener("input", update);
    update();
  };

  // Chapter 4: the layers of a U-Net in the order in which they are called.
  const unet = async (figure, data) => {
    const [range, recipe, size] = ["layer", "recipe", "size"].map((name) => control(figure, name));
    const kept = figure.querySelector(".kept");
    const details = shown(figure, "details");
    const spoken = (shape) => shape.join(" × ") || "one number";
    const count = (number) => number.toLocaleString("en");
    const origin = (name) => ({ x: "the picture x", t: "t", y: "y", forward: "code between the layers" })[name] ?? name;

    const list = (title, items) => element("p", element("strong", title), ` ${items.join("; ")}`);

    const table = (layer, shapes) => {
      const row = (kind, ...cells) => element("tr", ...cells.map((cell) => element(kind, cell)));
      const head = row("th", "Inside", "out", "parameters");
      for (const cell of head.children) cell.scope = "col";
      const rows = layer.parts.map((part, k) => {
        const name = element("code", part.name.slice(layer.name.length + 1));
        const cell = element("span", name, ` ${part.kind}`);
        return row("td", cell, shapes[k].map(spoken).join(", "), count(part.parameters));
      });
      const made = element("table", element("thead", head), element("tbody", ...rows));
      made.className = "measured";
      return made;
    };

    const update = () => {
      const network = data[recipe.value];
      const shapes = network.shapes[size.value];
      const place = Number(range.value);
      const layer = network.layers[place];
      const [given, gave, inside] = shapes[place];
      for (const text of kept.querySelectorAll("[data-out]")) {
        text.textContent = spoken(shapes[text.dataset.out][1][0]);
      }
      for (const text of kept.querySelectorAll("[data-skip]")) text.textContent = spoken(shapes[text.dataset.skip][0][1]);
      for (const box of kept.querySelectorAll(".layer")) {
        box.classList.toggle("chosen", place >= Number(box.dataset.from) && place <= Number(box.dataset.to));
      }
      const users = gave.map(() => []);
      // A block on the way down gives two things: h goes on, the skip goes across.
      network.layers.forEach((other, k) => {
        other.of.forEach((of, n) => {
          if (of !== layer.name || k <= place) return;
          const which = gave.findIndex((shape) => String(shape) === String(shapes[k][0][n]));
          users[which].push(other.name);
        });
      });
      const to = (names) => (names.length > 3 ? `${names[0]} and ${names.length - 1} more` : names.join(", "));
      const share = Math.round((1000 * layer.parameters) / network.parameters) / 10;
      const parts = [
        list("In:", given.map((shape, n) => `${spoken(shape)} from ${origin(layer.of[n])}`)),
        list("Out:", gave.map((shape, n) => spoken(shape) + (users[n].length ? ` to ${to(users[n])}` : ""))),
        list("Parameters:", [`${count(layer.parameters)}, ${share}% of ${count(network.parameters)}`]),
      ];
      if (layer.parts.length) parts.push(table(layer, inside));
      details.replaceChildren(...parts);
      const way = `${given.map(spoken).join(" and ")} → ${gave.map(spoken).join(" and ")}`;
      say(figure, range, `layer ${place + 1} of ${network.layers.length}: ${layer.name} (${layer.kind}), ${way}`);
    };

    // The drawing comes from the same file of this site as the numbers.
    const change = () => {
      const network = data[recipe.value];
      const drawing = new DOMParser().parseFromString(network.drawing, "image/svg+xml").documentElement;
      kept.replaceChildren(document.adoptNode(drawing));
      range.max = network.layers.length - 1;
      size.value = network.size;
      update();
    };
    kept.addEventListener("click", (event) => {
      const box = event.target.closest(".layer");
      if (!box) return;
      range.value = box.dataset.from;
      update();
    });
    range.addEventListener("input", update);
    size.addEventListener("input", update);
    recipe.addEventListener("input", change);
    change();
  };

  // The page of mistakes: one of them beside the right program, or all.
  const gallery = async (figure) => {
    const chosen = control(figure, "mistake");
    const items = [...shown(figure, "symptoms").children];
    const update = () => {
      for (const item of items) item.classList.toggle("other", ![item.id, "all"].includes(chosen.value));
    };
    const follow = () => {
      const name = decodeURIComponent(location.hash.slice(1));
      if (!items.some((item) => item.id === name)) return;
      chosen.value = name;
      update();
    };
    for (const button of figure.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => {
        const count = chosen.options.length;
        chosen.selectedIndex = (chosen.selectedIndex + Number(button.dataset.step) + count) % count;
        update();
      });
    }
    chosen.addEventListener("input", update);
    addEventListener("hashchange", follow);
    update();
    follow();
  };

  const kinds = { "noise-dial": noiseDial, scrubber, unet, gallery };

  const wake = async (figure) => {
    try {
      const { source } = figure.dataset;
      const data = source && (await (await fetched(source)).json());
      await kinds[figure.dataset.figure](figure, data);
      figure.querySelector(".live").hidden = false;
      figure.classList.add("is-live");
    } catch (error) {
      const note = figure.querySelector(".without");
      if (note) {
        note.textContent =
          "Its data could not be fetched, so the picture stays still. A site that was copied to this machine " +
          "has to be served: python -m http.server, in its folder.";
      }
      console.warn(error);
    }
  };

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        near.unobserve(entry.target);
        wake(entry.target);
      }
    },
    { rootMargin: "500px" },
  );
  for (const figure of document.querySelectorAll(".interactive")) near.observe(figure);
})();
