// The page's own script. Gradio draws the fields; the photo goes from here to the server, and the answer comes back as
// HTML in which the server has escaped every value.
"use strict";

globalThis.page = (() => {
  const NOBODY = "none";
  const field = (id) => document.getElementById(id);
  let photo = null; // a File
  let examplePhrases = "";
  let asked = null; // what the answers on the page are for: photo and phrases
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

  function look() {
    const answers = field("answers");
    if (answers.getBoundingClientRect().top > innerHeight * 0.8) answers.scrollIntoView({ block: "start" });
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
    const response = await fetch(button.querySelector("img").src);
    const name = `${button.getAttribute("aria-label").split(".")[0].toLowerCase().replace(" ", "-")}.png`;
    choose(new File([await response.blob()], name, { type: "image/png" }));
    examplePhrases = button.dataset.phrases;
    ready();
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
    return body;
  }

  async function post(path, grounder, question, signal) {
    const url = address(path);
    url.searchParams.set("name", question.photo.name || "photo");
    let response;
    try {
      response = await fetch(url, { method: "POST", body: form(grounder, question), signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server cannot be reached. Check that it runs, then try again.");
    }
    if (response.ok) return response;
    const plain = await response.json().catch(() => null);
    throw new Error(plain?.error?.message ?? `The server answered with status ${response.status}.`);
  }

  async function answer(grounder, question, signal) {
    try {
      return await (await post("answer", grounder, question, signal)).text();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      return refusal(error.message);
    }
  }

  // Return the HTML of the answers. Gradio calls it with the values of the fields.
  async function ask(text, first, second) {
    running?.abort();
    const phrases = text.split("\n").map((each) => each.trim()).filter(Boolean);
    if (!photo) return refusal("There is no photo yet. Choose one, drop one, paste one, or take an example.");
    if (!phrases.length) return refusal("There is no phrase yet. Write at least one, such as: red mug on the left");
    const most = Number(field("drop").dataset.mostBytes);
    if (photo.size > most)
      return refusal(`The photo has ${photo.size.toLocaleString("en")} bytes; the limit is ${most.toLocaleString("en")}.`);
    const question = { photo, phrases };
    const own = (running = new AbortController());
    const names = second === NOBODY || second === first ? [first] : [first, second];
    say("Looking …");
    document.body.classList.add("asking");
    try {
      const parts = await Promise.all(names.map((name) => answer(name, question, own.signal)));
      asked = question;
      say(names.length > 1 ? "Both have answered." : "Answered.");
      look();
      return `<h2 class="unseen">Answers</h2><div class="side-by-side">${parts.join("")}</div>`;
    } catch {
      return field("answers").querySelector(".side-by-side")?.outerHTML ?? ""; // the next answer is on its way
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
      link.href = URL.createObjectURL(await (await post(path, grounder, asked)).blob());
      link.download = `${asked.photo.name.replace(/\.[^.]*$/, "") || "photo"}${ending}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      say("The file is there.");
    } catch (error) {
      say(error.message);
    } finally {
      button.disabled = false;
    }
  }

  return { start, listen, ask, phrases: () => examplePhrases };
})();
