// The grammar as the editor loads it: what each word of a file is, and every file of the repository.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const extension = path.join(__dirname, "..");
const manifest = JSON.parse(fs.readFileSync(path.join(extension, "package.json"), "utf8"));

async function load() {
  const wasm = fs.readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
  await oniguruma.loadWASM(wasm);
  const [{ scopeName, path: file }] = manifest.contributes.grammars;
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async (scope) => {
      assert.strictEqual(scope, scopeName);
      const text = fs.readFileSync(path.join(extension, file), "utf8");
      return textmate.parseRawGrammar(text, file);
    },
  });
  return registry.loadGrammar(scopeName);
}

const grammar = load();

/** Each token that is no space, with its innermost scope. */
async function scopes(text) {
  const found = [];
  let stack = textmate.INITIAL;
  for (const line of text.split("\n")) {
    const { tokens, ruleStack } = (await grammar).tokenizeLine(line, stack);
    stack = ruleStack;
    for (const token of tokens) {
      const words = line.slice(token.startIndex, token.endIndex).trim();
      if (words !== "") {
        found.push([words, token.scopes.at(-1)]);
      }
    }
  }
  return found;
}

async function has(text, expected) {
  const found = await scopes(text);
  for (const [words, scope] of expected) {
    assert.ok(found.some((one) => one[0] === words && one[1] === scope), `${words} as ${scope} in ${JSON.stringify(found)}`);
  }
}

test("words are what they are", () =>
  has(
    `/* A
 clock. */ // still
SubSystem KernelServer clock 3100;
#if defined(X) /* why */
type n_t = (MACH_MSG_TYPE_INTEGER_32, 32) ctype: int;
#endif
type m_t = ^array[*:64] of n_t;
import <mach/std_types.h>;
serverprefix S_;
Routine get(
\tin p : n_t, dealloc;
\twaittime t : n_t);
skip 3;`,
    [
      ["clock. */".slice(0, 6), "comment.block.mig"],
      ["SubSystem", "keyword.other.subsystem.mig"],
      ["KernelServer", "storage.modifier.mig"],
      ["clock", "entity.name.namespace.mig"],
      ["3100", "constant.numeric.mig"],
      ["#if", "keyword.control.directive.mig"],
      ["defined", "keyword.control.directive.mig"],
      ["n_t", "entity.name.type.mig"],
      ["MACH_MSG_TYPE_INTEGER_32", "constant.language.type.mig"],
      ["ctype", "storage.modifier.translation.mig"],
      ["array", "keyword.other.type.mig"],
      ["<mach/std_types.h>", "string.quoted.other.mig"],
      ["S_", "entity.name.function.mig"],
      ["get", "entity.name.function.mig"],
      ["in", "storage.modifier.direction.mig"],
      ["p", "variable.parameter.mig"],
      ["n_t", "support.type.mig"],
      ["dealloc", "storage.modifier.flag.mig"],
      ["waittime", "keyword.other.setting.mig"],
      ["skip", "keyword.other.setting.mig"],
    ],
  ));

test("a comment ends where it ends, and a directive where its line does", async () => {
  const found = await scopes("#define A /* b\nc */ d\ntype e_t = int;");
  assert.ok(found.some(([words, scope]) => words === "e_t" && scope === "entity.name.type.mig"), JSON.stringify(found));
});

/** The names of what a file declares, found without the grammar. */
function declared(text) {
  const code = text.replace(/\/\*[^]*?\*\/|\/\/.*/g, (comment) => comment.replace(/[^\n]/g, " "));
  const names = [];
  let continued = false;
  for (const line of code.split("\n")) {
    const directive = continued || /^\s*#/.test(line);
    continued = directive && line.endsWith("\\");
    const found = !directive && /^\s*(simpleroutine|routine|type)\s+([A-Za-z_]\w*)/.exec(line);
    if (found) {
      names.push([found[2], found[1] === "type" ? "entity.name.type.mig" : "entity.name.function.mig"]);
    }
  }
  return names;
}

test("every declaration of the repository's files is seen", async () => {
  const root = path.join(extension, "../../defs");
  const files = fs.readdirSync(root, { recursive: true }).filter((file) => file.endsWith(".defs"));
  assert.ok(files.length > 90);
  let declarations = 0;
  for (const file of files) {
    const text = fs.readFileSync(path.join(root, file), "utf8");
    const found = await scopes(text);
    for (const [name, scope] of declared(text)) {
      assert.ok(found.some((one) => one[0] === name && one[1] === scope), `${file}: ${name} as ${scope}`);
      declarations += 1;
    }
    // What is open at the end would colour the rest of the editor.
    const last = await scopes(text + "\ntype the_end_t = int;");
    assert.ok(last.some(([words, scope]) => words === "the_end_t" && scope === "entity.name.type.mig"), file);
  }
  assert.ok(declarations > 1000, `${declarations}`);
});

test("what the manifest names is there, and is JSON", () => {
  const { languages, grammars, snippets } = manifest.contributes;
  const files = [...languages.map((one) => one.configuration), ...[...grammars, ...snippets].map((one) => one.path)];
  for (const file of files) {
    JSON.parse(fs.readFileSync(path.join(extension, file), "utf8"));
  }
  assert.ok(fs.existsSync(path.join(extension, manifest.main)));
  const { brackets, indentationRules } = JSON.parse(fs.readFileSync(path.join(extension, languages[0].configuration), "utf8"));
  assert.strictEqual(brackets.length, 3);
  assert.ok(new RegExp(indentationRules.increaseIndentPattern).test("routine f("));
});

test("the extension starts `mig lsp` with the settings, and says when it cannot", async () => {
  const started = [];
  const shown = [];
  const settings = { command: "/opt/mig", arguments: ["--abi", "gnu-i386"] };
  class LanguageClient {
    constructor(...given) {
      started.push(given);
    }
    async start() {
      if (settings.command === "nowhere") {
        throw new Error("ENOENT");
      }
    }
    async stop() {
      started.push("stopped");
    }
  }
  let changed;
  const vscode = {
    workspace: {
      getConfiguration: () => ({ get: (name) => settings[name] }),
      workspaceFolders: [{ uri: { fsPath: "/work" } }],
      onDidChangeConfiguration: (listener) => (changed = listener),
    },
    window: { showErrorMessage: (text) => shown.push(text) },
  };
  // The editor's own modules, which are not there outside of it.
  const Module = require("node:module");
  const original = Module._load;
  Module._load = (name, ...rest) =>
    name === "vscode" ? vscode : name === "vscode-languageclient/node" ? { LanguageClient } : original(name, ...rest);
  try {
    const { activate, deactivate } = require("../extension.js");
    await activate({ subscriptions: [] });
    const [, , server, client] = started[0];
    assert.deepStrictEqual(server, { command: "/opt/mig", args: ["lsp", "--abi", "gnu-i386"], options: { cwd: "/work" } });
    assert.strictEqual(client.documentSelector[0].language, manifest.contributes.languages[0].id);
    settings.command = "nowhere";
    await changed({ affectsConfiguration: (section) => section === "mig" });
    assert.strictEqual(started[1], "stopped");
    assert.match(shown[0], /`nowhere lsp` does not start/);
    await deactivate();
  } finally {
    Module._load = original;
  }
});
