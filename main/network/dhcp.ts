import { payload } from './frames.ts';

const etherTypeIPv4 = 0x0800;
const protocolUdp = 17;
const serverPort = 67;
const clientPort = 68;
const magicCookie = 0x63825363;
const optionPad = 0;
const optionDns = 6;
const optionEnd = 255;

/**
 * Makes a DHCP answer from passt name `resolver` as the guest's only DNS server, in place; other frames
 * are left alone. passt (2023-03) forwards what is sent to its --dns-forward address, but announces that
 * address only where the host's own resolver is not on loopback, and on most laptops it is (systemd-resolved).
 * RFC 2132 §3.8; RFC 768 lets a zero stand for "no checksum".
 */
export function announceResolver(piece: Buffer, resolver: readonly number[]): void {
  const frame = payload(piece);
  if (frame.length < 42 || frame.readUInt16BE(12) !== etherTypeIPv4 || frame[23] !== protocolUdp) return;
  const udp = 14 + ((frame[14] ?? 0) & 0x0f) * 4;
  const bootp = udp + 8;
  const options = bootp + 236;
  if (frame.length < options + 4 + 1) return;
  if (frame.readUInt16BE(udp) !== serverPort || frame.readUInt16BE(udp + 2) !== clientPort) return;
  if (frame.readUInt32BE(options) !== magicCookie) return;
  if (writeDnsOption(frame.subarray(options + 4), Buffer.from(resolver))) frame.writeUInt16BE(0, udp + 6);
}

/** False where `options` (RFC 2132) have no room for it or are malformed. */
function writeDnsOption(options: Buffer, address: Buffer): boolean {
  let at = 0;
  while (at < options.length) {
    const code = options[at];
    if (code === optionPad) {
      at += 1;
      continue;
    }
    if (code === optionEnd) {
      if (at + 3 + address.length > options.length) return false;
      options.set([optionDns, address.length, ...address, optionEnd], at);
      return true;
    }
    const bytes = options[at + 1] ?? 0;
    if (at + 2 + bytes > options.length) return false;
    if (code === optionDns) {
      for (let offset = 0; offset + address.length <= bytes; offset += address.length) {
        options.set(address, at + 2 + offset);
      }
      return bytes >= address.length;
    }
    at += 2 + bytes;
  }
  return false;
}
