// The page "Try it": gives the text to the compiler (playground/src/lib.rs) and shows what it answers.
"use strict";

(() => {
  const at = (name) => document.getElementById("try-" + name);
  const area = document.getElementById("try");

  const CLOCK = `/* A clock that tells the time, and rings. */
subsystem clock 3100;

type clock_t = MACH_MSG_TYPE_COPY_SEND;
type alarm_t = MACH_MSG_TYPE_MOVE_SEND_ONCE;
type number_t = MACH_MSG_TYPE_INTEGER_32;

/* Tells how long the clock has run. */
routine clock_get_time(
\t\tclock : clock_t;
\tout\tseconds : number_t;
\tout\tnanoseconds : number_t);

/* Rings when the clock has run for this many seconds. */
simpleroutine clock_alarm(
\t\tclock : clock_t;
\t\tseconds : number_t;
\t\talarm : alarm_t);
`;

  if (typeof MIG_COMPILER === "undefined") {
    at("report").textContent = "The compiler is not here: `cargo xtask book` makes it.";
    area.dataset.state = "missing";
    return;
  }
  const bytes = Uint8Array.from(atob(MIG_COMPILER), (c) => c.charCodeAt(0));
  const compiled = new WebAssembly.Module(bytes);
  let compiler = new WebAssembly.Instance(compiled).exports;

  /** Asks the compiler; after one that stopped there is a new one. */
  function ask(request) {
    try {
      const text = new TextEncoder().encode(JSON.stringify(request));
      // The place first: making room may move the memory.
      const room = compiler.room(text.length);
      new Uint8Array(compiler.memory.buffer, room, text.length).set(text);
      const length = compiler.compile();
      const answer = new Uint8Array(compiler.memory.buffer, compiler.place(), length);
      return JSON.parse(new TextDecoder().decode(answer));
    } catch (error) {
      compiler = new WebAssembly.Instance(compiled).exports;
      return { report: "The compiler stopped, which is a bug of it: " + error };
    }
  }

  function show() {
    const request = { defs: at("defs").value, abi: at("abi").value, beside: at("beside").value || null };
    const answer = ask(request);
    at("report").textContent = answer.report;
    // What was right last stays beside an error.
    if (answer.page !== undefined) {
      at("bytes").srcdoc = answer.page;
      at("rust").textContent = answer.rust;
    }
    at("link").href = "#" + new URLSearchParams({ abi: request.abi, beside: request.beside ?? "", defs: request.defs });
    area.dataset.state = "shown";
  }

  function select(which) {
    for (const name of ["bytes", "rust"]) {
      at(name).hidden = name !== which;
      at("show-" + name).setAttribute("aria-pressed", String(name === which));
    }
  }

  const options = (names) => names.map((name) => new Option(name || "no other", name));
  const { abis } = ask({});
  at("abi").append(...options(abis));
  at("beside").append(...options(["", ...abis]));

  /** What a link to a text has after `#`. */
  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    at("defs").value = given.get("defs") ?? CLOCK;
    at("abi").value = abis.includes(given.get("abi")) ? given.get("abi") : "gnu-x86_64";
    at("beside").value = abis.includes(given.get("beside")) ? given.get("beside") : given.has("beside") ? "" : "apple-64";
    show();
  }

  let soon;
  at("defs").addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(show, 150);
  });
  // The book turns its pages at the arrow keys.
  at("defs").addEventListener("keydown", (event) => event.stopPropagation());
  at("abi").addEventListener("change", show);
  at("beside").addEventListener("change", show);
  at("show-bytes").addEventListener("click", () => select("bytes"));
  at("show-rust").addEventListener("click", () => select("rust"));
  addEventListener("hashchange", read);
  select("bytes");
  read();
})();
