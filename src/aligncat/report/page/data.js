"use strict";

// The page's only global name. A page opened from disk can neither fetch nor import, so data files are scripts that call
// report.receive(name, value). They are loaded by adding a script element.
const report = {};

(() => {
  const promises = new Map();
  const waiting = new Map();

  report.receive = (name, value) => {
    waiting.get(name)?.(value);
    waiting.delete(name);
  };

  /** Load the value of data/NAME.js, once. A failure is not remembered, so the next call tries again. */
  report.load = (name) => {
    if (!promises.has(name)) {
      promises.set(name, new Promise((resolve, reject) => {
        waiting.set(name, resolve);
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        const fail = (what) => {
          promises.delete(name);
          waiting.delete(name);
          reject(new Error(`data/${name}.js is ${what}; copy the whole folder of the report, or make the report again`));
        };
        script.onload = () => {
          script.remove();
          if (waiting.has(name)) fail("damaged"); // it did not parse, or it ran without calling report.receive
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
