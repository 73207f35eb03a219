// Answers the forms of docs/tools/questions.py. Everything that is told here can be read without it, too.
(() => {
  "use strict";

  const say = (status, right, ...parts) => {
    status.replaceChildren();
    const verdict = document.createElement("strong");
    verdict.textContent = right ? "✔ Right. " : "✘ Not yet. ";
    status.append(verdict, ...parts);
    status.dataset.right = String(right);
  };

  // The reason stands in the answer below the form, maths and all.
  const reason = (form, option) =>
    form.querySelectorAll("details.answer li")[option].querySelector(".why").cloneNode(true);

  const choice = (form, status) => {
    const inputs = [...form.querySelectorAll(".option > input[value]")];
    const chosen = inputs.filter((input) => input.checked);
    if (!chosen.length) return say(status, false, "Choose an answer first.");
    const wrong = chosen.filter((input) => !("right" in input.dataset));
    const missing = inputs.filter((input) => "right" in input.dataset && !input.checked);
    const told = (wrong.length ? wrong : chosen).map((input) => reason(form, inputs.indexOf(input)));
    const parts = told.flatMap((part) => [part, " "]);
    if (!wrong.length && missing.length) parts.push(`${missing.length} more to be found.`);
    return say(status, !wrong.length && !missing.length, ...parts);
  };

  // "0,25", "1e-4", "−3" and "1/3" are numbers to people.
  const parse = (text) => {
    const parts = text.trim().replaceAll(",", ".").replaceAll("−", "-").split("/");
    if (parts.length > 2 || parts.some((part) => !part.trim())) return NaN;
    return parts.map(Number).reduce((a, b) => a / b);
  };

  const numeric = (form, status) => {
    const input = form.querySelector("input[data-key]");
    const given = parse(input.value);
    if (!Number.isFinite(given)) return say(status, false, "That is not a number that I can read.");
    const key = Number(input.dataset.key);
    const right = Math.abs(given - key) <= Number(input.dataset.tolerance) * Math.abs(key);
    if (right) return say(status, true, form.querySelector(".answer .why").textContent);
    const hint = Math.sign(given) === -Math.sign(key) ? "The sign is another." : given > key ? "It is less." : "It is more.";
    return say(status, false, hint);
  };

  const open = (form, status) => {
    const essay = form.querySelector("textarea");
    if (!essay.value.trim()) return say(status, false, "Write something first: it is how one learns.");
    const details = form.querySelector("details.answer");
    details.open = true;
    details.querySelector("summary").focus();
    status.textContent = "The model answer is open below: compare, and give yourself points.";
    return undefined;
  };

  const answer = { choice, numeric, open };
  for (const form of document.querySelectorAll("form.question")) {
    const status = form.querySelector(":scope > fieldset > .question-status");
    const button = form.querySelector("button[type=submit]");
    button.hidden = false;
    if (form.dataset.kind === "open") button.textContent = "Compare with the model answer";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer[form.dataset.kind](form, status);
    });
    const rubric = form.querySelector(".rubric");
    rubric?.addEventListener("change", () => {
      const ticked = [...rubric.querySelectorAll("input:checked")];
      const points = ticked.reduce((sum, input) => sum + Number(input.dataset.points), 0);
      rubric.querySelector(".question-status").textContent = `${points} of ${rubric.dataset.total} points.`;
    });
  }

  // For a sheet with answers: open them all, then print. What is closed stays off the paper.
  for (const button of document.querySelectorAll("[data-open-answers]")) {
    button.hidden = false;
    const details = [...button.closest(".questions").querySelectorAll("details.answer")];
    button.addEventListener("click", () => {
      const opening = details.some((each) => !each.open);
      for (const each of details) each.open = opening;
      button.textContent = opening ? "Close all answers" : "Open all answers";
    });
  }
})();
