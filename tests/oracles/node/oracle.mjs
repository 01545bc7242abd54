// What ts-json-schema-generator says of functions' parameters and results.
//
// Argument 1 is the folder of its packages. Standard input: [{"id", "folder", "file"}], TypeScript sources on disk; standard output:
// {id: {function: {"input", "output"} or {"error"}}}. TypeScript's own parser finds the functions; each one's parameters are
// written as an interface and its result as a type beside the source, which the generator then describes.
import {readFileSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.argv[2], "package.json"));
const ts = require("typescript");
const {SchemaGenerator, createFormatter, createParser, DEFAULT_CONFIG} = await import(require.resolve("ts-json-schema-generator"));

const OPTIONS = {target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  allowImportingTsExtensions: true, noEmit: true, strict: true, skipLibCheck: true, types: [], lib: ["lib.esnext.d.ts", "lib.dom.d.ts"]};
const STREAMS = new Set(["AsyncGenerator", "Generator", "AsyncIterable", "AsyncIterableIterator", "IterableIterator"]);
const FILLED_IN = new Set(["Context", "AbortSignal"]);

const isExported = (node) => node.modifiers?.some((one) => one.kind === ts.SyntaxKind.ExportKeyword) ?? false;
const isUndefined = (node) => node.kind === ts.SyntaxKind.UndefinedKeyword;

// [name, function] of what a file exports.
function* functionsOf(source) {
  const local = new Map();
  for (const statement of source.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.body && statement.name) {
      local.set(statement.name.text, statement);
      if (isExported(statement)) yield [statement.name.text, statement];
    } else if (ts.isVariableStatement(statement)) {
      for (const {name, initializer} of statement.declarationList.declarations) {
        if (!initializer || !(ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer))) continue;
        local.set(name.text, initializer);
        if (isExported(statement)) yield [name.text, initializer];
      }
    }
  }
  for (const statement of source.statements) {
    if (!ts.isExportDeclaration(statement) || statement.moduleSpecifier || !statement.exportClause) continue;
    for (const {name, propertyName} of statement.exportClause.elements) {
      const found = local.get((propertyName ?? name).text);
      if (found) yield [name.text, found];
    }
  }
}

// A function's parameters as the text of a type, and its result's.
function typesOf(node, checker) {
  const members = [];
  const more = [];
  for (const {name, type, initializer, questionToken, dotDotDotToken} of node.parameters) {
    if (type && FILLED_IN.has(type.getText())) continue;
    if (!ts.isIdentifier(name)) {
      more.push(type.getText());
      continue;
    }
    const parts = type && ts.isUnionTypeNode(type) ? type.types.filter((one) => !isUndefined(one)) : null;
    const isOptional = Boolean(initializer || questionToken || dotDotDotToken || (parts && parts.length < type.types.length));
    const text = parts ? parts.map((one) => one.getText()).join(" | ") : type ? type.getText()
      : checker.typeToString(checker.getBaseTypeOfLiteralType(checker.getTypeAtLocation(name)));
    members.push(`${name.text}${isOptional ? "?" : ""}: ${text};`);
  }
  const body = `{${members.join(" ")}}`;
  let result = node.type;
  let isStream = false;
  while (result && ts.isTypeReferenceNode(result) && result.typeArguments) {
    const name = result.typeName.getText();
    if (STREAMS.has(name)) isStream = true;
    else if (name !== "Promise") break;
    [result] = result.typeArguments;
  }
  const written = isStream ? `(${result.getText()})[]` : result?.getText();
  return {input: members.length === 0 && more.length > 0 ? more.join(" & ") : [body, ...more].join(" & "),
    output: result && result.kind !== ts.SyntaxKind.VoidKeyword ? written : null};
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const files = asked.map(({folder, file}) => path.join(folder, file));
let program = ts.createProgram(files, OPTIONS);
const checker = program.getTypeChecker();
const told = asked.map(({id}, index) => {
  const source = program.getSourceFile(files[index]);
  const functions = {};
  let added = "";
  for (const [name, node] of functionsOf(source)) {
    if (node.typeParameters) continue;
    const {input, output} = typesOf(node, checker);
    const known = {input: `OracleInput_${index}_${name}`, output: output === null ? null : `OracleOutput_${index}_${name}`};
    added += `\nexport type ${known.input} = ${input};`;
    if (output !== null) added += `\nexport type ${known.output} = ${output};`;
    functions[name] = known;
  }
  writeFileSync(files[index], `${source.text}\n${added}\n`);
  return [id, functions];
});

program = ts.createProgram(files, OPTIONS);
const config = {...DEFAULT_CONFIG, skipTypeCheck: true, topRef: false, jsDoc: "extended", discriminatorType: "json-schema"};
const generator = new SchemaGenerator(program, createParser(program, config), createFormatter(config), config);
const describe = (type) => {
  if (type === null) return null;
  try {
    return generator.createSchema(type);
  } catch (error) {
    return {error: String(error.message ?? error)};
  }
};
const out = told.map(([id, functions]) => [id, Object.fromEntries(Object.entries(functions).map(([name, {input, output}]) =>
  [name, {input: describe(input), output: describe(output)}]))]);
process.stdout.write(JSON.stringify(Object.fromEntries(out)));
