/**
 * XML as a tree that keeps everything: order, unknown elements, comments, white space, and the very characters of
 * values nobody touched (entities are decoded on reading a value, encoded on writing one).
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser';

export interface XmlElement {
  readonly kind: 'element';
  name: string;
  /** As written, entities and all: use attribute() and setAttribute(). */
  readonly attributes: Map<string, string>;
  readonly children: XmlNode[];
}

export type XmlNode =
  | XmlElement
  /** As written. */
  | { readonly kind: 'text'; readonly raw: string }
  | { readonly kind: 'comment' | 'cdata'; readonly raw: string }
  | { readonly kind: 'instruction'; readonly name: string; readonly attributes: ReadonlyMap<string, string> };

/** libvirt's own bound on a string in a call (REMOTE_STRING_MAX). */
const maxXmlChars = 4 * 1024 * 1024;
/** A chain of 200 backing files nests two elements each. */
const maxDepth = 512;

export class XmlError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'XmlError';
  }
}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  commentPropName: '#comment',
  cdataPropName: '#cdata',
  textNodeName: '#text',
  maxNestedTags: maxDepth,
});

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function attributesOf(value: unknown): Map<string, string> {
  return new Map(isRecord(value) ? Object.entries(value).map(([name, raw]) => [name, String(raw)]) : []);
}

function rawText(value: unknown): string {
  if (!Array.isArray(value)) {
    return String(value);
  }
  return value.map((part) => (isRecord(part) ? String(part['#text'] ?? '') : '')).join('');
}

/** One node of fast-xml-parser's ordered form: `{ name: children, ':@': attributes }`. */
function toNode(value: unknown): XmlNode {
  if (!isRecord(value)) {
    throw new XmlError('the document is malformed');
  }
  const { ':@': attributes, ...content } = value;
  const [entry] = Object.entries(content);
  if (entry === undefined) {
    throw new XmlError('the document is malformed');
  }
  const [name, body] = entry;
  switch (name) {
    case '#text':
      return { kind: 'text', raw: String(body) };
    case '#comment':
      return { kind: 'comment', raw: rawText(body) };
    case '#cdata':
      return { kind: 'cdata', raw: rawText(body) };
    default:
      if (name.startsWith('?')) {
        return { kind: 'instruction', name: name.slice(1), attributes: attributesOf(attributes) };
      }
      return {
        kind: 'element',
        name,
        attributes: attributesOf(attributes),
        children: Array.isArray(body) ? body.map(toNode) : [],
      };
  }
}

/**
 * The root element named `rootName`. What stands around it (declaration, comments) is not kept: libvirt puts nothing
 * there.
 * @throws XmlError for anything malformed, too large, too deep, or with a document type (entity definitions)
 */
export function parseXml(text: string, rootName: string): XmlElement {
  if (text.length > maxXmlChars) {
    throw new XmlError(`the document has ${text.length} characters, more than ${maxXmlChars}`);
  }
  if (/<!DOCTYPE/i.test(text)) {
    throw new XmlError('the document declares a document type');
  }
  const validity = XMLValidator.validate(text);
  if (validity !== true) {
    throw new XmlError(`the document is malformed at line ${validity.err.line}: ${validity.err.msg}`);
  }
  const nodes = parseOrdered(text).map(toNode);
  const roots = nodes.filter((node) => node.kind === 'element');
  const [root] = roots;
  if (root === undefined || roots.length !== 1 || root.name !== rootName) {
    throw new XmlError(`the document is not a <${rootName}>`);
  }
  return root;
}

function parseOrdered(text: string): readonly unknown[] {
  try {
    const parsed: unknown = parser.parse(text);
    return Array.isArray(parsed) ? parsed : [];
  } catch (cause) {
    throw new XmlError(`the document is malformed: ${cause instanceof Error ? cause.message : cause}`);
  }
}

const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decodeEntities(raw: string): string {
  return raw.replace(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([a-z]+));/g, (whole, hex, decimal, name) => {
    if (name !== undefined) {
      return named[name] ?? whole;
    }
    const codePoint = hex === undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : whole;
  });
}

/** Line ends and tabs too: an XML reader would turn them into blanks in an attribute. */
function encodeEntities(value: string): string {
  return value.replace(/[<>&"'\t\n\r]/g, (char) => {
    switch (char) {
      case '<':
        return '&lt;';
      case '>':
        return '&gt;';
      case '&':
        return '&amp;';
      case '"':
        return '&quot;';
      case "'":
        return '&apos;';
      default:
        return `&#${char.charCodeAt(0)};`;
    }
  });
}

type Quote = "'" | '"';

function serializeAttributes(attributes: ReadonlyMap<string, string>, quote: Quote): string {
  const other = quote === "'" ? '"' : "'";
  return [...attributes]
    .map(([name, raw]) => {
      const mark = raw.includes(quote) ? other : quote;
      return ` ${name}=${mark}${raw}${mark}`;
    })
    .join('');
}

/** libvirt writes single quotes, except in metadata, which it leaves to libxml2: kept, so that differences stay few. */
export function serializeXml(node: XmlNode, quote: Quote = "'"): string {
  switch (node.kind) {
    case 'text':
      return node.raw;
    case 'comment':
      return `<!--${node.raw}-->`;
    case 'cdata':
      return `<![CDATA[${node.raw}]]>`;
    case 'instruction':
      return `<?${node.name}${serializeAttributes(node.attributes, quote)}?>`;
    case 'element': {
      const open = `<${node.name}${serializeAttributes(node.attributes, quote)}`;
      const inner = node.name === 'metadata' ? '"' : quote;
      return node.children.length === 0
        ? `${open}/>`
        : `${open}>${node.children.map((child) => serializeXml(child, inner)).join('')}</${node.name}>`;
    }
  }
}

export function elements(parent: XmlElement | undefined, name?: string): readonly XmlElement[] {
  return (parent?.children ?? []).filter(
    (node): node is XmlElement => node.kind === 'element' && (name === undefined || node.name === name),
  );
}

/** The first child of each name along the path. */
export function find(from: XmlElement | undefined, ...path: readonly string[]): XmlElement | undefined {
  return path.reduce((parent, name) => elements(parent, name)[0], from);
}

export function attribute(element: XmlElement | undefined, name: string): string | undefined {
  const raw = element?.attributes.get(name);
  return raw === undefined ? undefined : decodeEntities(raw);
}

/** The element's own text without the white space around it. */
export function textOf(element: XmlElement | undefined): string | undefined {
  return element?.children
    .map((node) => (node.kind === 'text' ? decodeEntities(node.raw) : node.kind === 'cdata' ? node.raw : ''))
    .join('')
    .trim();
}

export function setAttribute(element: XmlElement, name: string, value: string | undefined): void {
  if (value === undefined) {
    element.attributes.delete(name);
  } else {
    element.attributes.set(name, encodeEntities(value));
  }
}

export function setText(element: XmlElement, value: string): void {
  element.children.splice(0, element.children.length, { kind: 'text', raw: encodeEntities(value) });
}

export function makeElement(
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: XmlNode[] = [],
): XmlElement {
  const element: XmlElement = { kind: 'element', name, attributes: new Map(), children };
  for (const [key, value] of Object.entries(attributes)) {
    setAttribute(element, key, value);
  }
  return element;
}

const isBlank = (node: XmlNode | undefined) => node?.kind === 'text' && node.raw.trim() === '';

/** Removes children that `unwanted` holds for, with the white space before each. */
export function removeElements(parent: XmlElement, unwanted: (element: XmlElement) => boolean): void {
  for (let index = parent.children.length - 1; index >= 0; index -= 1) {
    const node = parent.children[index];
    if (node?.kind === 'element' && unwanted(node)) {
      const from = isBlank(parent.children[index - 1]) ? index - 1 : index;
      parent.children.splice(from, index - from + 1);
    }
  }
  if (parent.children.length === 1 && isBlank(parent.children[0])) {
    parent.children.length = 0;
  }
}

function indent(element: XmlElement, margin: string): void {
  const inner = elements(element);
  if (inner.length > 0 && !element.children.some(isBlank)) {
    for (const child of inner) {
      element.children.splice(element.children.indexOf(child), 0, { kind: 'text', raw: `${margin}  ` });
      indent(child, `${margin}  `);
    }
    element.children.push({ kind: 'text', raw: margin });
  }
}

/** The line break and blanks before the children of `parent`. */
function marginIn(parent: XmlElement, fallback: string): string {
  const first = parent.children[0];
  return first?.kind === 'text' && isBlank(first) ? first.raw : fallback;
}

/** Puts `child` where the element it replaces stands, or last; laid out like its neighbours. */
export function putElement(parent: XmlElement, child: XmlElement, replaced: XmlElement | undefined): void {
  const margin = marginIn(parent, '\n');
  indent(child, margin);
  const index = replaced === undefined ? -1 : parent.children.indexOf(replaced);
  if (index >= 0) {
    parent.children.splice(index, 1, child);
    return;
  }
  const last = parent.children.at(-1);
  const end = last !== undefined && isBlank(last) ? parent.children.length - 1 : parent.children.length;
  parent.children.splice(end, 0, { kind: 'text', raw: margin }, child);
}
