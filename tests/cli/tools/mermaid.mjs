// Parses a diagram with the real mermaid and prints what it understood. Usage: mermaid.mjs FILE, from the folder that
// install.sh filled.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const folder = process.cwd();
const require = createRequire(join(folder, 'package.json'));
const { JSDOM } = require('jsdom');
const { window } = new JSDOM('<!doctype html><body></body>');
globalThis.window = window;
globalThis.document = window.document;
const entry = join(folder, 'node_modules/mermaid/dist/mermaid.core.mjs');
const { default: mermaid } = await import(pathToFileURL(entry));
const text = readFileSync(process.argv[2], 'utf8');
await mermaid.parse(text);
const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
const vertices = [...db.getVertices().values()].map((vertex) => vertex.text);
const edges = db.getEdges().map((edge) => ({ from: edge.start, to: edge.end, text: edge.text }));
console.log(JSON.stringify({ vertices, edges }));
