// Starts `mig lsp` for the `.defs` files of the editor.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const settings = vscode.workspace.getConfiguration("mig");
  const server = { command: settings.get("command"), args: ["lsp", ...settings.get("arguments")] };
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  if (folder !== undefined) {
    // Folders of -I are relative to it.
    server.options = { cwd: folder };
  }
  client = new LanguageClient("mig", "MIG", server, {
    documentSelector: [{ scheme: "file", language: "mig" }, { scheme: "untitled", language: "mig" }],
  });
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    vscode.window.showErrorMessage(`\`${server.command} lsp\` does not start (setting mig.command): ${error.message}`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

exports.activate = async (context) => {
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration("mig")) {
        await stop();
        await start();
      }
    }),
  );
  await start();
};

exports.deactivate = stop;
