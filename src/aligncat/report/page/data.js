"use strict";

// The one global name. A page opened from disk can neither fetch nor import, so data files are scripts that call
// report.receive(name, value), and are asked for by adding a script element.
const report = {};

(() => {
  const promises = new Map();
  const waiting = new Map();

  report.receive = (name, value) => {
    waiting.get(name)?.(value);
    waiting.delete(name);
  };

  /** The value of data/NAME.js, loaded once; a failure is forgotten, so that asking again tries again. */
  report.load = (name) => {
    if (!promises.has(name)) {
      promises.set(name, new Promise((resolve, reject) => {
        waiting.set(name, resolve);
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        const fail = (what) => {
          promises.delete(name);
          waiting.delete(name);
          reject(new Error(`data/${name}.js is ${what}: copy the whole folder of the report, or make it again`));
        };
        script.onload = () => {
          script.remove();
          if (waiting.has(name)) fail("damaged"); // it ran, or did not parse, and has handed over nothing
        };
        script.onerror = () => {
          script.remove();
          fail("missing");
        };
        document.head.append(script);
      }));
    }
    return promises.get(name);
  };
})();
