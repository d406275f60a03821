/** The parts of libvirt's capability XML that a workstation tells its laptops. Pure. */
import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';

const listed = ['guest', 'machine', 'domain', 'mode'];
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  isArray: (name) => listed.includes(name),
});

const Machine = z.union([
  z.string().transform((name) => ({ name, canonical: undefined })),
  z
    .object({ '#text': z.string(), '@canonical': z.string().optional() })
    .transform((machine) => ({ name: machine['#text'], canonical: machine['@canonical'] })),
]);

const Capabilities = z.object({
  capabilities: z.object({
    host: z.object({ cpu: z.object({ arch: z.string() }) }),
    guest: z
      .array(
        z.object({
          os_type: z.string(),
          arch: z.object({
            '@name': z.string(),
            emulator: z.string(),
            machine: z.array(Machine).default([]),
          }),
        }),
      )
      .default([]),
  }),
});

export interface GuestSupport {
  readonly arch: string;
  /** Path of the QEMU that libvirt would start. */
  readonly emulator: string;
  /** Aliases such as `q35` replaced by what they mean. */
  readonly machineTypes: readonly string[];
}

/** What virConnectGetCapabilities says of guests of the machine's own architecture. */
export function guestSupport(capabilitiesXml: string): GuestSupport {
  const { host, guest } = Capabilities.parse(parser.parse(capabilitiesXml)).capabilities;
  const { arch } = host.cpu;
  const own = guest.find((candidate) => candidate.os_type === 'hvm' && candidate.arch['@name'] === arch)?.arch;
  if (own === undefined) {
    throw new HomewardError('missing-tool', `libvirt found no QEMU for ${arch} on this workstation.`, {
      hint: 'Install the package qemu-system-x86 (or the one of this architecture).',
    });
  }
  const names = own.machine.map(({ name, canonical }) => canonical ?? name);
  return { arch, emulator: own.emulator, machineTypes: [...new Set(names)] };
}

const Node = z.record(z.string(), z.unknown());
const DomainCapabilities = z.object({ domainCapabilities: z.object({ cpu: z.object({ mode: z.array(Node) }) }) });

/** The `host-model` of virConnectGetDomainCapabilities as a <cpu> element, which baseline and compare take. */
export function hostModelCpu(domainCapabilitiesXml: string): string {
  const { mode } = DomainCapabilities.parse(parser.parse(domainCapabilitiesXml)).domainCapabilities.cpu;
  const hostModel = mode.find((candidate) => candidate['@name'] === 'host-model');
  if (hostModel?.['@supported'] !== 'yes') {
    throw new HomewardError('incompatible', 'libvirt on this workstation cannot say which CPU it could give a VM.');
  }
  const { '@name': _name, '@supported': _supported, ...cpu } = hostModel;
  const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', suppressEmptyNode: true });
  return String(builder.build({ cpu }));
}
