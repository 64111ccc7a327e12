// The page's own script. Gradio draws the fields; the photo goes from here to the server, and the answer comes back as
// HTML in which the server has escaped every value.
"use strict";

globalThis.page = (() => {
  // An error whose message is for the reader. Any other one is a fault of this script.
  class Told extends Error {}

  const NOBODY = "none";
  const field = (id) => document.getElementById(id);
  let photo = null; // a File
  let examplePhrases = "";
  let asked = null; // what the answers on the page are for: photo, phrases and settings
  let answers = ""; // the HTML of the answers on the page
  let running = null; // an AbortController
  let shown = ""; // the address of the preview

  const address = (path) => new URL(path, `${location.origin}${location.pathname}`);

  function say(text) {
    const line = field("status");
    if (line) line.textContent = text;
  }

  function refusal(message) {
    const line = document.createElement("p");
    line.className = "refusal";
    line.setAttribute("role", "alert");
    line.textContent = message;
    return line.outerHTML;
  }

  // Return what the reader is told of an error. The console is told of a fault.
  function explain(error) {
    if (error instanceof Told) return error.message;
    console.error(error);
    return `The page failed (${error.message}). Load it again, and try once more.`;
  }

  function look() {
    const place = field("answers");
    if (place.getBoundingClientRect().top > innerHeight * 0.8) place.scrollIntoView({ block: "start" });
  }

  function choose(file) {
    photo = file;
    const preview = field("preview");
    if (shown) URL.revokeObjectURL(shown);
    shown = URL.createObjectURL(file);
    preview.hidden = true; // until it has loaded: a browser does not show every format that the server reads
    preview.src = shown;
    field("chosen").textContent = `Chosen: ${file.name}`;
  }

  async function chooseExample(button, ready) {
    try {
      const { body } = await load(button.querySelector("img").src);
      const name = `${button.getAttribute("aria-label").split(".")[0].toLowerCase().replace(" ", "-")}.png`;
      choose(new File([body], name, { type: "image/png" }));
      examplePhrases = button.dataset.phrases;
      ready();
    } catch (error) {
      say(explain(error));
    }
  }

  // Called once when the field for the photo is there; `ready` says that an example was chosen.
  function start(element, ready) {
    const drop = field("drop");
    const preview = field("preview");
    preview.addEventListener("load", () => (preview.hidden = false));
    field("file").addEventListener("change", (event) => event.target.files[0] && choose(event.target.files[0]));
    for (const kind of ["dragenter", "dragover"])
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const file = event.clipboardData?.files[0];
      if (!file) return;
      event.preventDefault();
      choose(file);
    });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("#examples button");
      if (button) chooseExample(button, ready);
    });
  }

  // Gradio's radio buttons each have a name of their own, which changes with the choice, and their group has none. With
  // one name, the arrow keys choose.
  function group(id, label) {
    const element = field(id);
    if (!element) return; // there is one grounder
    element.setAttribute("role", "radiogroup");
    element.setAttribute("aria-label", label);
    const rename = () => {
      for (const input of element.querySelectorAll("input")) if (input.name !== id) input.name = id;
    };
    new MutationObserver(rename).observe(element, { subtree: true, childList: true, attributeFilter: ["name"] });
    rename();
  }

  // Called once when the settings are there.
  function prepare(element) {
    for (const input of element.querySelectorAll("input[type=range]")) {
      const value = element.querySelector(`output[for=${input.id}]`);
      const tell = () => (value.textContent = Number(input.value) ? Number(input.value).toFixed(2) : "any");
      input.addEventListener("input", tell);
      tell();
    }
    offer(field("settings").dataset.first, NOBODY);
  }

  const asking = (first, second) => (second === NOBODY || second === first ? [first] : [first, second]);
  const hasMatch = (grounder) => field("settings").dataset.withMatch.split(" ").includes(grounder);

  // Offer the settings that the chosen grounders have, and say what others lack. Gradio calls it with their names.
  function offer(first, second) {
    const names = asking(first, second);
    const without = names.filter((name) => !hasMatch(name));
    for (const each of document.querySelectorAll("#settings .of-match")) each.hidden = without.length === names.length;
    const [have, they] = without.length > 1 ? ["have", "they answer"] : ["has", "it answers"];
    const line = field("without-match");
    line.hidden = !without.length;
    line.textContent =
      `${without.join(" and ")} ${have} no match: ${they} each phrase with one object, ` +
      "even if the photo shows nothing that fits.";
  }

  function settings() {
    return {
      several: field("several").checked,
      minMatch: Number(field("min-match").value),
      minProbability: Number(field("min-probability").value),
    };
  }

  // Called once when the place for answers is there, and with it all fields before it.
  function listen(element) {
    group("first", "Grounder");
    group("second", "Beside it");
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-download]");
      if (button) download(button);
    });
  }

  function form(grounder, question) {
    const body = new FormData();
    body.append("photo", question.photo, question.photo.name || "photo");
    for (const phrase of question.phrases) body.append("phrases", phrase);
    body.append("grounder", grounder);
    if (question.minProbability) body.append("min_probability", question.minProbability);
    if (hasMatch(grounder)) {
      body.append("several", question.several);
      if (question.minMatch) body.append("min_match", question.minMatch);
    }
    return body;
  }

  // Return a response, and its body as a Blob.
  async function load(url, options) {
    let response, body;
    try {
      response = await fetch(url, options);
      body = await response.blob();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Told("The server cannot be reached. Check that it runs, then try again.");
    }
    if (response.ok) return { response, body };
    let plain = null;
    try {
      plain = JSON.parse(await body.text());
    } catch {} // a proxy's page, which says less than its status
    throw new Told(plain?.error?.message ?? `The server answered with status ${response.status}.`);
  }

  function post(path, grounder, question, signal) {
    const url = address(path);
    url.searchParams.set("name", question.photo.name || "photo");
    return load(url, { method: "POST", body: form(grounder, question), signal });
  }

  // Return the HTML of an answer, and whether it is one: a refusal is shown in its place.
  async function answer(grounder, question, signal) {
    try {
      const { response, body } = await post("answer", grounder, question, signal);
      return { html: await body.text(), good: !response.headers.has("X-Refusal") };
    } catch (error) {
      if (error.name === "AbortError") throw error;
      return { html: refusal(explain(error)), good: false };
    }
  }

  function outcome(good) {
    if (good.length === 1) return good[0] ? "Answered." : "Not answered.";
    if (good.every(Boolean)) return "Both have answered.";
    return good.some(Boolean) ? "One has answered, and one has not." : "Neither has answered.";
  }

  // Return a question, from the text of the phrases.
  function questionOf(text) {
    const phrases = text.split("\n").map((each) => each.trim()).filter(Boolean);
    if (!photo) throw new Told("There is no photo yet. Choose one, drop one, paste one, or take an example.");
    if (!phrases.length) throw new Told("There is no phrase yet. Write at least one, such as: red mug on the left");
    const most = Number(field("drop").dataset.mostBytes);
    if (photo.size > most)
      throw new Told(`The photo has ${photo.size.toLocaleString("en")} bytes; the limit is ${most.toLocaleString("en")}.`);
    return { photo, phrases, ...settings() };
  }

  // Return the HTML of the answers. Gradio calls it with the values of the fields.
  async function ask(text, first, second) {
    try {
      const question = questionOf(text);
      running?.abort(); // not before: what cannot be asked does not end what was
      answers = await answersTo(question, asking(first, second));
    } catch (error) {
      if (error.name !== "AbortError") {
        if (!running) say("Not answered.");
        answers = refusal(explain(error));
      } // otherwise the next answers are on their way
    }
    return answers;
  }

  async function answersTo(question, names) {
    const own = (running = new AbortController());
    say("Looking …");
    document.body.classList.add("asking");
    try {
      const parts = await Promise.all(names.map((name) => answer(name, question, own.signal)));
      asked = question;
      say(outcome(parts.map((each) => each.good)));
      look();
      return `<h2 class="unseen">Answers</h2><div class="side-by-side">${parts.map((each) => each.html).join("")}</div>`;
    } finally {
      if (running === own) {
        running = null;
        document.body.classList.remove("asking");
      }
    }
  }

  async function download(button) {
    if (!asked) return;
    const { download: path, grounder, ending } = button.dataset;
    button.disabled = true;
    say("Making the file …");
    try {
      const link = document.createElement("a");
      link.href = URL.createObjectURL((await post(path, grounder, asked)).body);
      link.download = `${asked.photo.name.replace(/\.[^.]*$/, "") || "photo"}${ending}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      say("The file is there.");
    } catch (error) {
      say(explain(error));
    } finally {
      button.disabled = false;
    }
  }

  return { start, prepare, offer, listen, ask, phrases: () => examplePhrases };
})();
