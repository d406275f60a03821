import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeReady, placeDomain, readDomain, XmlError } from '../../../main/libvirt/index.ts';
import { attribute, makeElement, parseXml, serializeXml, textOf, type XmlElement } from '../../../main/libvirt/xml.ts';

/** Any character XML 1.0 allows. */
const char = fc
  .integer({ min: 0x20, max: 0x10ffff })
  .filter((code) => !(code >= 0xd800 && code <= 0xdfff) && code !== 0xfffe && code !== 0xffff)
  .map((code) => String.fromCodePoint(code));
const text = fc.array(fc.oneof(fc.constantFrom('<', '>', '&', '"', "'", '\n', '\t', ']]>', '&amp;', '&#10;'), char), {
  maxLength: 30,
});
const value = text.map((parts) => parts.join(''));
const name = fc.stringMatching(/^[a-z_][a-zA-Z0-9_.-]{0,12}$/);

const element: fc.Memo<XmlElement> = fc.memo((depth) =>
  fc
    .tuple(
      name,
      fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true }),
      depth > 1 ? fc.array(element(), { maxLength: 4 }) : fc.constant<XmlElement[]>([]),
    )
    .map(([tag, attributes, children]) => makeElement(tag, attributes, children)),
);

describe('XML', () => {
  test('survives reading and writing, whatever is in it', () => {
    fc.assert(
      fc.property(element(4), (tree) => {
        const written = serializeXml(tree);
        expect(serializeXml(parseXml(written, tree.name))).toBe(written);
      }),
      { numRuns: 300 },
    );
  });

  test('gives back any value put into an attribute', () => {
    fc.assert(
      fc.property(value, (content) => {
        const written = serializeXml(makeElement('a', { b: content }));
        expect(attribute(parseXml(written, 'a'), 'b')).toBe(content);
      }),
      { numRuns: 500 },
    );
  });

  test('keeps foreign content byte for byte', () => {
    const foreign = `<domain a="it's" b='"'>
      <!-- <no> --><x:y xmlns:x='u'>a&#x41;&lt; <![CDATA[<&]]>\t</x:y>&unknown;<?pi a='b'?>
      <metadata><o:info xmlns:o="http://o"><o:a b="c"/></o:info></metadata></domain>`;
    expect(serializeXml(parseXml(foreign, 'domain'))).toBe(foreign);
  });

  test('decodes what others encoded in other ways', () => {
    const root = parseXml("<a b='&#x27;&#39;&apos;&lt;&#128512;&amp;lt;'> &amp;<![CDATA[&amp;]]> </a>", 'a');
    expect(attribute(root, 'b')).toBe("'''<😀&lt;");
    expect(textOf(root)).toBe('&&amp;');
  });
});

describe('names and paths from outside', () => {
  const xml = `<domain type='qemu'><name>x</name><memory>1</memory><devices>
    <disk type='file' device='disk'><source file='/a'/><target dev='vda'/></disk></devices></domain>`;

  test('cannot break out of the place they are put in', () => {
    fc.assert(
      fc.property(value, value, (socket, exportName) => {
        const ready = makeReady(xml, {
          disks: { vda: { socket, exportName } },
          balloonStatsPeriodS: 1,
          freePageReporting: true,
          errorPolicy: 'stop',
        });
        expect(readDomain(ready).disks).toMatchObject([{ target: 'vda', nbd: { socket, exportName } }]);
        const placed = placeDomain(ready, { disks: { vda: { socket: exportName, exportName: socket } } });
        expect(readDomain(placed).disks).toMatchObject([{ nbd: { socket: exportName, exportName: socket } }]);
        expect(readDomain(placed).balloon).toEqual({
          model: 'virtio',
          statsPeriodS: 1,
          freePageReporting: true,
          autodeflate: true,
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe('hostile XML is refused quickly', () => {
  const within = (ms: number, run: () => void) => {
    const started = performance.now();
    expect(run).toThrow(XmlError);
    expect(performance.now() - started).toBeLessThan(ms);
  };

  test('entity definitions', () => {
    const laughs = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><domain><name>&b;</name></domain>';
    within(50, () => readDomain(laughs));
    within(50, () => readDomain('<!doctype d SYSTEM "file:///etc/passwd"><domain/>'));
  });

  test('ten megabytes', () => {
    within(50, () => readDomain(`<domain><name>${'x'.repeat(10 * 1024 * 1024)}</name></domain>`));
  });

  test('a million levels', () => {
    within(5_000, () => readDomain('<a>'.repeat(1_000_000)));
    const deep = 100_000;
    within(5_000, () => readDomain(`<domain>${'<a>'.repeat(deep)}${'</a>'.repeat(deep)}</domain>`));
  });

  test('unfinished and mismatched elements, and other documents', () => {
    for (const bad of ['', ' ', 'domain', '<domain', '<domain>', '<domain></domian>', '<domain/><domain/>', '<x/>']) {
      expect(() => readDomain(bad)).toThrow(XmlError);
    }
    expect(() => readDomain('<domain/>')).toThrow('no name or no memory size');
    expect(() => readDomain('<domain><__proto__ polluted="1"/></domain>')).toThrow(XmlError);
    expect({}).not.toHaveProperty('polluted');
  });

  test('garbage, without any other kind of error', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...`<>/&;!?="' abd-[]CDAT`), maxLength: 60 }), (garbage) => {
        try {
          readDomain(`<domain>${garbage}</domain>`);
        } catch (error) {
          expect(error).toBeInstanceOf(XmlError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
