// The page's own script. Gradio draws the fields; the photo goes from here to the server, and the answer comes back as
// HTML in which the server has escaped every value.
"use strict";

globalThis.page = (() => {
  // An error whose message is for the reader. Any other one is a fault of this script.
  class Told extends Error {}

  const NOBODY = "none";
  const field = (id) => document.getElementById(id);
  let photo = null; // a File
  let example = ""; // the phrases of the example that was chosen last
  let filled = ""; // the phrases that an example wrote into the field
  let asked = null; // what the answers on the page are for: photo, phrases and settings
  let answers = ""; // the HTML of the answers on the page
  let answeredFor; // the photo that was chosen for what stands in their place; undefined if nothing does
  let running = null; // an AbortController

  const address = (path) => new URL(path, `${location.origin}${location.pathname}`);

  function say(text) {
    const line = field("status");
    if (line) line.textContent = text;
  }

  // Return the HTML of a refusal, under the grounder's name if it is one grounder's alone.
  function refusal(message, name) {
    const section = document.createElement("section");
    section.className = "answer";
    section.setAttribute("aria-label", name ? `No answer of ${name}` : "No answer");
    if (name) section.append(Object.assign(document.createElement("h3"), { textContent: name }));
    const line = Object.assign(document.createElement("p"), { className: "refusal", textContent: message });
    line.setAttribute("role", "alert");
    section.append(line);
    return section.outerHTML;
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

  // Dim what is shown if it is not about the chosen photo.
  function mark() {
    document.body.classList.toggle("other-photo", answeredFor !== undefined && answeredFor !== photo);
  }

  function tell(text, refused = false) {
    field("chosen").textContent = text;
    field("chosen").classList.toggle("refusal", refused);
  }

  function preview(source) {
    field("preview").hidden = !source;
    if (source) field("preview").src = source;
  }

  // Take a file as the photo, if the server can read it. The preview is the photo as the server reads it.
  async function choose(file) {
    take(file);
    try {
      const most = Number(field("drop").dataset.mostBytes);
      if (file.size > most)
        throw new Told(`The photo has ${file.size.toLocaleString("en")} bytes; the limit is ${most.toLocaleString("en")}.`);
      const headers = { "Content-Type": "application/octet-stream" };
      const { body } = await load(address("photo"), { method: "POST", body: file, headers });
      const shown = await body.text();
      if (photo === file) preview(shown);
    } catch (error) {
      if (photo !== file) return; // another one was chosen meanwhile
      photo = null;
      tell(`Not chosen: ${file.name}. ${explain(error)}`, true);
    }
  }

  function take(file) {
    photo = file;
    preview("");
    tell(`Chosen: ${file.name}`);
    mark();
  }

  async function chooseExample(button, ready) {
    try {
      const { src } = button.querySelector("img");
      const { body } = await load(src);
      const name = `${button.getAttribute("aria-label").split(".")[0].toLowerCase().replace(" ", "-")}.png`;
      take(new File([body], name, { type: "image/png" }));
      preview(src);
      example = button.dataset.phrases;
      ready();
    } catch (error) {
      say(explain(error));
    }
  }

  // Return the phrases for an example: its own ones, unless the reader wrote some. Gradio calls it with the field's.
  function phrases(text) {
    if (text.trim() && text !== filled) return text;
    filled = example;
    return filled;
  }

  // Called once when the field for the photo is there; `ready` says that an example was chosen.
  function start(element, ready) {
    const drop = field("drop");
    field("file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      event.target.value = ""; // so that the same file can be chosen again
      if (file) choose(file);
    });
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
      const update = () => (value.textContent = Number(input.value) ? Number(input.value).toFixed(2) : "any");
      input.addEventListener("input", update);
      update();
    }
  }

  const asking = (first, second) => (second === NOBODY ? [first] : [first, second]);
  const hasMatch = (grounder) => field("settings").dataset.withMatch.split(" ").includes(grounder);

  // Offer the settings that the chosen grounders have, and say what others lack. Gradio calls it with their names, and
  // takes the second one from it: it is not the first one again.
  function offer(first, second) {
    if (second === first) second = NOBODY;
    for (const each of document.querySelectorAll("#second input"))
      each.closest("label").style.display = each.value === first ? "none" : "";
    const names = asking(first, second);
    const without = names.filter((name) => !hasMatch(name));
    for (const each of document.querySelectorAll("#settings .of-match")) each.hidden = without.length === names.length;
    const [have, they] = without.length > 1 ? ["have", "they answer"] : ["has", "it answers"];
    const line = field("without-match");
    line.hidden = !without.length;
    line.textContent =
      `${without.join(" and ")} ${have} no match: ${they} each phrase with one object, ` +
      "even if the photo shows nothing that fits.";
    return second;
  }

  function settings() {
    return {
      several: field("several").checked,
      minMatch: Number(field("min-match").value),
      minProbability: Number(field("min-probability").value),
    };
  }

  // Return when all of these are there. Gradio draws its fields in any order.
  async function there(...selectors) {
    const isMissing = (selector) => !document.querySelector(selector);
    while (selectors.some(isMissing)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  // Called once when the place for answers is there.
  async function listen(element) {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-download]");
      if (button) download(button);
    });
    await there("#phrases", "#ask", "#settings");
    field("phrases").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      field("ask").click();
    });
    const { first, grounders } = field("settings").dataset;
    if (Number(grounders) > 1) {
      await there("#first input", "#second input");
      group("first", "Grounder");
      group("second", "Compare with");
    }
    offer(first, NOBODY);
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
    if (response.headers.has("X-Refusal")) throw new Told(await body.text());
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

  // Return the HTML of an answer, or why there is none.
  async function answer(grounder, question, signal) {
    try {
      return { html: await (await post("answer", grounder, question, signal)).body.text() };
    } catch (error) {
      if (error.name === "AbortError") throw error;
      return { name: grounder, message: explain(error) };
    }
  }

  function outcome(parts) {
    if (parts.every((each) => each.html)) return "Answered.";
    return parts.some((each) => each.html) ? "One has answered, and one has not." : "Not answered.";
  }

  // Return the HTML of answers and refusals. What is wrong with the question is said once.
  function together(parts) {
    const [{ message }] = parts;
    if (message && parts.every((each) => each.message === message)) return refusal(message);
    return parts.map((each) => each.html ?? refusal(each.message, each.name)).join("");
  }

  // Return a question, from the text of the phrases.
  function questionOf(text) {
    const phrases = text.split("\n").map((each) => each.trim()).filter(Boolean);
    if (!photo) throw new Told("There is no photo yet. Choose one, drop one, paste one, or take an example.");
    if (!phrases.length) throw new Told("There is no phrase yet. Write at least one, such as: red mug on the left");
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
        answeredFor = photo;
      } // otherwise the next answers are on their way
    }
    mark();
    return answers;
  }

  async function answersTo(question, names) {
    const own = (running = new AbortController());
    say("Looking …");
    document.body.classList.add("asking");
    try {
      const parts = await Promise.all(names.map((name) => answer(name, question, own.signal)));
      asked = question;
      answeredFor = question.photo;
      say(outcome(parts));
      look();
      return `<h2 class="unseen">Answers</h2><div class="side-by-side">${together(parts)}</div>`;
    } finally {
      if (running === own) {
        running = null;
        document.body.classList.remove("asking");
      }
    }
  }

  async function download(button) {
    if (!asked) return;
    const { download: path, grounder } = button.dataset;
    button.disabled = true;
    say("Making the file …");
    try {
      const { response, body } = await post(path, grounder, asked);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(body);
      link.download = decodeURIComponent(response.headers.get("Content-Disposition").split("''")[1]);
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      say("The file is there.");
    } catch (error) {
      say(explain(error));
    } finally {
      button.disabled = false;
    }
  }

  return { start, prepare, offer, listen, ask, phrases };
})();
